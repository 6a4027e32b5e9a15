-- The steps of an import into a cluster, on an in-memory one.

local conditions = require "kube.conditions"
local errors = require "host.error"
local flow = require "flows.import"
local in_cluster = require "support.in_cluster"
local json = require "host.json"

local KEY = in_cluster.KEY
local world, run, state = in_cluster.world, in_cluster.run, in_cluster.state
local import_of, images, count = in_cluster.import, in_cluster.images, in_cluster.count
local set_image, all_imported = in_cluster.set_image, in_cluster.all_imported

describe("flows.import in a cluster", function()
  it("submits an image per disk with routes of its own, owned by the import", function()
    local w = world()
    run(w)
    assert.equal("diskImageSubmitted", state(w))
    assert.equal(2, #images(w))
    assert.equal(2, count(w.server.routes))
    for i, image in ipairs(images(w)) do
      local entry = import_of(w).status.diskImportStatus[i]
      assert.equal("http://svc:8080" .. entry.diskRoute, image.spec.url)
      assert.truthy(w.server.routes[entry.diskRoute])
      assert.equal(image.metadata.name, entry.VirtualMachineImage)
      assert.equal("backingimage", image.spec.backend)
      assert.equal("1a2b3c4d-0000", image.metadata.ownerReferences[1].uid)
      assert.is_true(conditions.is_true(entry.diskConditions, "VirtualMachineImageSubmitted"))
    end
    assert.equal(1, #import_of(w).metadata.finalizers)
  end)

  it("waits for the images, says how far they are, then makes claims and machine", function()
    local w = world()
    run(w)
    set_image(w, images(w)[1].metadata.name, { progress = 43 })
    run(w)
    local working = conditions.find(import_of(w).status.conditions, "Reconciling")
    assert.truthy(working.message:find("image 1/2 43 %", 1, true))
    all_imported(w)
    run(w)
    assert.equal("virtualMachineCreated", state(w))
    assert.equal(0, count(w.server.routes))
    assert.equal(0, count(w.disks.whole))
    local claims = w.store:list("PersistentVolumeClaim", "default")
    assert.equal(2, #claims)
    assert.equal("3Mi", claims[1].spec.resources.requests.storage)
    assert.equal("lh-x", claims[1].spec.storageClassName)
    assert.equal("default/" .. images(w)[1].metadata.name,
      claims[1].metadata.annotations["harvesterhci.io/imageId"])
    for _, image in ipairs(images(w)) do
      assert.equal(0, #image.metadata.ownerReferences)
    end
    assert.equal(0, #import_of(w).metadata.finalizers)

    local result = run(w)
    assert.equal(60, result.after)
    w.store:patch("VirtualMachine", "default", "web-01",
      { status = { printableStatus = "Running" } }, { status = true })
    assert.is_nil(run(w))
    assert.equal("virtualMachineRunning", state(w))
    assert.equal("True", conditions.find(import_of(w).status.conditions, "Ready").status)
    assert.is_nil((flow.reconcile(KEY, w.env)))
  end)

  it("does not start the copy while its source runs, and fetches it again then", function()
    local w = world()
    run(w)
    all_imported(w)
    w.source.power, w.source.epoch = "on", "2"
    assert.equal(30, run(w).after)
    assert.equal("SourceRunning", conditions.find(import_of(w).status.conditions,
      "Reconciling").reason)
    assert.equal("diskImagesReady", state(w))
    assert.equal(0, #w.store:list("VirtualMachine", "default"))
    w.source.power = "off"
    run(w)
    assert.equal("diskImageSubmitted", state(w))
    assert.equal(4, w.disks.fetched)
    all_imported(w)
    run(w)
    assert.equal("virtualMachineCreated", state(w))
  end)

  it("makes the copy of a machine that was removed at its source meanwhile", function()
    local w = world()
    run(w)
    all_imported(w)
    function w.source.power_state()
      return nil, errors.final(errors.new("gone", "web-01 does not exist any more"))
    end
    run(w)
    assert.equal("virtualMachineCreated", state(w))
    assert.equal(1, #w.store:list("VirtualMachine", "default"))
  end)

  it("keeps what was fetched while its source object is not there", function()
    local w = world()
    run(w)
    all_imported(w)
    local open = w.env.open_source
    w.env.open_source = function()
      return nil, errors.new("notfound", "VmwareSource default/vc does not exist",
        { reason = "SourceNotFound" })
    end
    for _ = 1, 10 do
      assert.equal(30, run(w).after)
    end
    assert.equal("diskImagesReady", state(w))
    assert.equal("SourceNotFound", conditions.find(import_of(w).status.conditions,
      "Reconciling").reason)
    assert.equal(2, #images(w))
    w.env.open_source = open
    run(w)
    assert.equal("virtualMachineCreated", state(w))
  end)

  it("takes nothing back of a copy that is there, whatever its source does", function()
    local w = world()
    run(w)
    all_imported(w)
    local put = w.target.put
    function w.target.put(...)
      local made, err = put(...)
      if made and made.kind == "VirtualMachine" then
        error("killed", 0)
      end
      return made, err
    end
    pcall(run, w)
    assert.equal(1, #w.store:list("VirtualMachine", "default"))
    w.target.put = nil
    w.source.power, w.source.epoch = "on", "2"
    run(w)
    assert.equal("virtualMachineCreated", state(w))
  end)

  it("passes on what KubeVirt says of a machine that does not run", function()
    local w = world()
    run(w)
    all_imported(w)
    run(w)
    w.store:patch("VirtualMachine", "default", "web-01", { status = {
      printableStatus = "ErrorUnschedulable",
      conditions = json.array({ { type = "Ready", status = "False", message = "no node fits" } }),
    } }, { status = true })
    run(w)
    assert.equal("virtualMachineCreated", state(w))
    local working = conditions.find(import_of(w).status.conditions, "Reconciling")
    assert.truthy(working.message:find("ErrorUnschedulable: no node fits", 1, true))
  end)

  it("leaves the machine stopped when asked to, and that is a good end", function()
    local w = world({ spec = { targetPowerState = "Stopped" } })
    run(w)
    all_imported(w)
    assert.is_nil(run(w))
    assert.equal("virtualMachineCreated", state(w))
    assert.equal("Stopped", conditions.find(import_of(w).status.conditions, "Ready").reason)
    assert.equal("Halted", w.store:get("VirtualMachine", "default", "web-01").spec.runStrategy)
  end)

  it("makes clones under CDI", function()
    local w = world({ engine = "v2" })
    run(w)
    assert.equal("cdi", images(w)[1].spec.backend)
    all_imported(w)
    run(w)
    local volumes = w.store:list("DataVolume", "default")
    assert.equal(2, #volumes)
    assert.equal(images(w)[1].metadata.name, volumes[1].spec.source.pvc.name)
    assert.not_equal(images(w)[1].metadata.name, volumes[1].metadata.name)
    assert.equal(0, #w.store:list("PersistentVolumeClaim", "default"))
  end)

  it("waits for the copies of a machine that stays stopped, under CDI", function()
    local w = world({ engine = "v2", spec = { targetPowerState = "Stopped" } })
    run(w)
    all_imported(w)
    run(w)
    local volumes = w.store:list("DataVolume", "default")
    local function waits_for(text)
      assert.is_true(run(w).after > 0)
      local import = import_of(w)
      local ready = conditions.find(import.status.conditions, "Reconciling")
      assert.equal("ClonePending", ready.reason)
      assert.truthy(ready.message:find(text, 1, true), ready.message)
      assert.not_equal("True", conditions.find(import.status.conditions, "Ready").status)
    end
    -- Nobody uses the claims: without this a class that waits for that would wait.
    assert.equal("true", volumes[1].metadata.annotations[
      "cdi.kubevirt.io/storage.bind.immediate.requested"])
    waits_for("disk 1/2 into claim " .. volumes[1].metadata.name .. ": Pending")
    for i, phase in ipairs { "Succeeded", "CloneInProgress" } do
      w.store:patch("DataVolume", "default", volumes[i].metadata.name,
        { status = { phase = phase, progress = "43.0%" } }, { status = true })
    end
    waits_for("disk 2/2 into claim " .. volumes[2].metadata.name
      .. ": CloneInProgress: 43.0%")
    assert.equal(2, #images(w))
    w.store:delete("DataVolume", "default", volumes[2].metadata.name) -- CDI tidies up
    assert.is_nil(run(w))
    assert.equal("Stopped", conditions.find(import_of(w).status.conditions, "Ready").reason)
  end)

  it("leaves it to a machine that runs where its claims are bound", function()
    local w = world({ engine = "v2" })
    run(w)
    all_imported(w)
    run(w)
    assert.is_nil(w.store:list("DataVolume", "default")[1].metadata.annotations[
      "cdi.kubevirt.io/storage.bind.immediate.requested"])
  end)

  it("waits for a network that was deleted meanwhile, and counts no attempt", function()
    local w = world()
    run(w)
    all_imported(w)
    w.store:delete("NetworkAttachmentDefinition", "default", "vlan1")
    for _ = 1, 8 do
      assert.is_true(run(w).after > 0)
    end
    local import = import_of(w)
    local said = conditions.find(import.status.conditions, "Reconciling")
    assert.equal("NetworkGone", said.reason)
    assert.truthy(said.message:find("the network default/vlan1, for \"", 1, true),
      said.message)
    assert.is_nil(import.status.attempt)
    assert.equal(2, #images(w))
    assert.equal(0, #w.store:list("PersistentVolumeClaim", "default"))
    w.store:create("NetworkAttachmentDefinition", {
      metadata = { name = "vlan1", namespace = "default" } })
    run(w)
    assert.equal("virtualMachineCreated", state(w))
  end)

  local function quota(w, hard)
    w.store:create("ResourceQuota", { metadata = { name = "team", namespace = "default" },
      spec = { hard = { persistentvolumeclaims = hard } },
      status = { hard = { persistentvolumeclaims = hard },
        used = { persistentvolumeclaims = "0" } } })
  end

  it("blocks on a quota that the claims would exceed, before the source is touched",
    function()
      local w = world()
      quota(w, "1")
      run(w)
      assert.equal("virtualMachineImportInvalid", state(w))
      assert.equal("QuotaExceeded", import_of(w).status.findings[1].code)
    end)

  it("looks at the quota again right before it powers off", function()
    local w = world({ spec = { dryRun = true } })
    run(w)
    assert.equal("virtualMachineImportValid", state(w))
    quota(w, "1")
    w.store:patch("VirtualMachineImport", "default", "web", { spec = { dryRun = false } })
    -- The plan is taken as it is: the quota came after it.
    w.store:patch("VirtualMachineImport", "default", "web", { status = {
      observedGeneration = import_of(w).metadata.generation } }, { status = true })
    assert.is_true(run(w).after > 0)
    assert.equal("virtualMachineImportValid", state(w))
    assert.equal("QuotaExceeded",
      conditions.find(import_of(w).status.conditions, "Reconciling").reason)
    w.store:delete("ResourceQuota", "default", "team")
    run(w)
    assert.not_equal("virtualMachineImportValid", state(w))
  end)

  it("removes all it made when it is deleted on the way, then lets go", function()
    local w = world()
    run(w)
    w.store:delete("VirtualMachineImport", "default", "web")
    run(w)
    assert.is_nil((w.store:get("VirtualMachineImport", "default", "web")))
    assert.equal(0, #images(w))
    assert.equal(0, count(w.disks.whole))
  end)

  it("blocks on a network and a storage class that do not exist, at once", function()
    local w = world({ network = "default/nowhere", spec = { storageClass = "gone" } })
    run(w)
    assert.equal("virtualMachineImportInvalid", state(w))
    local stalled = conditions.find(import_of(w).status.conditions, "Stalled")
    assert.truthy(stalled.message:find("default/nowhere", 1, true))
    assert.truthy(stalled.message:find("StorageClass gone", 1, true))
  end)
end)
