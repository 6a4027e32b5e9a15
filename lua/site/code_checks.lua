--- site.code_checks: whether replaced code still is what the rest of the controller
-- calls.
--
-- A module that replaces another has all that the other has, of the same types. A
-- provider meets providers/init.lua's contract, and the policy plans a sample import.

local kinds = require "base.kinds"
local sample = require "site.sample"

local M = {}

local function add(problems, script, fmt, ...)
  problems[#problems + 1] = ("%s: "):format(script) .. fmt:format(...)
end

-- The module that is built in under this name, or nil.
local function built_in(name)
  return package.searchpath(name, package.path) and require(name) or nil
end

-- A module that replaces a built-in one has all that others may use of that.
local function check_replaced(name, script, module, problems)
  local before = built_in(name)
  if before == nil then
    return
  elseif type(module) ~= type(before) then
    return add(problems, script, "must return a %s, as the module %s that it replaces",
      type(before), name)
  end
  local lacking = {}
  for key, value in pairs(type(before) == "table" and before or {}) do
    if type(key) == "string" and type(module[key]) ~= type(value) then
      lacking[#lacking + 1] = ("%s (a %s)"):format(key, type(value))
    end
  end
  table.sort(lacking)
  if #lacking > 0 then
    add(problems, script, "lacks what the module %s that it replaces has: %s", name,
      table.concat(lacking, ", "))
  end
end

-- Why no provider may be of this kind; nil: it may.
local function kind_problem(self, kind)
  if type(kind) ~= "string" or not kind:find("^%u%w+$") or #kind > 60 then
    return "kind must be a word like DirectorySource"
  end
  local there = kinds[kind]
  if there and not kinds.is_added(kind) then
    return ("there is a kind %s already"):format(there.kind)
  end
  for _, source in ipairs(self.sources) do
    if source.kind:lower() == kind:lower() then
      return ("%s is of kind %s already"):format(source.module, source.kind)
    end
  end
  return nil
end

-- A new kind of source: a module providers.* that names its kind.
local function check_provider(self, name, script, module, problems)
  local providers = self:require("providers")
  local problem = kind_problem(self, module.kind)
  local ok, err = providers.check(module, name)
  if problem then
    add(problems, script, "%s", problem)
  elseif not ok then
    add(problems, script, "%s", err.message)
  else
    providers.add(module.kind, name)
    table.insert(self.sources, { kind = module.kind, module = name,
      plural = module.plural or module.kind:lower() .. "s" })
  end
end

local function check_module(self, name, problems)
  local script, module = self.scripts[name], self:require(name)
  check_replaced(name, script, module, problems)
  if name:find("^providers%.") and not built_in(name) and type(module) == "table"
    and module.kind ~= nil then
    check_provider(self, name, script, module, problems)
  end
end

-- Every kind that is listed has a module with a flow.
local function check_flows(self, problems)
  for i, flow in ipairs(self:require("flows")) do
    local module = type(flow) == "table" and self:require(flow.module)
    if type(module) ~= "table" or type(module.reconcile) ~= "function" then
      add(problems, "flows", "entry %d names no module with a function reconcile", i)
    end
  end
end

local function check_providers(self, problems)
  local providers = self:require("providers")
  for _, kind in ipairs(providers.kinds()) do
    local ok, err = providers.check(providers.of(kind), kind)
    if not ok then
      add(problems, "providers", "%s", err.message)
    end
  end
end

-- A plan is made, of a machine that has a bit of everything.
local function check_policy(self, problems)
  local plan, err = self:require("policy.plan").build(sample.input(self))
  if type(plan) ~= "table" then
    return add(problems, "policy", "planning a sample machine: %s",
      err and err.message or "no plan came of it")
  end
  for _, field in ipairs { "name", "namespace", "disks", "nics", "virtual_machine" } do
    if plan[field] == nil then
      add(problems, "policy", "the plan of a sample machine has no %s", field)
    end
  end
end

--- code_checks.run(generation, problems)
-- Adds what is wrong to problems; fills generation.sources. Throws what the code throws.
function M.run(self, problems)
  local names = {}
  for name in pairs(self.chunks) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    check_module(self, name, problems)
  end
  if #problems == 0 then
    check_flows(self, problems)
    check_providers(self, problems)
    check_policy(self, problems)
  end
end

return M
