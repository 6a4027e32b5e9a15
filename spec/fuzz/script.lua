--- Fuzz: what the process of a site's scripts answers, when somebody has taken it over.
-- The first byte says which hook is asked, the rest is the answer. What comes of it is a
-- plan that can be recorded and made again, or an err.

local answer
local child = {
  usable = function() return true end,
  close = function() end,
  call = function() return answer end,
}
local permit = setmetatable({ release = function() end }, { __close = function() end })

package.loaded["host.sandbox"] = { start = function()
  return child
end }
package.loaded["host.log"] = setmetatable({}, { __index = function()
  return function(message)
    assert(type(message) == "string")
  end
end })
package.loaded["host.task"] = { semaphore = function()
  return { acquire = function() return permit end }
end }

local json = require "host.json"
local plan = require "policy.plan"
local recorded = require "policy.recorded"
local sample = require "support.sample"
local sandbox = require "site.sandbox"
local values = require "base.values"

local input = sample.input({ guest = { family = "windows" },
  firmware = { uefi = true, secure_boot = true, tpm = true } })
local hooks = sandbox.hooks(plan)
local box = sandbox.new()

-- A set whose one script has this hook alone.
local function set_with(name)
  answer = json.encode({ hooks = json.array({ { name = name, line = 1 } }),
    globals = json.array({}) })
  return assert(box:load({ ["a.lua"] = "" }, plan))
end

local sets = {}
for i, name in ipairs(hooks) do
  sets[i] = set_with(name)
end

local function is_refused(err)
  assert(type(err) == "table" and err.kind ~= "internal", tostring(err))
end

return function(_, bytes)
  local which = (bytes:byte(1) or 0) % (#hooks + 1)
  answer = bytes:sub(2)
  if which == 0 then
    local set, err = box:load({ ["a.lua"] = "" }, plan)
    return not set and is_refused(err) or nil
  end
  local built, err = plan.build(input, function(...)
    return sets[which]:hook(...)
  end)
  if not built then
    return is_refused(err)
  end
  local kept = json.decode(assert(json.encode(recorded.of(built))))
  local machine = recorded.virtual_machine(kept)
  assert(values.same(json.decode(json.encode(built.virtual_machine)), machine),
    "the machine differs from the recorded one")
end
