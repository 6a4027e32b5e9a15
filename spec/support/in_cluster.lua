--- support.in_cluster: an import into a cluster, its steps run against fakes: an API server
-- in memory, a source without a network, disks and an image server that only remember.

local cluster = require "support.cluster"
local environment = require "flows.environment"
local errors = require "host.error"
local fake_source = require("support.source").new
local flow = require "flows.import"
local harvester = require "targets.harvester"
local json = require "host.json"
local targets = require "targets"
local task = require "host.task"

local M = {}

M.KEY = { namespace = "default", name = "web" }

-- Raw files that are there at once.
local function fake_disks()
  local disks = { whole = {}, fetched = 0, changed = task.signal() }
  function disks:path(_, disk) return "/scratch/" .. disk.name .. ".raw" end
  function disks:state(_, disk) return self.whole[disk.id] end
  function disks:writer_of() return nil end
  function disks:remove(_, disk) self.whole[disk.id] = nil end
  function disks:image(plan, disk) return { file = self:path(plan, disk) } end
  function disks:comes() return self.coming ~= nil end
  function disks.space_finding() end
  function disks.remove_file() end
  function disks.promise()
    return not disks.taken and setmetatable({}, { __close = function() end }) or nil,
      disks.taken
  end
  function disks.room() return disks.free or 1 << 40, 1 end
  function disks:put(_, disk)
    self.fetched = self.fetched + 1
    local transfer = setmetatable({}, { __close = function() end })
    function transfer.progress()
      return { position = disks.coming and 1 or 0, received = 0, rate = 0 }
    end
    function transfer.wait()
      task.sleep(0)
      while disks.coming do
        disks.changed:wait()
      end
      if disks.full then
        return nil, errors.new("nospace", "scratch is full")
      elseif disks.problem then
        return nil, disks.problem
      end
      disks.whole[disk.id] = "whole"
      return { capacity = disk.capacity_bytes, received = 1,
        digests = disks.digests or {} }
    end
    return transfer
  end
  return disks
end

local function fake_server()
  local server = { routes = {} }
  function server:publish(route, entry) self.routes[route] = entry end
  function server:forget(route) self.routes[route] = nil end
  function server:hold(route, size) self.routes[route] = { held = size } end
  function server.stats() return server.sent end
  return server
end

--- in_cluster.world(opts) -> world
--
--   opts           as support.source's, and
--   opts.spec      table   fields of the import's spec
--   opts.network, .provisioner, .engine, .digests
--   world.store, .source, .target, .server, .disks, .env
--   world.clock    seconds of the wall, which a spec may set
function M.world(opts)
  opts = opts or {}
  local w = { clock = 1.8e9, store = cluster.new(), source = fake_source(opts),
    server = fake_server(),
    disks = fake_disks() }
  w.target = harvester.new({ remembered = 0, client = w.store, server = w.server,
    base_url = "http://svc:8080", scratch = "/scratch" })
  w.target.disks = w.disks
  w.disks.digests = opts.digests
  w.env = {
    store = w.store, target = w.target,
    open_source = function() return w.source end,
    hook = function(_, _, builtin) return builtin end,
    now = function() return w.clock end,
    options = { poll = 0.001 },
    is_final = function() return false end,
  }
  assert(targets.check(w.target))
  assert(environment.check(w.env))
  w.store:create("StorageClass", {
    metadata = { name = "longhorn", annotations = {
      ["storageclass.kubernetes.io/is-default-class"] = "true" } },
    provisioner = opts.provisioner or "driver.longhorn.io",
    parameters = opts.engine and { dataEngine = opts.engine } or nil,
  })
  w.store:create("NetworkAttachmentDefinition", {
    metadata = { name = "vlan1", namespace = "default" } })
  w.store:create("VmwareSource", { metadata = { name = "vc", namespace = "default" }, spec = {} })
  w.store:patch("VmwareSource", "default", "vc", { status = { status = "clusterReady" } },
    { status = true })
  local spec = {
    virtualMachineName = "web 01",
    networkMapping = json.array({
      { sourceNetwork = "VM Network", destinationNetwork = opts.network or "default/vlan1" } }),
    sourceCluster = { kind = "VmwareSource", name = "vc", namespace = "default" },
  }
  for key, value in pairs(opts.spec or {}) do
    spec[key] = value
  end
  w.store:create("VirtualMachineImport", {
    apiVersion = "migration.harvesterhci.io/v1beta1",
    metadata = { name = "web", namespace = "default", uid = "1a2b3c4d-0000" },
    spec = spec,
  })
  return w
end

--- in_cluster.import(world) -> the import as it is stored
function M.import(w)
  return assert(w.store:get("VirtualMachineImport", "default", "web"))
end

--- in_cluster.state(world) -> importStatus
function M.state(w)
  return M.import(w).status.importStatus
end

--- in_cluster.run(world) -> result                                      [waits]
-- Until something has to be waited for, or nothing is left to do.
function M.run(w)
  local result
  for _ = 1, 30 do
    result = flow.reconcile(M.KEY, w.env)
    if not result or result.after > 0 then
      return result
    end
  end
  error("still going on in state " .. tostring(M.state(w)))
end

--- in_cluster.images(world) -> list
function M.images(w)
  return w.store:list("VirtualMachineImage", "default")
end

--- in_cluster.set_image(world, name, status)
function M.set_image(w, name, status)
  assert(w.store:patch("VirtualMachineImage", "default", name, { status = status },
    { status = true }))
end

--- in_cluster.all_imported(world): Harvester says that all images are there
function M.all_imported(w)
  for _, image in ipairs(M.images(w)) do
    M.set_image(w, image.metadata.name, {
      size = 1000, virtualSize = 3 * 2 ^ 20 // 1 | 0, storageClassName = "lh-x",
      conditions = json.array({ { type = "Imported", status = "True" } }),
    })
  end
end

--- in_cluster.count(map) -> integer
function M.count(map)
  local n = 0
  for _ in pairs(map) do
    n = n + 1
  end
  return n
end

return M
