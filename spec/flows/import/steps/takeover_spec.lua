local errors = require "host.error"
local json = require "host.json"
local steps = require "support.steps"
local takeover = require "flows.import.steps.takeover"

-- As an earlier controller has written them: disks of other names, images of its own.
local function old(i, image, more)
  local entry = { diskName = "old-" .. i, diskSize = i * 1048576, busType = "virtio",
    VirtualMachineImage = image }
  for key, value in pairs(more or {}) do
    entry[key] = value
  end
  return entry
end

local function world(state, entries, opts)
  opts = opts or {}
  opts.status = opts.status or {}
  opts.status.importStatus = state
  opts.status.diskImportStatus = json.array(entries)
  return steps.world(opts)
end

local READY = { phase = "ready" }

describe("flows.import.steps.takeover", function()
  it("takes the images that are whole, and removes the old files", function()
    local w = world("disksExported", { old(1, "image-a"), old(2, "image-b") })
    w.target.images = { ["image-a"] = READY, ["image-b"] = READY }
    assert.same({ state = "diskImagesReady",
      message = "the images of the earlier controller are taken over" },
      takeover.run(w.import, w.ctx))
    assert.same({ "remove_file old-1", "remove_file old-2" }, w.asked)
    assert.equal("web-01", w:status().importedVirtualMachineName)
    for i, image in ipairs { "image-a", "image-b" } do
      assert.equal(image, w:status().diskImportStatus[i].VirtualMachineImage)
      assert.equal("True", w:disk_condition(i, "VirtualMachineImageSubmitted").status)
      assert.equal("True", w:disk_condition(i, "VirtualMachineImageReady").status)
      assert.equal("TakenOver", w:disk_condition(i, "VirtualMachineImageReady").reason)
    end
  end)

  it("gives up the others, and fetches their disks", function()
    local w = world("diskImageSubmitted", { old(1, "image-a"), old(2, "image-b") })
    w.target.images = { ["image-a"] = READY, ["image-b"] = { phase = "importing" } }
    assert.same({ state = "sourceReady", message = "disks that the earlier controller has "
      .. "not brought into the cluster are fetched again" }, takeover.run(w.import, w.ctx))
    assert.same({ "delete VirtualMachineImage default/image-b" }, w:asked_for("^delete"))
    assert.equal("image-a", w:status().diskImportStatus[1].VirtualMachineImage)
    assert.is_nil(w:status().diskImportStatus[2].VirtualMachineImage)
    assert.is_nil(w:disk_condition(2, "VirtualMachineImageReady"))
  end)

  it("goes on as it is where nothing was fetched", function()
    local w = world("sourceReady", { old(1, ""), old(2) })
    assert.is_nil(takeover.run(w.import, w.ctx))
    assert.equal("web-0", w:status().diskImportStatus[1].diskName)
  end)

  for what, entries in pairs {
    ["there is another number of them"] = { old(1, "image-a") },
    ["they are of another size"] = { old(1, "image-a"), old(3, "image-b") },
  } do
    it("takes no image when the disks are others: " .. what, function()
      local w = world("disksExported", entries)
      w.target.images = { ["image-a"] = READY, ["image-b"] = READY }
      assert.equal("sourceReady", takeover.run(w.import, w.ctx).state)
      assert.equal(#entries, #w:asked_for("^delete"))
    end)
  end

  it("deletes no image that is not there", function()
    local w = world("disksExported", { old(1, "image-a"), old(2, "") })
    assert.equal("sourceReady", takeover.run(w.import, w.ctx).state)
    assert.same({}, w:asked_for("^delete"))
  end)

  it("takes for gone no image that it cannot look at", function()
    local w = world("disksExported", { old(1, "image-a"), old(2) })
    w.target.images = { ["image-a"] = errors.new("connect", "refused") }
    assert.equal("refused", w:fails(takeover.run).message)
  end)

  it("waits until images that it gives up are gone", function()
    local w = world("disksExported", { old(1, "image-a"), old(2) })
    w.target.images = { ["image-a"] = { phase = "importing" } }
    w.target.stays = { ["image-a"] = true }
    local err = w:fails(takeover.run)
    assert.equal("busy", err.kind)
    assert.equal(5, err.after)
    assert.equal("image image-a of the earlier controller is being deleted", err.message)
    w.target.delete_error = errors.new("denied", "forbidden")
    assert.equal("forbidden", w:fails(takeover.run).message)
  end)

  it("removes no file whose name is none", function()
    local w = world("sourceReady", { old(1, nil, { diskName = "../etc" }),
      old(2, nil, { diskName = ".hidden" }), old(1, nil, { diskName = "" }),
      old(1, nil, { diskName = "a.b" }) })
    takeover.run(w.import, w.ctx)
    assert.same({ "remove_file a.b" }, w.asked)
  end)

  it("plans a machine that has no plan, and ends where that does", function()
    local w = world("sourceReady", {}, { status = { plan = json.null },
      spec = { virtualMachineName = "" } })
    assert.equal("PreflightFailed", takeover.run(w.import, w.ctx).invalid)
    assert.same({}, w.asked)
  end)

  it("goes on from the plan that it has made", function()
    local w = world("sourceReady", {}, { status = { plan = json.null } })
    assert.is_nil(takeover.run(w.import, w.ctx))
    assert.equal(w:status().plan.name, w:status().importedVirtualMachineName)
  end)

  describe("of an import whose images are ready", function()
    local function ready(name)
      return world("diskImagesReady", { old(1, "image-a"), old(2, "image-b") },
        { status = { importedVirtualMachineName = name, plan = json.null } })
    end

    it("says that the machine is made, when it is", function()
      local w = ready("web")
      w.target.made_from = true
      assert.same({ state = "virtualMachineCreated",
        message = "the earlier controller has made the machine" }, takeover.run(w.import, w.ctx))
      assert.same({ "is_made_from web 2" }, w.asked)
      assert.is_nil(w:status().plan)
    end)

    it("makes it when it is not", function()
      local w = ready("web")
      w.target.made_from = false
      assert.equal("sourceReady", takeover.run(w.import, w.ctx).state)
    end)

    it("asks nobody where it has no name", function()
      for _, name in ipairs { "", false } do
        local w = ready(name or nil)
        takeover.run(w.import, w.ctx)
        assert.same({}, w:asked_for("^is_made_from"))
      end
    end)

    it("does not take for not made what it cannot be told", function()
      local w = ready("web")
      w.target.made_from_error = errors.new("connect", "refused")
      assert.equal("refused", w:fails(takeover.run).message)
    end)
  end)

  it("is due where there is no plan, or entries are of other disks", function()
    local function due(entries, no_plan)
      local w = steps.world({ status = { diskImportStatus = entries,
        plan = no_plan and json.null or nil } })
      return takeover.is_due(w.import)
    end
    assert.is_true(due(nil, true))
    assert.is_false(due(nil))
    assert.is_false(due(steps.entries()))
    assert.is_true(due(json.array({ old(1) })))
    assert.is_true(due(json.array({ { diskSize = 1 } })))
  end)
end)

describe("flows.import.steps.takeover: a machine that is made", function()
  local ENTRIES = { old(1, "image-a"), old(2, "") }

  for _, name in ipairs { "created", "running" } do
    it("leaves its images to the user, and its files to nobody: " .. name, function()
      local w = world("virtualMachineCreated", ENTRIES,
        { status = { importedVirtualMachineName = "web" } })
      local outcome = takeover[name].run(w.import, w.ctx)
      assert.same({ "disown VirtualMachineImage default/image-a 1a2b3c4d-0000",
        "remove_file old-1", "remove_file old-2" }, w.asked)
      assert.same(name == "running" and { done = "Running", state = "virtualMachineRunning",
        message = "web was imported" } or nil, outcome)
    end)
  end

  it("may have an image less", function()
    local w = world("virtualMachineCreated", ENTRIES)
    w.target.disown_error = errors.new("notfound", "no such image")
    assert.is_nil(takeover.created.run(w.import, w.ctx))
    w.target.disown_error = errors.new("connect", "refused")
    assert.equal("refused", w:fails(takeover.created.run).message)
  end)
end)

describe("flows.import.steps.takeover: an import that was given up", function()
  local function said(...)
    local w = world("VMMigrationFailed", {},
      { status = { importConditions = json.array({ ... }) } })
    assert.same({ leave = true }, takeover.failed.run(w.import, w.ctx))
    assert.equal("Failed", w:condition("Stalled").reason)
    assert.equal(1, w:status().observedGeneration)
    return w:condition("Stalled").message
  end

  it("says why, where that was said", function()
    assert.equal("no space", said(steps.is("VMExportFailed", "True", "F", "no space")))
  end)

  it("says that nobody has said why", function()
    local unknown = "given up by an earlier version of the controller, which did not say why"
    assert.equal(unknown, said())
    assert.equal(unknown, said(steps.is("VMExportFailed", "False", "F", "no space")))
    assert.equal(unknown, said(steps.is("VMExportFailed", "True")))
    assert.equal(unknown, said({ type = "VMExportFailed", status = "True" }))
  end)
end)
