--- cli.check: what a site's scripts would do to a machine, without any server.

local command = require "cli.command"
local comparison = require "cli.comparison"
local env = require "host.env"
local errors = require "host.error"
local file = require "host.file"
local findings = require "flows.import.findings"
local input = require "cli.input"
local json = require "host.json"
local machines = require "providers.machine"
local plan = require "policy.plan"
local sample = require "site.sample"
local scripts = require "site.scripts"
local site_of = require "cli.site"
local terminal = require "cli.terminal"
local yaml = require "host.yaml"

local M = {}

M.usage = [[
usage: vm-import-controller check DIR [OPTION ...]

Looks at the site's scripts in DIR (*.lua): syntax, names of hooks and of globals; then
plans the import of one machine with them and prints each decision, as the built-in
policy takes it and as the site does. No server is asked and nothing is changed. The
exit code is 0 when every script is sound and every hook returns what it may.

      --machine FILE  the machine, as `plan --machine` writes it   (default a sample)
      --import FILE   YAML with the VirtualMachineImport           (default a sample)
      --allowed-namespaces LIST  where scripts may have machines made besides the
                      import's namespace: a,b
      --allow-code    take scripts, too, that replace code of ours: flows.*, policy.*,
                      providers.*
      --quiet         print only what is wrong
]]

local OPTIONS = {
  machine = { value = "FILE" },
  import = { value = "FILE" },
  ["allow-code"] = {},
  ["allowed-namespaces"] = { value = "LIST" },
  quiet = {},
  help = { short = "h" },
}

local function read_machine(path, code)
  if not path then
    return sample.machine(code)
  end
  local documents = assert(yaml.parse(assert(file.read(path)), { what = path }))
  local machine, err = machines.check(documents[1])
  if not machine then
    error(errors.wrap(err, path))
  end
  return machine
end

-- The import of the machine; of several the one that names it.
local function read_import(path, machine)
  if not path then
    return sample.import()
  end
  local found = input.read(path).imports
  for _, import in ipairs(found) do
    if import.spec and import.spec.virtualMachineName == machine.name then
      return import
    end
  end
  if #found ~= 1 then
    error(errors.new("invalid", ("%s has %d imports, and none of them is of %s"):format(
      path, #found, machine.name)))
  end
  return found[1]
end

-- A hook that remembers what it was asked and what came of it.
local function recorder(hook, decisions)
  return function(name, hook_input, decided, accept)
    local value, err = hook(name, hook_input, decided, accept)
    if err then
      return nil, err
    end
    decisions[#decisions + 1] = {
      name = name,
      subject = (hook_input.disk or hook_input.nic or {}).id,
      builtin = decided,
      changed = value ~= nil,
      site = value ~= nil and accept(value),
    }
    return value
  end
end

-- What replaced policy decides stands beside what the built-in one would have decided.
local function set_beside(decisions, builtin)
  local found = {}
  for _, decision in ipairs(builtin) do
    found[("%s %s"):format(decision.name, decision.subject)] = decision
  end
  for _, decision in ipairs(decisions) do
    local before = found[("%s %s"):format(decision.name, decision.subject)]
    if not decision.changed then
      decision.site = decision.builtin
    end
    decision.builtin = before and before.builtin
    decision.changed = json.encode({ decision.site }) ~= json.encode({ decision.builtin })
  end
end

-- Every decision of a machine's import, and the plan.
local function decide(subject, generation)
  local decisions, builtin = {}, {}
  local policy = generation.code:require("policy.plan")
  local made = assert(policy.build(subject, recorder(generation.hook, decisions)))
  if policy ~= plan then
    assert(plan.build(subject, recorder(scripts.builtin.hook, builtin)))
    set_beside(decisions, builtin)
  end
  return decisions, made
end

local function report(decisions, found)
  local compared = {}
  for _, decision in ipairs(decisions) do
    if decision.name ~= plan.findings.name then
      compared[#compared + 1] = decision
    end
  end
  env.stdout(comparison.text(compared) .. "\n")
  local style = terminal.style(1)
  for _, finding in ipairs(found) do
    env.stdout(terminal.finding(finding, style) .. "\n", true)
  end
end

local function check_dir(values)
  local site <close> = scripts.new({ allow_code = values["allow-code"] })
  local generation = site_of.use(site, values[1], "check")
  local machine = read_machine(values.machine, generation.code)
  local import = read_import(values.import, machine)
  if #generation.names == 0 then
    return command.fail("check", 1, values[1] .. " holds no script: no file ends in .lua")
  end
  local decisions, made = decide({
    machine = machine,
    spec = import.spec or {},
    import = {
      name = import.metadata.name,
      namespace = import.metadata.namespace,
      uid = import.metadata.uid or sample.import().metadata.uid,
    },
    site = command.site(values),
  }, generation)
  if not values.quiet then
    report(decisions, findings.arrange(made.findings, { machine = machine,
      skip = (import.spec or {}).skipPreflightChecks }))
    env.stdout(("generation %s: %s\n"):format(generation.hash,
      table.concat(generation.names, ", ")))
  end
  return 0
end

local function needs(values)
  return #values ~= 1 and "needs one DIR" or nil
end

--- check.run(args) -> exit code                                         [waits]
function M.run(args)
  return command.run({
    name = "check",
    usage = M.usage,
    options = OPTIONS,
    needs = needs,
    work = check_dir,
  }, args)
end

return M
