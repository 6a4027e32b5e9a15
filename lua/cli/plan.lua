--- cli.plan: what an import would do, asked of the live source; nothing is touched.
--
-- Preflight itself runs here, with a target that refuses nothing.

local command = require "cli.command"
local endpoints = require "cli.endpoints"
local env = require "host.env"
local errors = require "host.error"
local file = require "host.file"
local input = require "cli.input"
local json = require "host.json"
local kinds = require "base.kinds"
local scripts = require "site.scripts"
local sessions = require "sources.sessions"
local site_of = require "cli.site"
local terminal = require "cli.terminal"
local yaml = require "host.yaml"

local M = {}

M.usage = [[
usage: vm-import-controller plan -f FILE.yaml [OPTION ...]

Looks at the machines that FILE.yaml describes (as `import` takes it) and prints what was
found and how they would be imported. Nothing is changed, neither there nor here. The
exit code is 1 when something blocks an import.

  -f, --file FILE     the objects; "-" is stdin
      --machine FILE  write the machine there, for `check --machine`; for one import
      --scripts DIR   plan with the site's scripts
      --allowed-namespaces LIST  where scripts may have machines made besides the
                      import's namespace: a,b
      --allow-code    and with those that replace code of ours: flows.*, policy.*,
                      providers.*; such code may do what this program may
]]

local OPTIONS = {
  file = { value = "FILE", short = "f" },
  machine = { value = "FILE" },
  scripts = { value = "DIR" },
  ["allow-code"] = {},
  ["allowed-namespaces"] = { value = "LIST" },
  help = { short = "h" },
}

-- The sources of the file, with the one call of a store that sessions needs.
local function store_of(found)
  local store = {}
  function store:get(kind, namespace, name)
    for _, object in ipairs(found.sources) do
      local meta = object.metadata
      if kinds[kind] == kinds[object.kind] and meta.namespace == namespace
        and meta.name == name then
        meta.uid, meta.generation = meta.uid or name, 1
        return object
      end
    end
    return nil, errors.new("notfound",
      ("%s %s/%s is not in the file"):format(kind, namespace, name))
  end
  return store
end

-- What preflight gets, and where what it finds is kept: {findings, machine, plan}.
local function context(opened, generation, seen, site)
  return {
    hook = generation.hook,
    options = { strict_tls = true, site = site },
    open_source = function(ref)
      local source, err = opened:open(ref, { code = generation.code })
      if not source then
        return nil, errors.final(err)
      end
      local inspect = source.inspect
      function source.inspect(self, id)
        local machine, problem = inspect(self, id)
        seen.machine = machine and json.decode(json.encode(machine))
        return machine, problem
      end
      return source
    end,
    target = {
      can = { images = false },
      check = function(_, plan)
        seen.plan = plan
        return {}
      end,
    },
    record = function(fields)
      seen.findings = fields({}).findings
    end,
  }
end

local function look(import, opened, generation, site)
  local seen = {}
  import.metadata.uid = import.metadata.uid or "00000000-0000-4000-8000-000000000000"
  local ref = import.spec and import.spec.sourceCluster or {}
  ref.namespace = ref.namespace or import.metadata.namespace
  import.spec = import.spec or {}
  local preflight = generation.code:require("flows.import.steps.preflight")
  local outcome = preflight.run(import, context(opened, generation, seen, site))
  if outcome and outcome.wait then
    error(errors.new("invalid", outcome.message))
  end
  return seen, outcome ~= nil
end

-- Findings as comments, so that the whole is YAML.
local function print_plan(import, seen)
  command.say("--- # import %s/%s", import.metadata.namespace, import.metadata.name)
  local style = terminal.style(1)
  for _, finding in ipairs(seen.findings) do
    env.stdout(terminal.finding(finding, style, "# ") .. "\n", true)
  end
  env.stdout(seen.plan and yaml.dump(seen.plan) or "{}\n")
end

local function plan_all(values)
  endpoints.standalone()
  local site <close> = scripts.new({ allow_code = values["allow-code"] })
  local generation = site_of.use(site, values.scripts, "plan")
  local found = input.read(values.file)
  if values.machine and #found.imports ~= 1 then
    return command.fail("plan", 2, ("--machine is for one import; %s has %d"):format(
      values.file, #found.imports))
  end
  local opened <close> = sessions.new({
    store = store_of(found),
    secret = input.secret_reader(found.secrets),
    strict_tls = true,
    files = true,
  })
  local code = 0
  for _, import in ipairs(found.imports) do
    local seen, blocked = look(import, opened, generation, command.site(values))
    code = blocked and 1 or code
    print_plan(import, seen)
    if values.machine and seen.machine then
      assert(file.write(values.machine, yaml.dump(seen.machine)))
    end
  end
  return code
end

local function needs(values)
  return (#values > 0 or not values.file) and "needs -f FILE" or nil
end

--- plan.run(args) -> exit code                                          [waits]
function M.run(args)
  return command.run({
    name = "plan",
    usage = M.usage,
    options = OPTIONS,
    needs = needs,
    work = plan_all,
  }, args)
end

return M
