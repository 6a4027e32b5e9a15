local marks = require "base.marks"
local projections = require "controller.projections"

describe("projections.has_ended", function()
  local function import(changes)
    local object = {
      metadata = { uid = "u", namespace = "n", name = "i", generation = 1 },
      spec = {},
      status = { importStatus = "virtualMachineRunning", conditions = {} },
    }
    for field, values in pairs(changes or {}) do
      for name, value in pairs(values) do
        object[field][name] = value
      end
    end
    return projections.VirtualMachineImport(object)
  end

  it("is so where nothing is left to do", function()
    assert.is_true(projections.has_ended(import()))
    assert.is_true(projections.has_ended(import({
      status = { importStatus = "VMMigrationFailed", observedGeneration = 1 } })))
  end)

  for what, changes in pairs {
    ["under way"] = { status = { importStatus = "sourceReady" } },
    ["being deleted"] = { metadata = { deletionTimestamp = "2026-11-23T00:00:00Z" } },
    ["of another generation"] = {
      status = { importStatus = "VMMigrationFailed", observedGeneration = 0 } },
    ["that runs, and whose spec was changed since"] = {
      status = { importStatus = "virtualMachineRunning", observedGeneration = 0 } },
    ["with something recorded"] = { status = { recorded = { { kind = "Export" } } } },
    ["with our finalizer, as after a kill just before it went"] = {
      metadata = { finalizers = { marks.FINALIZER } } },
  } do
    it("is not so of one " .. what, function()
      assert.is_false(projections.has_ended(import(changes)))
    end)
  end
end)

describe("projections.interrupts", function()
  local function import(changes)
    local value = { uid = "u", state = "sourceReady", deleting = false, cancelled = false }
    for name, field in pairs(changes) do
      value[name] = field
    end
    return value
  end

  for what, pair in pairs {
    ["deleted"] = { { deleting = true } },
    ["cancelled"] = { { cancelled = true } },
    ["deleted and made anew"] = { { uid = "v" } },
    ["blanked by hand"] = { { state = "" } },
    ["blanked by hand when it was invalid"] = { { state = "" },
      { state = "virtualMachineImportInvalid" } },
    ["set to what is no state"] = { { state = "exporting" } },
  } do
    it("ends the step of one that is " .. what, function()
      assert.is_true(projections.interrupts(import(pair[1]), import(pair[2] or {})))
    end)
  end

  for what, pair in pairs {
    ["goes on"] = { { state = "disksExported" } },
    ["stays as it is"] = { {} },
    ["is being deleted still"] = { { deleting = true }, { deleting = true } },
    ["was blanked before"] = { { state = "" }, { state = "" } },
    ["starts over after it had failed"] = { { state = "" }, { state = "VMMigrationFailed" } },
    ["has an image that failed"] = { { state = "diskImageFailed" },
      { state = "diskImagesReady" } },
  } do
    it("does not end that of one that " .. what, function()
      assert.is_false(projections.interrupts(import(pair[1]), import(pair[2] or {})))
    end)
  end
end)

describe("projections.source_id", function()
  it("is the same for a source and for an import that names it, and for no other", function()
    local id = projections.source_of { metadata = { namespace = "n" }, spec = {
      sourceCluster = { kind = "VmwareSource", namespace = "lab", name = "vc" } } }
    assert.equal(id, projections.source_id("vmwaresource", "lab", "vc"))
    for _, other in ipairs { { "OpenstackSource", "lab", "vc" }, { "VmwareSource", "n", "vc" },
      { "VmwareSource", "lab", "vd" }, { "VmwareSource" }, {} } do
      assert.not_equal(id, projections.source_id(table.unpack(other, 1, 3)))
    end
  end)
end)

describe("projections.source", function()
  it("changes when somebody asks for another look", function()
    local function of(annotations)
      return projections.source({ metadata = { generation = 1, annotations = annotations } })
    end
    assert.same({ generation = 1 }, of(nil))
    assert.equal("x", of({ ["migration.harvesterhci.io/look-again"] = "x" }).look_again)
  end)
end)
