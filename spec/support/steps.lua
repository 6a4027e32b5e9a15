--- support.steps: one step of an import alone, on a store, a target and a source in memory.
--
-- The import has a plan of two disks, and the writer of flows.import.status. What the step
-- asks of target and source stands in world.asked, in order; Events in world.events.

local cluster = require "support.cluster"
local conditions = require "kube.conditions"
local errors = require "host.error"
local fake_source = require("support.source").new
local json = require "host.json"
local new_machine = require("support.machine").new
local status = require "flows.import.status"
local task = require "host.task"

local methods = {}
local mt = { __index = methods }

local M = {}

local NAMESPACE = "default"

local function plan()
  return {
    name = "web-01", namespace = NAMESPACE, power_state = "Running",
    disks = json.array({
      { id = "2000", name = "web-0", display_name = "Hard disk 1", capacity_bytes = 1048576,
        bus = "virtio" },
      { id = "2001", name = "web-1", display_name = "Hard disk 2", capacity_bytes = 2097152,
        bus = "sata", storage_class = "fast" },
    }),
    nics = json.array({ { id = "4000", name = "nic-0", network = "default/vlan1" } }),
    virtual_machine = { apiVersion = "kubevirt.io/v1", kind = "VirtualMachine",
      metadata = { name = "web-01", namespace = NAMESPACE, annotations = {} },
      spec = { template = { spec = { domain = { devices = {} } } } } },
  }
end

local function not_found(what)
  return nil, errors.new("notfound", what .. " does not exist")
end

-- Raw files: target.disks. `whole` and `held` are by the disk's id; a transfer goes on
-- while lasts(disk), if that is set.
local function new_disks(w)
  local disks = { whole = {}, held = {}, fail = {}, digests = {}, reads = {} }
  function disks:path(_, disk) return "/scratch/" .. disk.name .. ".raw" end
  function disks:state(_, disk) return self.whole[disk.id] and "whole" or nil end
  function disks:writer_of(_, disk) return self.held[disk.id] end
  function disks:remove(_, disk)
    w:ask("remove %s", disk.name)
    self.whole[disk.id] = nil
  end
  function disks:remove_file(name) w:ask("remove_file %s", name) end
  function disks:rename(_, old, _, new) w:ask("rename %s %s", old.name, new.name) end
  function disks:comes() return self.coming == true end
  function disks:room() return self.free, self.needed end
  function disks:promise()
    local closing = { __close = function() w:ask("gives room back") end }
    return not self.taken and setmetatable({}, closing) or nil, self.taken
  end
  function disks:space_finding() return self.finding end
  function disks:put(_, disk, stream)
    w:ask("put %s %d %s", disk.name, disk.capacity_bytes, stream.url)
    if self.put_error then
      return nil, self.put_error
    end
    local transfer = setmetatable({}, { __close = function()
      w:ask("close %s", disk.name)
    end })
    function transfer.progress()
      return self.reads[disk.id] or { position = 0, received = 0, rate = 0 }
    end
    function transfer.wait()
      repeat
        task.sleep(0.001)
      until not self.lasts or not self.lasts(disk)
      local err = table.remove(self.fail[disk.id] or {}, 1)
      if err then
        return nil, err
      end
      self.whole[disk.id] = true
      return { capacity = disk.capacity_bytes, received = 1, digests = self.digests[disk.id] }
    end
    return transfer
  end
  return disks
end

-- target.images: what Harvester says of each image, by name: a state, or an err.
-- target.stays: names of objects that do not go at once. target.found: objects that are
-- there already, by name. target.refuses: an err, by kind.
local function new_target(w)
  local target = { can = { images = true, run = true }, images = {}, stays = {}, found = {},
    refuses = {}, made = {}, sent = {}, findings = {}, copies = {}, disks = new_disks(w) }
  function target:check() return self.findings end
  function target:defaults() return {} end
  function target:backend(class)
    w:ask("backend %s", class or "default")
    return self.backends or "backingimage", self.backend_error
  end
  function target:room_problem(_, skip)
    w:ask("room_problem %s", skip)
    return self.no_room
  end
  function target:missing_network() return self.lacks_network end
  function target:copy_state(_, name) return self.copies[name] end
  function target:image_url(route) return self.base ~= false and "http://svc" .. route or nil end
  function target:publish(_, disk, route) w:ask("publish %s %s", disk.name, route) end
  function target:hold(disk, route) w:ask("hold %s %s", disk.name, route) end
  function target:forget(route) w:ask("forget %s", route) end
  function target:served(route) return self.sent[route] end
  function target:publish_stream(disk, route, stream)
    w:ask("publish_stream %s %s %s", disk.name, route, stream.url)
    local reads = self.disks.reads[disk.id] or { position = 0, received = 0, reading = 0 }
    return { progress = function() return reads end,
      close = function() w:ask("close %s", disk.name) end }
  end
  function target:image_state(_, name)
    local state = self.images[name]
    if not state then
      return not_found(name)
    elseif state.phase then
      return state
    end
    return nil, state
  end
  function target:look_again(namespace, name)
    w:ask("look_again %s/%s", namespace, name)
    return not self.look_error and true or nil, self.look_error
  end
  function target:whole_since() return self.whole_at end
  function target:delete(kind, namespace, name)
    w:ask("delete %s %s/%s", kind, namespace, name)
    if not self.stays[name] then
      self.images[name] = nil
      return true
    end
    return false, self.delete_error
  end
  function target:put(manifest)
    local name = manifest.metadata.name
    w:ask("put %s %s", manifest.kind, name)
    if self.refuses[manifest.kind] then
      return nil, self.refuses[manifest.kind]
    end
    self.made[#self.made + 1] = manifest
    return self.found[name] or manifest
  end
  function target:put_machine(manifests) self.made = manifests end
  function target:disown(kind, namespace, name, uid)
    w:ask("disown %s %s/%s %s", kind, namespace, name, uid)
    return not self.disown_error and true or nil, self.disown_error
  end
  function target:is_made_from(_, name, entries)
    w:ask("is_made_from %s %d", name, #entries)
    return self.made_from, self.made_from_error
  end
  function target:machine_state(_, name)
    if self.machine then
      return self.machine
    end
    return nil, self.machine_error or select(2, not_found(name))
  end
  return target
end

local function new_env(w, opts)
  return {
    store = w.store,
    target = w.target,
    options = opts.options or { poll = 0.001 },
    open_source = function(ref, how)
      w:ask("open_source %s %s/%s%s", ref.kind, ref.namespace, ref.name,
        how and how.fresh and " fresh" or "")
      if w.open_error then
        return nil, w.open_error
      end
      return w.source
    end,
    hook = function(_, _, builtin)
      return builtin
    end,
    now = function()
      return w.clock
    end,
    boottime = function()
      w.uptime = w.uptime + (opts.tick or 0)
      return w.uptime
    end,
    is_final = function()
      return false
    end,
    event = function(_, type, reason, note)
      w.events[#w.events + 1] = { type = type, reason = reason, note = note }
    end,
  }
end

local function merged(base, more)
  for key, value in pairs(more or {}) do
    base[key] = value
  end
  return base
end

-- The import as a step gets it; to be called again after the store was changed.
local function open(w)
  w.import = assert(w.store:get("VirtualMachineImport", NAMESPACE, "web"))
  w.writer = status.writer(w.import, w.env)
  w.ctx = setmetatable({
    writer = w.writer,
    record = function(fields)
      w.writer:record(fields)
    end,
    report = function(fields)
      w.writer:report(fields)
    end,
    advance = function(state)
      w.writer:record({ importStatus = state })
    end,
  }, { __index = w.env })
end

--- steps.world(opts) -> world
--
--   opts          as support.source's, and
--   opts.spec     table    fields of the import's spec
--   opts.status   table    fields of its status, besides machine and plan
--   opts.options  table    env.options
--   opts.tick     seconds  that pass with every look at the clock nobody sets
--   world.import, .ctx, .env, .store, .target, .source
--   world.clock   seconds  of the wall, which a spec may set
--   world.open_error  err  the source cannot be opened
function M.world(opts)
  opts = opts or {}
  local w = setmetatable({ store = cluster.new(), clock = 1.8e9, uptime = 1000, asked = {},
    events = {}, source = fake_source(opts) }, mt)
  w.target = new_target(w)
  w.env = new_env(w, opts)
  w.store:create("VirtualMachineImport", {
    apiVersion = "migration.harvesterhci.io/v1beta1",
    metadata = { name = "web", namespace = NAMESPACE, uid = "1a2b3c4d-0000" },
    spec = merged({ virtualMachineName = "web 01",
      sourceCluster = { kind = "VmwareSource", name = "vc", namespace = NAMESPACE } },
      opts.spec),
  })
  local machine = new_machine(opts.machine)
  assert(w.store:patch("VirtualMachineImport", NAMESPACE, "web", {
    status = merged({ machine = machine, plan = plan() }, opts.status),
  }, { status = true }))
  open(w)
  return w
end

--- world:ask(format, ...): something is asked of target or source
function methods:ask(format, ...)
  self.asked[#self.asked + 1] = format:format(...)
end

--- world:asked_for(pattern) -> list of those that fit
function methods:asked_for(pattern)
  local found = {}
  for _, text in ipairs(self.asked) do
    found[#found + 1] = text:find(pattern) and text or nil
  end
  return found
end

--- world:fails(f, ...) -> err
-- The err that f(import, ctx, ...) throws; it must.
function methods:fails(f, ...)
  local ok, problem = pcall(f, self.import, self.ctx, ...)
  assert(not ok, "it has not failed")
  return errors.of(problem)
end

--- world:status() -> the import's, as it is stored
function methods:status()
  return assert(self.store:get("VirtualMachineImport", NAMESPACE, "web")).status
end

--- world:condition(type), world:import_condition(type) -> condition | nil
function methods:condition(type)
  return conditions.find(self:status().conditions, type)
end

function methods:import_condition(type)
  return conditions.find(self:status().importConditions, type)
end

--- world:disk_condition(number, type) -> condition | nil
function methods:disk_condition(number, type)
  local entry = (self:status().diskImportStatus or {})[number]
  return entry and conditions.find(entry.diskConditions, type)
end

--- world:event(reason) -> the last Event of that reason, or nil
function methods:event(reason)
  local found
  for _, event in ipairs(self.events) do
    found = event.reason == reason and event or found
  end
  return found
end

--- steps.entries(...) -> list for status.diskImportStatus
-- Of the plan's disks, with these fields besides.
function M.entries(...)
  local list = json.array({})
  for i, disk in ipairs(plan().disks) do
    list[i] = merged({ diskName = disk.name, diskSize = disk.capacity_bytes,
      busType = disk.bus, diskConditions = json.array({}), diskRoute = "/r" .. i - 1 },
      (select(i, ...)))
  end
  return list
end

--- steps.is(type, status, reason, message) -> condition
function M.is(type, is, reason, message)
  return { type = type, status = is, reason = reason or "", message = message or "",
    lastTransitionTime = "2026-01-01T00:00:00Z" }
end

--- steps.ready(name) -> fields of an entry whose image, of that name, is there
function M.ready(name)
  return { VirtualMachineImage = name,
    diskConditions = json.array({ M.is("VirtualMachineImageReady", "True") }) }
end

return M
