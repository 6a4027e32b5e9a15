--- controller.monitor: what the controller shows of itself: health, readiness, metrics.
--
-- A replica is ready while it leads and knows all imports, or knows who does. No label
-- holds the name of an object: what is asked for by name is in that object's status.

local env = require "host.env"
local file = require "host.file"
local log = require "host.log"
local metrics = require "host.metrics"
local process = require "host.process"
local task = require "host.task"

local methods = {}
local mt = { __name = "monitor", __index = methods }

local M = {}

-- A server that answers nobody, where the port is not to be had.
local NOBODY = { ready = function() end }

local LOOK_EVERY = 1       -- seconds between two looks at what moves
local SCRATCH_EVERY = 15   -- of these looks between two at the scratch space

local LATENCIES = { 0.01, 0.05, 0.25, 1, 5, 15, 60, 300 }
local DURATIONS = { 10, 30, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400 }

-- Objects are written by others: a state that is none must not become a series.
local STATES = {
  VirtualMachineImport = {
    [""] = "new", virtualMachineImportValid = true, virtualMachineImportInvalid = true,
    sourceReady = true, disksExported = true, diskImageSubmitted = true,
    diskImageFailed = true, diskImagesReady = true, virtualMachineCreated = true,
    virtualMachineRunning = true, VMMigrationFailed = true,
  },
  source = { [""] = "new", clusterReady = true, clusterNotReady = true },
}

local RESULTS = { virtualMachineRunning = "success", VMMigrationFailed = "error" }

local function state_of(states, text)
  local state = states[text or ""]
  return state == true and text or state or "other"
end

local function define()
  return {
    requests = metrics.counter("vm_import_api_requests_total",
      "Requests to the Kubernetes API, by method and status.", { "method", "code" }),
    busiest = metrics.gauge("vm_import_object_requests_per_minute",
      "Requests to the Kubernetes API within a minute, of the object that asks most."),
    held = metrics.counter("vm_import_object_requests_held_total",
      "Requests to the Kubernetes API that had to wait: their object asks too often."),
    reconciles = metrics.counter("vm_import_reconciles_total",
      "Objects looked at, by kind and outcome.", { "kind", "result" }),
    latency = metrics.histogram("vm_import_queue_latency_seconds",
      "How long objects that were due waited for their turn.", nil, LATENCIES),
    waiting = metrics.gauge("vm_import_queue_objects",
      "Objects in the queue: waiting for their time, or worked on.", { "state" }),
    leading = metrics.gauge("vm_import_leader",
      "1 while this replica leads and knows all imports."),
    imports = metrics.gauge("vm_import_imports",
      "VirtualMachineImports by importStatus, where this replica leads.", { "state" }),
    sources = metrics.gauge("vm_import_sources",
      "Sources by kind and status, where this replica leads.", { "kind", "state" }),
    finished = metrics.counter("vm_import_imports_finished_total",
      "Imports that have come to an end, by outcome.", { "result" }),
    disks = metrics.histogram("vm_import_disk_duration_seconds",
      "How long reading one disk from its source took.", { "result" }, DURATIONS),
    received = metrics.counter("vm_import_disk_received_bytes_total",
      "Bytes of disks that came from the sources, as they are on the wire."),
    decoded = metrics.counter("vm_import_disk_decoded_bytes_total",
      "Bytes of disks passed, holes included."),
    transfers = metrics.gauge("vm_import_disk_transfers",
      "Disks that are being read from their sources now."),
    free = metrics.gauge("vm_import_scratch_free_bytes",
      "Free space where disks wait for their download."),
    size = metrics.gauge("vm_import_scratch_size_bytes",
      "Size of the file system where disks wait for their download."),
    confinement = metrics.gauge("vm_import_confinement",
      "1 where the kernel can confine qemu-img and site scripts so.", { "by" }),
    build = metrics.gauge("vm_import_build_info", "1; what runs.", { "version" }),
  }
end

-- Series that are shown from the start, so that the first change is seen as one.
local function begin(m)
  m.leading:set(0)
  m.busiest:set(0)
  m.held:add(0)
  m.build:set(1, { version = env.version() })
  for by, offered in pairs(process.confinement()) do
    m.confinement:set(offered and 1 or 0, { by = by })
  end
  for _, result in ipairs { "success", "error" } do
    m.finished:add(0, { result = result })
  end
  for _, state in ipairs { "waiting", "running" } do
    m.waiting:set(0, { state = state })
  end
end

-- By how much it has grown; what is less than before was begun anew.
local function grown(now, before)
  return now >= before and now - before or now
end

-- When it was first read, and when it was last read to a sound end. What is passed on is
-- read when somebody asks for it, perhaps more than once.
local function note_times(self, now, seen)
  seen.reading = not now.reading or now.reading > 0
  if not seen.at and (seen.reading or now.reads > 0) then
    seen.at = self.clock()
  end
  if now.sound and now.sound > seen.sound then
    seen.sound, seen.whole_at = now.sound, self.clock()
  end
end

-- Adds what has come since the last look; nil: the transfer is over.
local function follow(self, transfer, seen)
  local ok, now = pcall(transfer.progress, transfer)
  if not ok then
    return nil
  end
  local fetched, passed = now.fetched or now.received, now.passed or now.position
  self.metrics.received:add(grown(fetched, seen.fetched))
  self.metrics.decoded:add(grown(passed, seen.passed))
  seen.fetched, seen.passed = fetched, passed
  note_times(self, now, seen)
  return seen
end

--- monitor:look(): at all that moves; happens by itself every second
function methods:look()
  local count = 0
  for transfer, seen in pairs(self.moving) do
    self.moving[transfer] = follow(self, transfer, seen)
    count = count + (self.moving[transfer] and seen.reading and 1 or 0)
  end
  self.metrics.transfers:set(count)
  local meter = self.meter
  if meter then
    self.metrics.busiest:set(meter:most())
    self.metrics.held:add(meter.held - self.held)
    self.held = meter.held
  end
end

local function look_at_scratch(self)
  local space = file.statfs(self.scratch)
  if space then
    self.metrics.free:set(space.free_bytes)
    self.metrics.size:set(space.total_bytes)
  end
end

local function watch(self)
  local turn = 0
  while true do
    if turn % SCRATCH_EVERY == 0 then
      look_at_scratch(self)
    end
    turn = turn + 1
    self:look()
    task.sleep(LOOK_EVERY)
  end
end

-- One more of `now` and one less of `before`; nil: none.
local function shift(gauge, before, now)
  for _, change in ipairs { { before, -1 }, { now, 1 } } do
    if change[1] then
      gauge:add(change[2], change[1])
    end
  end
end

--- monitor:ready(is_ready, why, leads): for /readyz
function methods:ready(is_ready, why, leads)
  self.metrics.leading:set(leads and 1 or 0)
  self.server:ready(is_ready, why)
end

--- monitor:request(method, status): of the Kubernetes API
function methods:request(method, status)
  self.metrics.requests:add(1, { method = method, code = tostring(status) })
end

--- monitor:follow_meter(meter): how often objects make us ask (kube.meter)
function methods:follow_meter(meter)
  self.meter, self.held = meter, 0
end

--- monitor:started(late, waiting, running): an object's turn has come
function methods:started(late, waiting, running)
  self.metrics.latency:observe(math.max(late, 0))
  self:queued(waiting, running)
end

--- monitor:queued(waiting, running)
function methods:queued(waiting, running)
  self.metrics.waiting:set(waiting, { state = "waiting" })
  self.metrics.waiting:set(running, { state = "running" })
end

--- monitor:ended(key, ok): its turn is over
function methods:ended(key, ok)
  local result = ok and "success" or "error"
  self.metrics.reconciles:add(1, { kind = key.kind, result = result })
end

--- monitor:import(now, before)
-- What controller.projections makes of an import, now and before; nil: it is not there.
function methods:import(now, before)
  local function labels(value)
    return value and { state = state_of(STATES.VirtualMachineImport, value.state) }
  end
  shift(self.metrics.imports, labels(before), labels(now))
  local result = now and before and now.state ~= before.state and RESULTS[now.state]
  if result then
    self.metrics.finished:add(1, { result = result })
  end
end

--- monitor:source(kind, now, before): the same of a source
function methods:source(kind, now, before)
  local function labels(value)
    return value and { kind = kind, state = state_of(STATES.source, value.state) }
  end
  shift(self.metrics.sources, labels(before), labels(now))
end

--- monitor:forget(): this replica leads no more; what it counted is another's now
function methods:forget()
  self.metrics.imports:remove()
  self.metrics.sources:remove()
  self:queued(0, 0)
end

--- monitor:disk_started(import, disk, transfer): as flows.environment has it
function methods:disk_started(_, _, transfer)
  self.moving[transfer] = follow(self, transfer, { fetched = 0, passed = 0, sound = 0 })
end

--- monitor:disk_ended(import, disk, transfer, result, err): as flows.environment has it
-- One that nobody has read has taken no time.
function methods:disk_ended(_, _, transfer, result)
  local seen = self.moving[transfer]
  if not seen then
    return
  end
  follow(self, transfer, seen)
  self.moving[transfer] = nil
  if seen.at then
    self.metrics.disks:observe((result and seen.whole_at or self.clock()) - seen.at,
      { result = result and "success" or "error" })
  end
end

--- monitor.serve(opts) -> monitor
-- Listens there; where that fails the controller works on without, and says so.
--
--   opts.host, opts.port
--   opts.debug_tasks  boolean  there is /debug/tasks, too
--   opts.scratch  path whose free space is shown
--   opts.clock    function () -> seconds
--   monitor.server  to be kept
function M.serve(opts)
  local server, err = metrics.serve({ host = opts.host, port = opts.port,
    debug_tasks = opts.debug_tasks })
  if not server then
    log.warn("health and metrics are not served: " .. err.message)
    server = NOBODY
  end
  local self = setmetatable({
    server = server,
    scratch = opts.scratch,
    clock = opts.clock,
    metrics = define(),
    moving = {},
  }, mt)
  begin(self.metrics)
  task.spawn("watches the figures", watch, self)
  return self
end

return M
