--- cli.import: imports machines into a directory; no cluster needed.
--
-- The same flows as the controller's, on store.directory and targets.directory, one
-- import after the other until each has ended.

local address = require "providers.address"
local command = require "cli.command"
local conditions = require "kube.conditions"
local digest = require "host.digest"
local endpoints = require "cli.endpoints"
local env = require "host.env"
local errors = require "host.error"
local file = require "host.file"
local input = require "cli.input"
local journal = require "kube.journal"
local json = require "host.json"
local kinds = require "base.kinds"
local leftovers = require "store.leftovers"
local log = require "host.log"
local outage = require "flows.import.outage"
local progress = require "cli.progress"
local scripts = require "site.scripts"
local sessions = require "sources.sessions"
local shown = require "cli.shown"
local site_of = require "cli.site"
local store = require "store.directory"
local target = require "targets.directory"
local targets = require "targets"
local task = require "host.task"
local time = require "host.time"

local M = {}

M.usage = [[
usage: vm-import-controller import -f FILE.yaml --output DIR [OPTION ...]

Imports the machines that FILE.yaml describes (Secret, VmwareSource, OpenstackSource or
OvaSource, and VirtualMachineImport, as Harvester takes them) into DIR: a sparse raw image
per disk, and the manifests of the VirtualMachine and its claims. Run it again after a
failure: it goes on where it was.

  -f, --file FILE       the objects; "-" is stdin
  -o, --output DIR      where everything goes; made if it is missing
      --serve-url BASE  write VirtualMachineImage manifests too, whose URLs begin so
      --scripts DIR     the site's scripts: *.lua, as in the ConfigMap of a cluster
      --allowed-namespaces LIST  where scripts may have machines made besides the
                        import's namespace: a,b
      --allow-code      and of them those that are code of ours: flows.*, policy.*,
                        providers.*; such code may do what this program may
      --sha512          compute the SHA-512 of each raw image
      --verify MODE     what becomes of a disk of which the source says no checksum:
                        report (it is imported, and a finding says so), or require (it
                        is refused)                                             (report)
      --idle-timeout S  give a download up that brings nothing for S seconds (60)
      --least-rate N    bytes that a disk must bring in a second, on average over 15
                        minutes; 0: it may be as slow as it likes (1024)
      --give-up-after T give an import up whose source cannot be reached for so long, such
                        as 90m or 24h (30m); spec.giveUpAfter goes first
]]

local OPTIONS = {
  file = { value = "FILE", short = "f" },
  output = { value = "DIR", short = "o" },
  ["serve-url"] = { value = "BASE" },
  scripts = { value = "DIR" },
  ["allow-code"] = {},
  ["allowed-namespaces"] = { value = "LIST" },
  sha512 = {},
  verify = { value = "MODE" },
  ["idle-timeout"] = { value = "SECONDS", number = true },
  ["least-rate"] = { value = "BYTES" },
  ["give-up-after"] = { value = "DURATION" },
  help = { short = "h" },
}

-- Whoever runs a command sees what is waited for and can end it: a vCenter that is being
-- restarted is outlived, one that is gone leaves an exit code the same evening.
local GIVE_UP, OUTAGE_PAUSE = "30m", 30 -- the pause in seconds

local VERIFY = { "report", "require" }
local CLEANINGS = 3 -- more tries to remove what a failed import has made, 10 s apart

-- Whoever runs a command is there to mend these; waiting does not.
local FINAL = {
  denied = true, tls = true, dns = true, notfound = true, invalid = true, io = true,
  unsupported = true, nospace = true, internal = true, cancelled = true,
}

-- Puts an object into the store, or changes the one that is there.
local function apply(objects, object)
  local meta = object.metadata
  local before, err = objects:get(object.kind, meta.namespace, meta.name)
  if not before then
    if err.kind ~= "notfound" then
      error(err)
    end
    return assert(objects:create(object.kind, object))
  end
  local patch = { spec = object.spec, metadata = { labels = meta.labels,
    annotations = meta.annotations } }
  for key in pairs(before.spec or {}) do
    if patch.spec and patch.spec[key] == nil then
      patch.spec[key] = json.null
    end
  end
  return assert(objects:patch(object.kind, meta.namespace, meta.name, patch))
end

-- An import that failed before is tried again because somebody runs the command again;
-- one whose object has changed under way is planned again.
local function restart(objects, import, again)
  local status = import.status or {}
  local state = status.importStatus
  local changed = status.observedGeneration ~= import.metadata.generation
    and not again.is_finished(import)
  if changed or state == "VMMigrationFailed"
    or state == "virtualMachineImportInvalid" then
    state = ""
  end
  local fresh = {
    importStatus = state or "",
    attempt = json.null,
    outage = json.null,
    nextAttemptTime = json.null,
  }
  assert(objects:patch(import.kind, import.metadata.namespace, import.metadata.name,
    { status = fresh }, { status = true }))
end

local function give_up_after(values)
  local text = values["give-up-after"] or GIVE_UP
  return outage.seconds(text) or error(errors.new("invalid",
    ("--give-up-after %s: must be a duration such as 90m or 24h"):format(text)))
end

-- Who runs a command reads what cli.shown says; DEBUG=true writes lines of the log too.
-- A programming mistake is always told whole.
local function write_line(message, fields)
  local write = fields.traceback and log.error or log.debug
  write(message, fields)
end

local LINES = { debug = write_line, info = write_line, warn = write_line,
  error = write_line }

local function environment(values, objects, opened, generation)
  return {
    store = objects,
    target = target.new(values.output, {
      serve_url = values["serve-url"],
      sha512 = values.sha512,
      idle_timeout = values["idle-timeout"],
      least_rate = command.least_rate(values),
    }),
    open_source = function(ref, how)
      return opened:open(ref, { code = generation.code, fresh = how and how.fresh })
    end,
    hook = generation.hook,
    script_generation = generation.hash,
    now = time.now,
    journal = journal.new(LINES),
    options = { strict_tls = true, site = command.site(values),
      verify = command.one_of(values, "verify", VERIFY), retry_first = 2,
      retry_most = OUTAGE_PAUSE,
      give_up_after = give_up_after(values) },
    is_final = function(err)
      return FINAL[err.kind] or false
    end,
  }
end

-- The end of an import: true, or false and why; nil: it goes on.
local function ended(import, result)
  local status = import.status or {}
  local ready = conditions.find(status.conditions, "Ready") or {}
  if ready.status == "True" then
    return true, ready.message
  elseif ready.reason == "DryRun" then
    return true, ready.message
  end
  local stalled = conditions.find(status.conditions, "Stalled") or {}
  if stalled.status == "True" or not result then
    return false, stalled.message or "ended without a reason"
  end
  return nil
end

-- What a failed import has not removed yet, as text; nil: nothing.
local function left_behind(import)
  local names = {}
  for i, entry in ipairs(import.status and import.status.recorded or {}) do
    names[i] = ("%s %s"):format(entry.kind, entry.name or entry.id or "")
  end
  return #names > 0 and table.concat(names, ", ") or nil
end

-- Runs one import to its end; one that has failed, until nothing is left of it, or that
-- cannot be had.
local function run_import(flow, import, ctx)
  local key = { namespace = import.metadata.namespace, name = import.metadata.name }
  local cleanings = 0
  while true do
    local result = flow.reconcile(key, ctx)
    local now = assert(ctx.store:get(import.kind, key.namespace, key.name))
    ctx.observer:findings(now)
    local ok, message = ended(now, result)
    local left = ok == false and left_behind(now)
    if ok ~= nil and not (left and result and cleanings < CLEANINGS) then
      return ok, left and ("%s; it has left behind %s"):format(message, left) or message,
        now
    end
    cleanings = cleanings + (left and 1 or 0)
    task.sleep(result.after)
  end
end

local function check_sources(flow, found, ctx)
  local done = {}
  for _, import in ipairs(found.imports) do
    local ref = import.spec and import.spec.sourceCluster or {}
    ref.namespace = ref.namespace or import.metadata.namespace
    local name = ("%s %s/%s"):format(ref.kind, ref.namespace, ref.name)
    if ref.kind and ref.name and not done[name] then
      done[name] = true
      flow.reconcile(ref, ctx)
      local object = assert(ctx.store:get(ref.kind, ref.namespace, ref.name))
      if not conditions.is_true(object.status.conditions, "Ready") then
        local why = conditions.find(object.status.conditions, "Stalled")
        error(errors.new("invalid", why and why.message or name .. " is not ready"))
      end
    end
  end
end

local function report(values, import, ok, message)
  local name = import.metadata.namespace .. "/" .. import.metadata.name
  if not ok then
    return command.fail("import", 1, ("import %s failed: %s"):format(name, message))
  end
  command.say("import %s: %s", name, message)
  for _, disk in ipairs(import.status.diskImportStatus or {}) do
    command.say("%s", disk.diskLocalPath)
  end
  if not values["serve-url"] and not import.spec.dryRun then
    env.stdout("no VirtualMachineImage manifests are written: --serve-url BASE was not "
      .. "given\n")
  end
  return 0
end

-- Opens everything, holds the folder, runs the imports in turn.
local function import_all(values)
  endpoints.standalone()
  local site <close> = scripts.new({ allow_code = values["allow-code"] })
  local generation = site_of.use(site, values.scripts, "import")
  local found = input.read(values.file)
  assert(file.mkdir(values.output, { parents = true }))
  local lock <close> = assert(file.lock(values.output))
  assert(lock)
  leftovers.remove(values.output, kinds.group)
  local objects = store.new(values.output, {
    kinds = kinds,
    uid = digest.uuid,
    now = function()
      return time.rfc3339(time.now())
    end,
  })
  for _, source in ipairs(found.sources) do
    apply(objects, source)
  end
  local opened <close> = sessions.new({
    store = objects,
    secret = input.secret_reader(found.secrets),
    strict_tls = true,
    files = true,
  })
  local bars <close> = progress.new()
  local ctx = environment(values, objects, opened, generation)
  local seen <close> = shown.new(bars, function(plan, disk)
    return ctx.target.disks:path(plan, disk)
  end)
  ctx.observer = seen
  assert(targets.check(ctx.target))
  assert(generation.code:require("flows.environment").check(ctx))
  check_sources(generation.code:require("flows.source"), found, ctx)

  local flow = generation.code:require("flows.import")
  local again = generation.code:require("flows.import.steps.again")
  local code = 0
  for _, import in ipairs(found.imports) do
    seen:begun(import)
    restart(objects, apply(objects, import), again)
    local ok, message, last = run_import(flow, import, ctx)
    seen:ended()
    code = math.max(code, report(values, last, ok, message))
  end
  return code
end

local function serve_url_problem(url)
  local at, problem = address.parse(url, "--serve-url",
    "where `serve` will be reached, http://HOST:PORT")
  if at and (not url:lower():find("^%s*https?://") or url:find("[?#]")) then
    problem = ("--serve-url \"%s\": write all of http://HOST:PORT, and no query")
      :format(url)
  end
  return problem
end

local function needs(values)
  if #values > 0 or not values.file or not values.output then
    return "needs -f FILE and --output DIR"
  end
  return values["serve-url"] and serve_url_problem(values["serve-url"])
end

--- import.run(args) -> exit code                                        [waits]
function M.run(args)
  return command.run({
    name = "import",
    usage = M.usage,
    options = OPTIONS,
    needs = needs,
    work = import_all,
  }, args)
end

return M
