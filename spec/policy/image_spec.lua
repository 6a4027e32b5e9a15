local image = require "policy.image"
local name = require "policy.name"
local plan = require "policy.plan"
local sample = require "support.sample"

local URL = "http://host:8080/x/disk.img"

local function built(spec, opts)
  local p = assert(plan.build(sample.input({ name = "Größe " .. ("x"):rep(90) }, spec)))
  opts = opts or {}
  opts.url = URL
  return image.build(p.disks[1], p, opts), p.disks[1]
end

describe("policy.image", function()
  it("is a download of the disk, found by its display name", function()
    local manifest, disk = built()
    assert.equal("harvesterhci.io/v1beta1", manifest.apiVersion)
    assert.equal("VirtualMachineImage", manifest.kind)
    assert.equal(disk.name .. "-img", manifest.metadata.name)
    assert.same({
      ["harvesterhci.io/imageDisplayName"] = disk.display_name,
      ["migration.harvesterhci.io/imported"] = "true",
    }, manifest.metadata.labels)
    assert.same({
      backend = "backingimage",
      displayName = disk.display_name,
      retry = 2, -- even: see policy.image
      sourceType = "download",
      url = URL,
    }, manifest.spec)
    assert.is_nil(manifest.metadata.annotations)
  end)

  it("has a display name that Harvester takes as a label's value", function()
    local manifest = built()
    assert.is_true(name.is_label_value(manifest.spec.displayName))
  end)

  it("says the storage class twice, alike", function()
    local manifest = built({ storageClass = "fast" })
    assert.equal("fast", manifest.spec.targetStorageClassName)
    assert.same({ ["harvesterhci.io/storageClassName"] = "fast" },
      manifest.metadata.annotations)
  end)

  it("takes backend, retries and owner from the target", function()
    local owner = { apiVersion = "v1", kind = "K", name = "n", uid = "u" }
    local manifest = built(nil, { backend = "cdi", retry = 0, owner = owner })
    assert.equal("cdi", manifest.spec.backend)
    assert.equal(0, manifest.spec.retry)
    assert.same({ owner }, manifest.metadata.ownerReferences)
  end)
end)
