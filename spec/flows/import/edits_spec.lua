-- A spec that is changed at every stage of its import.

local cluster = require "support.cluster"
local conditions = require "kube.conditions"
local edits = require "flows.import.edits"
local flow = require "flows.import"
local json = require "host.json"
local kinds = require "cli.shape"

local KEY = { namespace = "default", name = "web" }
local SPEC = { virtualMachineName = "web 01", folder = json.null,
  sourceCluster = { kind = "VmwareSource", name = "vc", apiVersion = json.null },
  networkMapping = json.array({ { sourceNetwork = "a", destinationNetwork = "b" } }) }

describe("flows.import.edits", function()
  local store, env

  before_each(function()
    store = cluster.new()
    env = {
      store = store, options = {}, now = function() return 1.8e9 end,
      is_final = function() return false end,
      target = { can = { run = true, images = true } },
    }
    function env.target.machine_state()
      return { running = false, message = "starting" }
    end
    store:create("VirtualMachineImport", {
      metadata = { name = "web", namespace = "default", uid = "u-1" }, spec = SPEC })
  end)

  local function import_of()
    return assert(store:get("VirtualMachineImport", "default", "web"))
  end

  local function at(state, ready)
    store:patch("VirtualMachineImport", "default", "web", { status = {
      importStatus = state, observedGeneration = 1,
      conditions = ready and json.array({ { type = "Ready", status = "True",
        reason = ready, message = "m", observedGeneration = 1 } }) or json.array({}),
      plan = { name = "web-01", namespace = "default", disks = json.array({}),
        power_state = ready == "Stopped" and "Stopped" or "Running" },
      plannedFrom = edits.fixed(SPEC),
    } }, { status = true })
  end

  local function edit(spec)
    store:patch("VirtualMachineImport", "default", "web", { spec = spec })
    flow.reconcile(KEY, env)
  end

  local function said(type)
    return conditions.find(import_of().status.conditions, type)
  end

  it("say of a running import what they were ignored for, until they are set back", function()
    at("virtualMachineCreated")
    edit({ virtualMachineName = "db", folder = "x" })
    assert.equal("True", said("SpecChangeIgnored").status)
    assert.truthy(said("SpecChangeIgnored").message:find(
      "ignored: spec.virtualMachineName, spec.folder;", 1, true))
    assert.equal(2, import_of().status.observedGeneration)
    assert.equal(2, said("SpecChangeIgnored").observedGeneration)
    edit({ virtualMachineName = "web 01", folder = "" })
    assert.equal("False", said("SpecChangeIgnored").status)
    assert.equal(3, import_of().status.observedGeneration)
  end)

  it("say nothing of what counts still", function()
    at("virtualMachineCreated")
    edit({ maxRetries = 9, giveUpAfter = "1h", networkMapping = SPEC.networkMapping })
    assert.is_nil(said("SpecChangeIgnored"))
    assert.equal(2, import_of().status.observedGeneration)
  end)

  it("keep Ready, with the generation, of one that has ended", function()
    for _, row in ipairs { { "virtualMachineRunning", "Running" },
      { "virtualMachineCreated", "Stopped" } } do
      for _, change in ipairs { { maxRetries = 1 }, { virtualMachineName = "db" },
        { cancelled = true } } do
        at(row[1], row[2])
        edit({ maxRetries = json.null, cancelled = json.null, virtualMachineName = "web 01" })
        at(row[1], row[2])
        edit(change)
        local import = import_of()
        assert.equal(row[1], import.status.importStatus)
        assert.equal("True", said("Ready").status)
        assert.equal(row[2], said("Ready").reason)
        assert.equal(import.metadata.generation, said("Ready").observedGeneration)
        assert.equal(import.metadata.generation, import.status.observedGeneration)
        assert.truthy(said("SpecChangeIgnored").message:find("had ended", 1, true))
      end
    end
  end)

  it("know every field of the spec", function()
    local counts = { forcePowerOff = 1, gracefulShutdownTimeoutSeconds = 1, cancelled = 1,
      maxRetries = 1, giveUpAfter = 1, onFailure = 1 }
    for _, name in ipairs(edits.FIXED) do
      assert.is_nil(counts[name])
      counts[name] = 1
    end
    for name in pairs(kinds.SPECS.VirtualMachineImport) do
      assert.truthy(counts[name], name .. " may change, or may not")
    end
  end)
end)

describe("flows.import.edits.unseen", function()
  local function unseen(state, seen, ready)
    return edits.unseen({ metadata = { generation = 2 }, status = { importStatus = state,
      observedGeneration = seen, conditions = ready and { ready } } })
  end

  for state, under_way in pairs { sourceReady = true, disksExported = true,
    diskImageSubmitted = true, diskImageFailed = true, diskImagesReady = true,
    virtualMachineCreated = true, virtualMachineRunning = true, VMMigrationFailed = false,
    virtualMachineImportValid = false, virtualMachineImportInvalid = false } do
    it(("is %s of %s"):format(under_way, state), function()
      assert.equal(under_way, unseen(state, 1))
      assert.is_false(unseen(state, 2))
      assert.is_false(unseen(state, nil))
    end)
  end

  it("is so when Ready is of another generation", function()
    local function ready(status, generation)
      return unseen("disksExported", 2, { type = "Ready", status = status,
        observedGeneration = generation })
    end
    assert.is_true(ready("True", 1))
    assert.is_false(ready("True", 2))
    assert.is_false(ready("True", nil))
    assert.is_false(ready("False", 1))
  end)

  it("is not so of one that nobody has begun", function()
    assert.is_false(edits.unseen({ metadata = { generation = 2 } }))
  end)
end)

describe("flows.import.edits.fixed", function()
  it("takes an absent field, null, an empty text or list and false for one", function()
    local spec = { folder = "", storageClass = json.null, dryRun = false,
      networkMapping = json.array({}), diskMapping = json.array({ { a = "" } }),
      targetName = "x", transferMode = "Auto", skipPreflightChecks = true }
    assert.same({ targetName = "x", transferMode = "Auto", skipPreflightChecks = true },
      edits.fixed(spec))
  end)
end)
