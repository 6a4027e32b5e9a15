-- What becomes of the machine between its making and the import's end, whoever did it.

local cluster = require "support.cluster"
local conditions = require "kube.conditions"
local flow = require "flows.import"
local harvester = require "targets.harvester"
local json = require "host.json"

local KEY = { namespace = "default", name = "web" }

describe("flows.import.create", function()
  local store, env

  before_each(function()
    store = cluster.new()
    env = {
      store = store, options = {},
      target = harvester.new({ client = store, server = {}, base_url = "http://svc:8080",
        scratch = "/scratch" }),
      now = function() return 1.8e9 end,
      is_final = function() return false end,
    }
    env.target.disks = { remove = function() end }
    store:create("VirtualMachineImport", {
      metadata = { name = "web", namespace = "default", uid = "u-1" },
      spec = { sourceCluster = { kind = "VmwareSource", name = "vc" } },
    })
    store:patch("VirtualMachineImport", "default", "web", { status = {
      importStatus = "virtualMachineCreated", observedGeneration = 1,
      plan = { name = "web-01", namespace = "default", power_state = "Running",
        disks = json.array({ { id = "1", name = "d-0" }, { id = "2", name = "d-1" } }) },
    } }, { status = true })
    store:create("VirtualMachine", { metadata = { name = "web-01", namespace = "default" },
      spec = { runStrategy = "RerunOnFailure" } })
    store:create("PersistentVolumeClaim", { metadata = { name = "d-0",
      namespace = "default" } })
  end)

  local function import_of()
    return assert(store:get("VirtualMachineImport", "default", "web"))
  end

  local function said(type)
    return conditions.find(import_of().status.conditions, type)
  end

  it("waits for a machine that does not run yet", function()
    assert.equal(60, flow.reconcile(KEY, env).after)
    assert.equal("WaitingForMachine", said("Reconciling").reason)
  end)

  it("ends when its owner has deleted it, and says what is left", function()
    store:delete("VirtualMachine", "default", "web-01")
    assert.is_nil(flow.reconcile(KEY, env))
    local status = import_of().status
    assert.equal("VMMigrationFailed", status.importStatus)
    assert.is_nil(status.attempt)
    assert.equal("MachineDeleted", said("Stalled").reason)
    assert.equal("VirtualMachine default/web-01 was deleted after this import had made "
      .. "it; claims d-0 are kept, claims d-1 are gone", said("Stalled").message)
    assert.truthy(store:get("PersistentVolumeClaim", "default", "d-0"))
  end)

  it("ends well when its owner has stopped it, by either field", function()
    for _, spec in ipairs { { runStrategy = "Halted" },
      { runStrategy = json.null, running = false } } do
      store:patch("VirtualMachine", "default", "web-01", { spec = spec })
      assert.is_nil(flow.reconcile(KEY, env))
      assert.equal("virtualMachineCreated", import_of().status.importStatus)
      assert.equal("StoppedByOwner", said("Ready").reason)
      assert.equal("True", said("Ready").status)
    end
    -- and is done for good, whatever becomes of the machine
    store:delete("VirtualMachine", "default", "web-01")
    assert.is_nil(flow.reconcile(KEY, env))
    assert.equal("StoppedByOwner", said("Ready").reason)
  end)

  it("says that it runs when it is started after all", function()
    store:patch("VirtualMachine", "default", "web-01", { spec = { runStrategy = "Halted" } })
    flow.reconcile(KEY, env)
    store:patch("VirtualMachine", "default", "web-01",
      { status = { printableStatus = "Running" } }, { status = true })
    assert.is_nil(flow.reconcile(KEY, env))
    assert.equal("virtualMachineRunning", import_of().status.importStatus)
    assert.equal("Running", said("Ready").reason)
  end)
end)
