local environment = require "flows.environment"
local standalone = require "support.standalone"

local function env()
  return standalone.world().env
end

-- What is said of an environment with another value in this field.
local function refused(name, value)
  local e = env()
  e[name] = value
  local ok, err = environment.check(e)
  assert.is_nil(ok)
  assert.equal("invalid", err.kind)
  return err.message
end

describe("flows.environment.check", function()
  for _, name in ipairs { "store", "target", "open_source", "now", "options",
    "is_final" } do
    it("wants " .. name, function()
      assert.truthy(refused(name, nil):find(name .. " is missing", 1, true))
    end)
  end

  for _, name in ipairs { "hook", "event", "boottime", "journal", "observer",
    "take_place", "leave_place", "reserve_name", "plan_permit", "supports", "repair_definitions",
    "script_generation" } do
    it("does without " .. name .. ", and takes no other type for it", function()
      local e = env()
      e[name] = nil
      assert.is_true(environment.check(e))
      assert.truthy(refused(name, 1):find(name .. " is no ", 1, true))
    end)
  end

  it("refuses what no flow reads, inherited too", function()
    assert.truthy(refused("secret", function() end):find("secret is nothing", 1, true))
    local e = env()
    e.secret = true
    assert.is_nil(environment.check(setmetatable({}, { __index = e })))
    e.secret = nil
    assert.is_true(environment.check(setmetatable({}, { __index = e })))
  end)

  it("wants all calls of the store", function()
    local e = env()
    e.store = { get = function() end, create = function() end, patch = function() end,
      delete = function() end }
    local _, err = environment.check(e)
    assert.truthy(err.message:find("store:list is missing", 1, true))
  end)
end)
