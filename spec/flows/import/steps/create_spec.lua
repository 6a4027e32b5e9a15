-- What becomes of the machine between its making and the import's end, whoever did it.

local cluster = require "support.cluster"
local conditions = require "kube.conditions"
local flow = require "flows.import"
local harvester = require "targets.harvester"
local json = require "host.json"
local create = require "flows.import.steps.create"
local errors = require "host.error"
local steps = require "support.steps"

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

describe("flows.import.steps.create, alone,", function()
  local READY = { phase = "ready", size = 1048576, storage_class = "lh-web-0" }

  local function ready(opts)
    local w = steps.world(opts)
    w.import.status.importStatus = "diskImagesReady"
    w.target.images = { ["web-0-img"] = READY, ["web-1-img"] = READY }
    return w
  end

  local function run(w)
    return create.run(w.import, w.ctx)
  end

  local function claims(w)
    local list = {}
    for i, made in ipairs(w.target.made) do
      list[i] = ("%s %s"):format(made.kind, made.metadata.name)
    end
    return list
  end

  it("makes claims and machine, each recorded before, and hands all over", function()
    local w = ready({ status = { diskImportStatus = steps.entries(
      { VirtualMachineImage = "other-img" }) } })
    w.target.images["other-img"] = { phase = "ready", size = 5 * 2 ^ 20 | 0,
      storage_class = "lh-other" }
    local outcome = run(w)
    assert.equal("virtualMachineCreated", outcome.state)
    assert.same({}, outcome.fields.recorded)
    assert.same({ "PersistentVolumeClaim web-0", "PersistentVolumeClaim web-1",
      "VirtualMachine web-01" }, claims(w))
    assert.same({ { kind = "PersistentVolumeClaim", name = "web-0", diskID = "2000" },
      { kind = "PersistentVolumeClaim", name = "web-1", diskID = "2001" },
      { kind = "VirtualMachine", name = "web-01" } }, w:status().recorded)
    local claim = w.target.made[1]
    assert.equal("default/other-img", claim.metadata.annotations["harvesterhci.io/imageId"])
    assert.equal("lh-other", claim.spec.storageClassName)
    assert.equal("5Mi", claim.spec.resources.requests.storage)
    local templates = w.target.made[3].metadata.annotations["harvesterhci.io/volumeClaimTemplates"]
    assert.truthy(templates:find("lh-other", 1, true))
    assert.same({ "disown VirtualMachineImage default/other-img 1a2b3c4d-0000",
      "disown VirtualMachineImage default/web-1-img 1a2b3c4d-0000" }, w:asked_for("^disown"))
  end)

  it("copies images of CDI", function()
    local w = ready()
    w.target.images["web-0-img"] = { phase = "ready", size = 1, storage_class = "c",
      backend = "cdi" }
    run(w)
    assert.same({ "DataVolume web-0", "PersistentVolumeClaim web-1", "VirtualMachine web-01" },
      claims(w))
    assert.equal("DataVolume", w:status().recorded[1].kind)
  end)

  it("needs no image that has gone once all is made, but must be told", function()
    local w = ready()
    w.target.disown_error = errors.new("notfound", "gone")
    assert.equal("virtualMachineCreated", run(w).state)
    w.target.disown_error = errors.new("connect", "refused")
    assert.equal("refused", w:fails(create.run).message)
  end)

  for what, state in pairs { ["has gone"] = false, ["is none any more"] = { phase = "failed" } } do
    it("makes nothing of an image that " .. what, function()
      local w = ready()
      w.target.images["web-1-img"] = state or nil
      local outcome = run(w)
      assert.equal("diskImageFailed", outcome.state)
      assert.truthy(outcome.message:find("^image web%-1%-img is not ready any more; attempt 2"))
      assert.same({}, claims(w))
    end)
  end

  it("does not take for gone an image that it cannot look at", function()
    local w = ready()
    w.target.images["web-1-img"] = errors.new("connect", "refused")
    assert.equal("refused", w:fails(create.run).message)
  end)

  it("makes nothing while a network is missing", function()
    local w = ready()
    w.target.lacks_network = w.import.status.plan.nics[1]
    assert.equal("NetworkGone", w:fails(create.run).outage)
    assert.same({}, claims(w))
  end)

  describe("in a directory", function()
    local function written(base)
      local w = steps.world()
      w.target.can = { images = false, run = false }
      w.target.base = base
      return w, run(w)
    end

    it("writes claims and machine", function()
      local w, outcome = written(false)
      assert.same({ "PersistentVolumeClaim web-0", "PersistentVolumeClaim web-1",
        "VirtualMachine web-01" }, claims(w))
      assert.same({ done = "Written",
        message = "2 disks and the manifests of web-01 are written" }, outcome)
      assert.is_nil(w.target.made[1].metadata.annotations)
    end)

    it("writes images too, where somebody will serve them", function()
      local w = written(nil)
      assert.same({ "VirtualMachineImage web-0-img", "PersistentVolumeClaim web-0",
        "VirtualMachineImage web-1-img", "PersistentVolumeClaim web-1",
        "VirtualMachine web-01" }, claims(w))
      assert.equal("http://svc" .. w:status().diskImportStatus[1].diskRoute,
        w.target.made[1].spec.url)
      assert.equal("default/web-0-img",
        w.target.made[2].metadata.annotations["harvesterhci.io/imageId"])
    end)
  end)

  describe("of a machine that is made", function()
    local function made(machine, plan, opts)
      local w = steps.world(opts)
      w.import.status.importStatus = "virtualMachineCreated"
      for key, value in pairs(plan or {}) do
        w.import.status.plan[key] = value
      end
      w.target.machine = machine
      return w
    end

    it("is done when it runs", function()
      assert.same({ done = "Running", message = "web-01 runs", state = "virtualMachineRunning" },
        run(made({ running = true })))
    end)

    it("waits until it does", function()
      assert.same({ wait = "WaitingForMachine", after = 60, message = "web-01: Starting" },
        run(made({ message = "Starting" })))
    end)

    it("is done when it shall not", function()
      assert.same({ done = "Stopped",
        message = "web-01 is created, and stays stopped as asked for" },
        run(made(nil, { power_state = "Stopped" })))
    end)

    it("waits for copies of one that shall not, or that was stopped", function()
      for _, w in ipairs { made(nil, { power_state = "Stopped" }), made({ stopped = true }) } do
        w.target.copies = { ["web-1"] = "Pending" }
        local outcome = run(w)
        assert.equal("ClonePending", outcome.wait)
        assert.equal(10, outcome.after)
        assert.equal("web-01 is created; its images are being copied, and stay until they are: "
          .. "disk 2/2 into claim web-1: Pending", outcome.message)
        w.target.copies["web-0"] = "Copying"
        assert.truthy(run(w).message:find("disk 1/2 into claim web-0: Copying; disk 2/2", 1, true))
      end
    end)

    it("is done when somebody has stopped it", function()
      local outcome = run(made({ stopped = true }))
      assert.equal("StoppedByOwner", outcome.done)
      assert.is_nil(outcome.state)
      assert.truthy(outcome.message:find("^web%-01 was made to run"))
    end)

    it("does not take for deleted what it cannot be told", function()
      local w = made()
      w.target.machine_error = errors.new("connect", "refused")
      assert.equal("refused", w:fails(create.run).message)
    end)

    it("says which claims a deleted one has left", function()
      local w = made()
      w.store:create("PersistentVolumeClaim", { metadata = { name = "web-1",
        namespace = "default" } })
      local err = w:fails(create.run)
      assert.equal("MachineDeleted", err.reason)
      assert.is_true(err.final)
      assert.truthy(err.message:find("; claims web-0 are gone, claims web-1 are kept", 1, true))
      function w.store.get() return nil, errors.new("connect", "refused") end
      assert.equal("refused", w:fails(create.run).message)
    end)

    it("leaves one alone that was ready before it was deleted", function()
      local w = made(nil, nil, { status = { conditions = json.array({
        steps.is("Ready", "True") }) } })
      assert.same({ leave = true }, run(w))
    end)

    it("goes by the import's own name where an earlier controller has made it", function()
      local function old(machine)
        local w = made(machine)
        w.import.status.plan = nil
        w.import.status.importedVirtualMachineName = "old"
        return w
      end
      assert.equal("old runs", run(old({ running = true })).message)
      assert.equal("StoppedByOwner", run(old({ stopped = true })).done)
      assert.truthy(old():fails(create.run).message:find("VirtualMachine default/old was deleted "
        .. "after this import had made it$"))
    end)
  end)
end)
