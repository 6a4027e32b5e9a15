--- controller.manager: what the leading replica runs: informers that say which key
-- changed, and the controller that reconciles it.

local added_sources = require "controller.added_sources"
local controller = require "kube.controller"
local env = require "host.env"
local environment = require "controller.environment"
local errors = require "host.error"
local host_log = require "host.log"
local informer = require "kube.informer"
local journal = require "kube.journal"
local kinds = require "base.kinds"
local log = require "base.log"
local marks = require "base.marks"
local object_id = require "base.object_id"
local projections = require "controller.projections"
local references = require "controller.references"
local script_watch = require "controller.script_watch"
local secrets = require "controller.secrets"
local sessions = require "sources.sessions"
local target = require "targets.harvester"
local targets = require "targets"
local task = require "host.task"

local M = {}

local IMPORTED = marks.IMPORTED .. "=true"
local SYNC_WITHIN, TRIM_EVERY = 120, 60 -- seconds
local MOST_IN_LINE = 32 -- requests to the API server, before anything new is begun

local methods = {}
local mt = { __name = "manager", __index = methods }

-- Whoever gets a place now looks for it.
local function wake(self, keys)
  for _, key in ipairs(keys) do
    self.controller:add(key)
  end
end

local function import_key(text)
  local namespace, name = object_id.split(text or "")
  return name and { kind = "VirtualMachineImport", namespace = namespace, name = name }
end

local function on_import(self, key, value, before)
  if self.observer then
    self.observer:import(value, before)
  end
  if not value then
    self.journal:forget(key)
  end
  local last = value or before
  local places, names = self.environment.places, self.environment.names
  local freed = places:see(last.uid, last.source, value and value.state)
  names:see(last.uid, object_id.of(key.namespace, key.name),
    value and value.target, value and value.state)
  if value and before and projections.interrupts(value, before) then
    self.controller:cancel(key)
  end
  if freed then
    wake(self, places:next())
  end
  if value and not projections.has_ended(value) then
    self.controller:add(key)
  end
end

-- States in which a change of the source makes a difference: those that wait for a place,
-- and those that read disks, which may wait for the source to be back.
local WAITS = { [""] = true, virtualMachineImportValid = true,
  virtualMachineImportInvalid = true, sourceReady = true, diskImageSubmitted = true }

local function wake_imports_of(self, kind, key)
  local id = projections.source_id(kind, key.namespace, key.name)
  for import_id, value in self.imports:each() do
    if value.source == id and WAITS[value.state] then
      self.controller:add(import_key(import_id))
    end
  end
end

local function on_source(self, key, value, before)
  if self.observer then
    self.observer:source(key.kind, value, before)
  end
  if not value then
    self.journal:forget(key)
  end
  local changed = not value or not before or value.generation ~= before.generation
    or value.look_again ~= before.look_again
  if changed then
    self.controller:add(key)
  end
  if changed or value.state ~= before.state then
    wake_imports_of(self, key.kind, key)
  end
end

local function on_owned(self, _, value, before)
  local id = (value or before).import
  local import = id and self.imports.objects[id]
  if import and not projections.has_ended(import) then
    self.controller:add(import_key(id))
  end
end

-- Imports whose plan failed, or is not made yet, are planned with the new scripts.
local function on_scripts(self)
  self.sessions:refresh()
  self.added:use(self.scripts.current.code.sources)
  for id, value in self.imports:each() do
    if value.state == "virtualMachineImportInvalid" or value.state == "" then
      self.controller:add(import_key(id))
    end
  end
end

-- One step of one object.
local function reconcile(self, key)
  local generation, held <close> = self.scripts:take()
  assert(held)
  local flow = generation.code:flow(key.kind)
  return flow and flow(key, self.environment:of(generation)) -- nil: its provider is gone
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
  self.imports = watch(self, "VirtualMachineImport", projections.VirtualMachineImport,
    on_import)
  self.informers = { self.imports }
  for _, kind in ipairs(kinds.built_in) do
    self.sources[kind.kind] = watch(self, kind.kind, projections.source, on_source)
    table.insert(self.informers, self.sources[kind.kind])
  end
  self.owned = {}
  for _, kind in ipairs { "VirtualMachineImage", "VirtualMachine" } do
    table.insert(self.owned, watch(self, kind, projections[kind], on_owned, IMPORTED))
  end
end

-- In these there may be images that are being downloaded.
local MAY_BE_PULLED = { sourceReady = true, disksExported = true,
  diskImageSubmitted = true }

local function say_of_import(id, message)
  local key = import_key(id)
  log.new(host_log, log.subject(key.kind, key.namespace, key.name)):warn(message)
end

-- Imports whose images are being downloaded have their routes again before the image
-- server says of any path that it does not exist.
local function publish_all(self)
  local serve = self.scripts.current.code:require("flows.import").serve
  for id, value in self.imports:each() do
    if MAY_BE_PULLED[value.state] then
      local ok, err = pcall(serve, import_key(id), self.environment.all)
      if not ok then
        say_of_import(id, "publishing its disks: " .. errors.of(err).message)
      end
    end
  end
  self.server:ready()
end

-- Memory that lists and large answers have left is given back, now and later.
local function trim()
  while true do
    env.trim_memory()
    task.sleep(TRIM_EVERY)
  end
end

-- Everything says goodbye: what tasks hold at a source is given back before the log-out.
local function say_goodbye(self, group)
  for _, watching in ipairs(group) do
    watching:cancel(0)
  end
  self.added:close()
  self.controller:stop()
  self.sessions:close()
  if self.observer then
    self.observer:forget()
  end
end

--- manager:run()                                                        [waits]
-- Until its task is cancelled; then everything says goodbye.
function methods:run()
  start_informers(self)
  local group <close> = setmetatable({}, { __close = function(group)
    task.goodbye("stops the manager", say_goodbye, self, group)
  end })
  for _, list in ipairs { self.informers, self.owned } do
    for _, i in ipairs(list) do
      group[#group + 1] = task.spawn("informer of " .. i.kind, i.run, i)
    end
  end
  for _, i in ipairs(self.informers) do
    assert(i:wait_synced(SYNC_WITHIN))
  end
  publish_all(self)
  if self.script_watch then
    self.script_watch:load()
    group[#group + 1] = task.spawn("follows the scripts", self.script_watch.run,
      self.script_watch)
  end
  self.added:use(self.scripts.current.code.sources)
  if self.on_synced then
    self.on_synced()
  end
  group[#group + 1] = task.spawn("gives memory back", trim)
  self.controller:run()
end

-- The ConfigMap of our namespace, and what changes with the scripts.
local function follow_scripts(self, opts)
  self.script_watch = opts.namespace and script_watch.new({
    client = opts.client,
    namespace = opts.namespace,
    scripts = opts.scripts,
    events = opts.events,
    changed = function()
      on_scripts(self)
    end,
  })
  local watching = self.script_watch
  opts.scripts.on_room = watching and function()
    watching:room()
  end
  self.added = added_sources.new({
    informers = self.sources,
    watch = function(kind)
      return watch(self, kind, projections.source, on_source)
    end,
    say = function(...)
      if watching then
        watching:say(...)
      end
    end,
  })
end

-- Flows find what they count on.
local function check_contracts(self)
  local generation = self.scripts.current
  assert(targets.check(self.target))
  assert(generation.code:require("flows.environment").check(
    self.environment:of(generation)))
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
--   opts.observer    controller.monitor, optional
--   opts.options     table     scratch, strict_tls, max_imports, max_per_source, poll,
--                             cross_namespace ...
function M.new(opts)
  local options = opts.options
  local self = setmetatable({
    client = opts.client,
    server = opts.server,
    on_synced = opts.on_synced,
    observer = opts.observer,
    scripts = opts.scripts,
    sources = {},
    journal = journal.new(),
  }, mt)
  self.target = target.new({
    client = opts.client,
    server = opts.server,
    base_url = opts.base_url,
    scratch = options.scratch,
    idle_timeout = options.idle_timeout,
    least_rate = options.least_rate,
    scratch_limit = options.scratch_limit,
  })
  local followed = references.new({ client = opts.client,
    mode = options.cross_namespace })
  self.sessions = sessions.new({
    store = opts.client,
    secret = secrets.reader(opts.client),
    follow = function(...)
      return followed:follow(...)
    end,
    strict_tls = options.strict_tls,
    fence = opts.fence,
    poll = options.poll,
  })
  self.environment = environment.new({
    wake = function(keys)
      wake(self, keys)
    end,
    client = opts.client,
    target = self.target,
    sessions = self.sessions,
    events = opts.events,
    options = options,
    observer = opts.observer,
    journal = self.journal,
  })
  check_contracts(self)
  follow_scripts(self, opts)
  self.controller = controller.new({
    observer = opts.observer,
    reconcile = function(key)
      return reconcile(self, key)
    end,
    crowded = function()
      return opts.client:in_line() > MOST_IN_LINE
    end,
  })
  return self
end

return M
