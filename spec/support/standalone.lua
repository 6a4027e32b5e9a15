--- support.standalone: an import into a directory, its steps run against fakes: a store in
-- memory, a source without a network, a target that only remembers.

local cluster = require "support.cluster"
local conditions = require "kube.conditions"
local environment = require "flows.environment"
local fake_source = require("support.source").new
local flow = require "flows.import"
local targets = require "targets"
local task = require "host.task"

local M = {}

M.KEY = { namespace = "default", name = "web" }

local function fake_target()
  local target = {
    whole = {}, machines = {}, can = { images = false, run = false }, fetched = {},
    fail = {}, disks = {},
  }
  function target:check() return {} end
  function target:image_url() return nil end
  function target:put_machine(manifests) self.machines = manifests end
  function target.disks:path(_, disk) return "/out/" .. disk.name .. ".raw" end
  function target.disks:state(_, disk) return target.whole[disk.id] end
  function target.disks:writer_of() return target.writer end
  function target.disks:remove(_, disk) target.whole[disk.id] = nil end
  function target.disks:rename() end
  function target.disks:space_finding() end
  function target.disks:put(_, disk)
    target.fetched[#target.fetched + 1] = disk.id
    local transfer = setmetatable({}, { __close = function() end })
    function transfer.progress() return { position = 0, received = 0, rate = 0 } end
    function transfer.wait()
      task.sleep(0)
      local failures = target.fail[disk.id]
      if failures and #failures > 0 then
        return nil, table.remove(failures, 1)
      end
      target.whole[disk.id] = "whole"
      return { capacity = disk.capacity_bytes, received = 1, digests = { sha1 = "aa" } }
    end
    return transfer
  end
  return target
end

--- standalone.world(opts) -> world
--
--   opts          as support.source's, and
--   opts.spec     table    fields of the import's spec
--   opts.tick     seconds  that pass with every look at the clock
--   opts.open_error  err   the source cannot be opened
--   world.store, .source, .target, .env
--   world.clock   seconds  of the wall, which a spec may set
--   world.uptime  seconds  of the clock that nobody sets
function M.world(opts)
  opts = opts or {}
  local w = {
    store = cluster.new(), source = fake_source(opts), target = fake_target(),
    clock = 1.8e9, uptime = 1000,
  }
  w.env = {
    store = w.store,
    target = w.target,
    open_source = function()
      if opts.open_error then
        return nil, opts.open_error
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
      w.clock = w.clock + (opts.tick or 0)
      return w.uptime
    end,
    options = { poll = 0.001 },
    is_final = function(err)
      return err.kind == "denied"
    end,
  }
  assert(targets.check(w.target))
  assert(environment.check(w.env))
  w.store:create("VmwareSource", {
    metadata = { name = "vc", namespace = "default" },
    spec = {},
  })
  w.store:patch("VmwareSource", "default", "vc", { status = { status = "clusterReady" } },
    { status = true })
  local spec = {
    virtualMachineName = "web 01",
    sourceCluster = { kind = "VmwareSource", name = "vc", namespace = "default",
      apiVersion = "migration.harvesterhci.io/v1beta1" },
  }
  for key, value in pairs(opts.spec or {}) do
    spec[key] = value
  end
  w.store:create("VirtualMachineImport", {
    metadata = { name = "web", namespace = "default", uid = "1a2b3c4d-0000" },
    spec = spec,
  })
  return w
end

--- standalone.import(world) -> the import as it is stored
function M.import(w)
  return assert(w.store:get("VirtualMachineImport", "default", "web"))
end

--- standalone.run(world, most?) -> states, result                       [waits]
-- Until an end, or a wait: the states passed and the last result.
function M.run(w, most)
  local states, result = {}, nil
  for _ = 1, most or 20 do
    result = flow.reconcile(M.KEY, w.env)
    local state = M.import(w).status.importStatus
    if state ~= states[#states] then
      states[#states + 1] = state
    end
    if not result or result.after > 0 then
      break
    end
  end
  return states, result
end

--- standalone.condition(world, type) -> one of status.conditions
function M.condition(w, type)
  return conditions.find(M.import(w).status.conditions, type)
end

return M
