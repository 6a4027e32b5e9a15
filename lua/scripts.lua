--- scripts: the generation of site scripts that is in force.
--
-- A set of scripts is looked at as a whole and then takes the place of the one before in
-- one step; when anything is wrong with it nothing changes. Who has taken a generation
-- (one step of one import) ends on it, whatever comes meanwhile.
--
-- A generation is
--
--   hash     string  of names and texts: status.scriptGeneration; "builtin": no scripts
--   names    list of the scripts, in the order they are called
--   ignored  list of {name, reason}: keys that were given and are no site scripts
--   hook     function (name, input, builtin, accept) -> value | nil, err, as policy.plan
--            calls it                                                          [waits]

local digest = require "host.digest"
local errors = require "host.error"
local file = require "host.file"
local sandbox = require "sandbox"

local methods = {}
local mt = { __name = "scripts", __index = methods }

local M = {}

local CODE = "^(%l+)%."
local REPLACEABLE = { flows = true, policy = true, providers = true }

local function no_opinion()
  return nil
end

--- scripts.builtin: the generation without scripts.
M.builtin = { hash = "builtin", names = {}, ignored = {}, hook = no_opinion }

-- Why a key is no site script, or nil.
local function not_a_script(name)
  if not name:find("%.lua$") then
    return "its name does not end in .lua"
  elseif REPLACEABLE[name:match(CODE)] then
    return "names that begin with flows., policy. or providers. are kept for code of the "
      .. "controller"
  end
  return nil
end

local function sort_out(texts)
  local site, names, ignored = {}, {}, {}
  for name, text in pairs(texts) do
    local reason = not_a_script(name)
    if reason then
      ignored[#ignored + 1] = { name = name, reason = reason }
    else
      site[name] = text
      names[#names + 1] = name
    end
  end
  table.sort(names)
  table.sort(ignored, function(a, b)
    return a.name < b.name
  end)
  return site, names, ignored
end

--- scripts.hash(texts) -> 16 hex digits, or "builtin" for none
-- The same for the same names and texts, on every replica.
function M.hash(texts)
  local names, parts = {}, {}
  for name in pairs(texts) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    parts[i] = string.pack("<s4s4", name, texts[name])
  end
  return names[1] and digest.sha256(table.concat(parts)):sub(1, 16) or M.builtin.hash
end

--- scripts.read(dir) -> texts | nil, err                                [waits]
-- The files of a folder, as a ConfigMap made from it has them: {[name] = text}.
function M.read(dir)
  local names, err = file.list(dir)
  if not names then
    return nil, err
  end
  local texts = {}
  for _, name in ipairs(names) do
    local path = dir .. "/" .. name
    local stat = file.stat(path)
    if stat and stat.kind == "file" and name:find("^[-._%w]+$") then
      texts[name], err = file.read(path)
      if not texts[name] then
        return nil, err
      end
    end
  end
  return texts
end

--- scripts:load(texts) -> generation | nil, err                         [waits]
-- Looks at a set; does not put it into force.
--
--   texts  {[name] = text}
--   err    invalid; err.problems: all that is wrong, each "script:line: ..."
function methods:load(texts)
  local site, names, ignored = sort_out(texts)
  if #names == 0 then
    return { hash = M.builtin.hash, names = names, ignored = ignored, hook = no_opinion }
  end
  local set, err = self.sandbox:load(site)
  if not set then
    return nil, err
  end
  return {
    hash = M.hash(site),
    names = names,
    ignored = ignored,
    hook = function(...)
      return set:hook(...)
    end,
  }
end

--- scripts:use(texts) -> generation | nil, err                          [waits]
-- Looks at a set and puts it into force; on err the one before stays. Of two that are
-- looked at at the same time, the one that came last wins.
function methods:use(texts)
  self.asked = self.asked + 1
  local turn = self.asked
  local generation, err = self:load(texts)
  if not generation then
    return nil, err
  elseif turn ~= self.asked then
    return nil, errors.new("conflict", "a newer set of scripts has come meanwhile")
  end
  self.current = generation
  return generation
end

--- scripts:close(), and __close: processes end.
function methods:close()
  self.sandbox:close()
end

mt.__close = methods.close

--- scripts.new(opts) -> scripts, to be closed
--
--   opts             as sandbox.new
--   scripts.current  the generation in force; at first the one without scripts
function M.new(opts)
  return setmetatable({
    sandbox = sandbox.new(opts),
    current = M.builtin,
    asked = 0,
  }, mt)
end

return M
