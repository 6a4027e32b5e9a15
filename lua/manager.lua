--- manager: what the leading replica runs: informers that say which key changed, and the
-- controller that reconciles it.

local controller = require "kube.controller"
local env = require "host.env"
local errors = require "host.error"
local images = require "flows.import.images"
local informer = require "kube.informer"
local kinds = require "kinds"
local log = require "host.log"
local places = require "places"
local providers = require "providers"
local script_watch = require "script_watch"
local sessions = require "sessions"
local target = require "targets.harvester"
local task = require "host.task"
local time = require "host.time"

local M = {}

local IMPORT = "migration.harvesterhci.io/import" -- whose image, claim, machine it is
local IMPORTED = "migration.harvesterhci.io/imported=true"
local SYNC_WITHIN = 120 -- seconds
local TRIM_EVERY = 60   -- seconds

local FLOWS = {}
for _, flow in ipairs(require "flows") do
  FLOWS[flow.kind] = require(flow.module).reconcile
end

local function condition(object, type)
  for _, c in ipairs(object.status and object.status.conditions or {}) do
    if c.type == type then
      return ("%s %s"):format(c.status, c.message or "")
    end
  end
  return nil
end

-- What of an object makes its key due when it changes; all else is not kept.
local PROJECT = {
  VirtualMachineImport = function(object)
    local ref = object.spec and object.spec.sourceCluster or {}
    return {
      uid = object.metadata.uid,
      generation = object.metadata.generation,
      deleting = object.metadata.deletionTimestamp ~= nil,
      cancelled = object.spec and object.spec.cancelled or false,
      state = object.status and object.status.importStatus or "",
      observed = object.status and object.status.observedGeneration,
      unclean = #(object.status and object.status.recorded or {}) > 0,
      source = ("%s/%s"):format(ref.namespace or "", ref.name or ""),
    }
  end,
  source = function(object)
    local credentials = object.spec and object.spec.credentials or {}
    return {
      generation = object.metadata.generation,
      deleting = object.metadata.deletionTimestamp ~= nil,
      state = object.status and object.status.status,
      secret = credentials.name and ("%s/%s"):format(
        credentials.namespace or object.metadata.namespace, credentials.name),
    }
  end,
  VirtualMachineImage = function(object)
    return {
      import = (object.metadata.annotations or {})[IMPORT],
      imported = condition(object, "Imported"),
      failed = condition(object, "RetryLimitExceeded"),
      progress = object.status and object.status.progress,
    }
  end,
  VirtualMachine = function(object)
    return {
      import = (object.metadata.annotations or {})[IMPORT],
      state = object.status and object.status.printableStatus,
      ready = condition(object, "Ready"),
    }
  end,
}

local function import_key(text)
  local namespace, name = (text or ""):match("^(.-)/(.+)$")
  return name and { kind = "VirtualMachineImport", namespace = namespace, name = name }
end

-- Nothing is left to do for it until somebody changes something.
local function has_ended(value)
  local ended = value.state == "virtualMachineRunning"
    or value.state == "VMMigrationFailed" and value.observed == value.generation
  return ended and not value.deleting and not value.unclean
end

local function on_import(self, key, value, before)
  local id = key.namespace .. "/" .. key.name
  self.places:see((value or before).uid, (value or before).source, value and value.state)
  if value and before
    and (value.deleting and not before.deleting
      or value.cancelled and not before.cancelled) then
    self.controller:cancel(key)
  end
  if not value or value.state == "VMMigrationFailed"
    or value.state == "virtualMachineCreated" then
    self:wake_waiting()
  end
  log.debug("import changed", { import = id, state = value and value.state or "gone" })
  if value and not has_ended(value) then
    self.controller:add(key)
  end
end

-- The Secret of a source is watched by its name: never listed.
local function watch_secret(self, id)
  if not id or self.secrets[id] then
    return
  end
  local namespace, name = id:match("^(.-)/(.+)$")
  local watched = informer.new({
    client = self.client, kind = "Secret", namespace = namespace, name = name,
    project = function(object)
      return { version = object.metadata.resourceVersion }
    end,
    changed = function()
      for kind, sources in pairs(self.sources) do
        for source_id, value in sources:each() do
          if value.secret == id then
            local source_namespace, source_name = source_id:match("^(.-)/(.*)$")
            self.controller:add({ kind = kind, namespace = source_namespace,
              name = source_name })
          end
        end
      end
    end,
  })
  self.secrets[id] = task.spawn(watched.run, watched)
end

local function on_source(self, key, value, before)
  watch_secret(self, value and value.secret)
  if value and before and value.state ~= before.state then
    self:wake_waiting()
  end
  if not before or not value or value.generation ~= before.generation then
    self.controller:add(key)
  end
end

local function on_owned(self, _, value, before)
  local key = import_key((value or before).import)
  if key then
    self.controller:add(key)
  end
end

local methods = {}
local mt = { __name = "manager", __index = methods }

-- Imports that wait for a source or a place look again.
function methods:wake_waiting()
  for id, value in self.imports:each() do
    if value.state == "virtualMachineImportValid" or value.state == "" then
      self.controller:add(import_key(id))
    end
  end
end

local function secret_reader(client)
  return function(credentials, namespace)
    local secret, err = client:get("Secret", credentials.namespace or namespace,
      credentials.name)
    if not secret then
      return nil, err
    end
    local digest = require "host.digest"
    local data = {}
    for key, value in pairs(secret.data or {}) do
      data[key] = assert(digest.base64_decode(value))
    end
    return { data = data, version = secret.metadata.resourceVersion }
  end
end

-- Imports whose plan failed, or is not made yet, are planned with the new scripts.
local function on_scripts(self)
  for id, value in self.imports:each() do
    if value.state == "virtualMachineImportInvalid" or value.state == "" then
      self.controller:add(import_key(id))
    end
  end
end

-- What every flow gets (flows/init.lua), besides the scripts of the moment.
local function environment(self, opts)
  return {
    store = self.client,
    target = self.target,
    open_source = function(ref)
      return self.sessions:open(ref)
    end,
    secret = secret_reader(self.client),
    now = time.now,
    options = opts.options,
    supports = function(kind)
      return providers.of(kind) ~= nil
    end,
    take_place = function(import)
      local ref = import.spec.sourceCluster
      return self.places:take(import.metadata.uid,
        ("%s/%s"):format(ref.namespace or "", ref.name or ""))
    end,
    is_final = function(err)
      return err.kind == "unsupported"
    end,
    event = function(object, type, reason, note)
      opts.events:emit(object, type, reason, note)
    end,
  }
end

local function watch(self, kind, project, changed, selector)
  return informer.new({
    client = self.client,
    kind = kind,
    project = project,
    label_selector = selector,
    changed = function(key, value, before)
      changed(self, key, value, before)
    end,
  })
end

local function start_informers(self)
  self.imports = watch(self, "VirtualMachineImport", PROJECT.VirtualMachineImport,
    on_import)
  self.informers = { self.imports }
  for _, kind in ipairs(kinds.sources) do
    self.sources[kind.kind] = watch(self, kind.kind, PROJECT.source, on_source)
    table.insert(self.informers, self.sources[kind.kind])
  end
  self.owned = {
    watch(self, "VirtualMachineImage", PROJECT.VirtualMachineImage, on_owned, IMPORTED),
    watch(self, "VirtualMachine", PROJECT.VirtualMachine, on_owned, IMPORTED),
  }
end

-- Imports whose images are being downloaded have their routes again before the image
-- server says of any path that it does not exist.
local function publish_all(self, flow_env)
  for id, value in self.imports:each() do
    if value.state == "diskImageSubmitted" then
      local key = import_key(id)
      local import = self.client:get(key.kind, key.namespace, key.name)
      if import and import.status.diskImportStatus then
        local ok, err = pcall(images.publish, import, setmetatable({
          record = function() end,
        }, { __index = flow_env }))
        if not ok then
          log.warn(("publishing the disks of %s: %s"):format(id, errors.of(err).message))
        end
      end
    end
  end
  self.server:ready()
end

-- What lists and large answers have left is given back, now and later.
local function trim()
  while true do
    env.trim_memory()
    task.sleep(TRIM_EVERY)
  end
end

--- manager:run()                                                        [waits]
-- Until its task is cancelled; then everything says goodbye.
function methods:run()
  start_informers(self)
  local group <close> = setmetatable({}, { __close = function(tasks)
    for _, t in ipairs(tasks) do
      t:cancel(0)
    end
    for _, t in pairs(self.secrets) do
      t:cancel(0)
    end
    task.goodbye(function()
      self.controller:stop()
      self.sessions:close() -- not before the last task has said its goodbye
    end)
  end })
  for _, list in ipairs { self.informers, self.owned } do
    for _, i in ipairs(list) do
      group[#group + 1] = task.spawn(i.run, i)
    end
  end
  for _, i in ipairs(self.informers) do
    assert(i:wait_synced(SYNC_WITHIN))
  end
  publish_all(self, self.env)
  if self.script_watch then
    self.script_watch:load()
    group[#group + 1] = task.spawn(self.script_watch.run, self.script_watch)
  end
  if self.on_synced then
    self.on_synced()
  end
  group[#group + 1] = task.spawn(trim)
  self.controller:run()
end

--- manager.new(opts) -> manager
--
--   opts.client      kube.client, with the fence
--   opts.server      host.images server
--   opts.base_url    string    where the cluster reaches it
--   opts.events      kube.events
--   opts.fence       function () -> true | nil, err
--   opts.scripts     scripts   the site's; set from the ConfigMap of opts.namespace
--   opts.namespace   string    ours; nil: opts.scripts stays as it is
--   opts.on_synced   function (), optional
--   opts.on_result   function (key, ok), optional
--   opts.options     table     scratch, strict_tls, max_imports, max_per_source, poll ...
function M.new(opts)
  local options = opts.options
  local self = setmetatable({
    client = opts.client,
    server = opts.server,
    on_synced = opts.on_synced,
    scripts = opts.scripts,
    secrets = {},
    sources = {},
    places = places.new(options.max_imports, options.max_per_source),
  }, mt)
  self.target = target.new({
    client = opts.client,
    server = opts.server,
    base_url = opts.base_url,
    scratch = options.scratch,
  })
  self.sessions = sessions.new({
    store = opts.client,
    secret = secret_reader(opts.client),
    providers = providers,
    strict_tls = options.strict_tls,
    fence = opts.fence,
    poll = options.poll,
  })
  self.env = environment(self, opts)
  self.script_watch = opts.namespace and script_watch.new({
    client = opts.client,
    namespace = opts.namespace,
    scripts = opts.scripts,
    events = opts.events,
    changed = function()
      on_scripts(self)
    end,
  })
  self.controller = controller.new({
    on_result = opts.on_result,
    reconcile = function(key)
      local generation = self.scripts.current
      return FLOWS[key.kind](key, setmetatable({
        hook = generation.hook,
        script_generation = generation.hash,
      }, { __index = self.env }))
    end,
  })
  return self
end

return M
