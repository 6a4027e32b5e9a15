--- cli.release: what runs before this controller is uninstalled, or another takes over.

local command = require "cli.command"
local client = require "kube.client"
local conditions = require "kube.conditions"
local config = require "kube.config"
local endpoints = require "cli.endpoints"
local env = require "host.env"
local images = require "host.images"
local json = require "host.json"
local kinds = require "base.kinds"
local marks = require "base.marks"
local origin = require "base.origin"
local replica = require "controller.replica"
local scripts = require "site.scripts"
local task = require "host.task"
local time = require "host.time"

local M = {}

M.usage = [[
usage: vm-import-controller release [OPTION ...]

Before the controller is uninstalled, or another takes its place: cancels every import
that is under way (spec.cancelled), has what they made removed, by the replica that leads
or, if there is none, by itself, takes our finalizer off every import, and prints what
stayed. So no object is left that cannot be deleted. Imports that have ended, sources and
what was imported stay as they are.

      --timeout SECONDS      to clean up in                              (default 120)
      --deny-endpoints LIST  as the controller's

Environment: KUBECONFIG, as the controller reads it; in a pod the ServiceAccount.
]]

local OPTIONS = {
  timeout = { value = "SECONDS", number = true },
  ["deny-endpoints"] = endpoints.option,
  help = { short = "h" },
}

local KIND = "VirtualMachineImport"
local TIMEOUT, LOOK_EVERY = 120, 1 -- seconds

-- Ends: cancelling changes nothing any more.
local ENDED = { virtualMachineRunning = true, VMMigrationFailed = true }

-- Nobody looks at the metrics of a command.
local UNSEEN = setmetatable({}, { __index = function()
  return function() end
end })

local function name_of(import)
  return import.metadata.namespace .. "/" .. import.metadata.name
end

local function is_under_way(import)
  local state = import.status and import.status.importStatus or ""
  if import.metadata.deletionTimestamp or ENDED[state]
    or conditions.is_true(import.status and import.status.conditions, "Ready") then
    return false
  end
  -- One that cannot or must not begin, and holds nothing, stays as it is.
  local rests = state == "virtualMachineImportInvalid" or import.spec.dryRun
  return marks.is_held(import) or not rests
end

-- Those for which `test` holds.
local function imports(api, test)
  local found = {}
  for _, import in ipairs(assert(api:list(KIND))) do
    if test(import) then
      found[#found + 1] = import
    end
  end
  return found
end

local function cancel(api, import)
  local ok, err = api:patch(KIND, import.metadata.namespace, import.metadata.name,
    { spec = { cancelled = true } })
  if ok then
    command.say("cancelled %s", name_of(import))
  elseif err.kind ~= "notfound" then
    error(err)
  end
end

-- Cancels what is under way, also what begins meanwhile, until nothing holds anything.
local function wait_until_clean(api, deadline)
  while time.monotonic() < deadline do
    local left = imports(api, function(import)
      return is_under_way(import) or marks.is_held(import)
    end)
    if #left == 0 then
      return
    end
    for _, import in ipairs(left) do
      if is_under_way(import) and not import.spec.cancelled then
        cancel(api, import)
      end
    end
    task.sleep(LOOK_EVERY)
  end
end

local function describe(import)
  local parts = {}
  for _, entry in ipairs(import.status and import.status.recorded or {}) do
    parts[#parts + 1] = ("%s %s"):format(entry.kind or "?", entry.name or entry.id or "?")
  end
  local ref = origin.of(import)
  return #parts > 0 and ("%s (of %s)"):format(table.concat(parts, ", "), origin.text(ref))
    or "nothing that is recorded"
end

-- Takes our finalizer off; on fresh state when somebody wrote meanwhile.
local function take_off(api, import)
  local name, namespace = import.metadata.name, import.metadata.namespace
  while import and marks.is_held(import) do
    local kept = json.array({})
    for _, finalizer in ipairs(import.metadata.finalizers) do
      if finalizer ~= marks.FINALIZER then
        kept[#kept + 1] = finalizer
      end
    end
    local ok, err = api:patch(KIND, namespace, name, { metadata = {
      resourceVersion = import.metadata.resourceVersion, finalizers = kept } })
    if ok then
      return
    elseif err.kind ~= "conflict" and err.kind ~= "notfound" then
      error(err)
    end
    import, err = api:get(KIND, namespace, name)
    if not import and err.kind ~= "notfound" then
      error(err)
    end
  end
end

-- A replica of our own: it leads when no other does.
local function start_replica(cluster)
  local server = assert(images.serve({ host = "127.0.0.1", port = 0 }))
  local site = scripts.new()
  return task.spawn("replica", function()
    local listening <close> = server
    local deciding <close> = site
    assert(listening and deciding)
    replica.run({
      cluster = cluster,
      server = server,
      base_url = "http://127.0.0.1:" .. server:port(),
      observer = UNSEEN,
      scripts = site,
      options = { scratch = "/tmp/vm-import-controller", max_imports = 1,
        max_per_source = 1 },
    })
  end)
end

local function release(values)
  local cluster = assert(config.load())
  endpoints.deny(values["deny-endpoints"],
    { url = cluster.url, service = env.get("KUBERNETES_SERVICE_HOST") })
  local api = assert(client.new({ config = cluster, kinds = kinds }))
  local helper = start_replica(cluster)
  local guard <close> = helper
  assert(guard)
  wait_until_clean(api, time.monotonic() + (values.timeout or TIMEOUT))
  helper:cancel()
  local left = imports(api, marks.is_held)
  for _, import in ipairs(left) do
    take_off(api, import)
    command.say("%s could not be cleaned up; what stays: %s", name_of(import),
      describe(import))
  end
  command.say(#left == 0 and "nothing stays behind"
    or "%d imports have left something behind",
    #left)
end

--- release.run(args) -> exit code                                       [waits]
function M.run(args)
  return command.run({
    name = "release",
    usage = M.usage,
    options = OPTIONS,
    work = release,
  }, args)
end

return M
