local json = require "host.json"

local claim = require "policy.claim"

local PLAN = { name = "web-01", namespace = "team" }

local function disk(capacity, class)
  return { name = "web-01-1a2b3c4d-disk-0", capacity_bytes = capacity,
    storage_class = class }
end

describe("policy.claim", function()
  it("is a shareable block volume named as the disk", function()
    assert.same({
      apiVersion = "v1",
      kind = "PersistentVolumeClaim",
      metadata = {
        name = "web-01-1a2b3c4d-disk-0",
        namespace = "team",
        labels = { ["migration.harvesterhci.io/imported"] = "true" },
      },
      spec = {
        accessModes = { "ReadWriteMany" },
        resources = { requests = { storage = "10Gi" } },
        volumeMode = "Block",
      },
    }, claim.build(disk(10 << 30), PLAN))
  end)

  it("is never smaller than the disk, nor than what the image needs", function()
    local function size(capacity, opts)
      return claim.build(disk(capacity), PLAN, opts).spec.resources.requests.storage
    end
    assert.equal("1Mi", size(1))
    assert.equal("1Mi", size(1048576))
    assert.equal("2Mi", size(1048577))
    assert.equal("1Gi", size((1 << 30) - 1))
    assert.equal("1025Mi", size((1 << 30) + 1))
    assert.equal("2Gi", size(1 << 30, { size_bytes = 2 << 30 }))
    assert.equal("2Gi", size(2 << 30, { size_bytes = 1 }))
  end)

  it("names the image it is made from, and takes its class", function()
    local built = claim.build(disk(1 << 30, "fast"), PLAN, {
      image = "team/web-01-1a2b3c4d-disk-0",
      storage_class = "lh-77",
      access_modes = { "ReadWriteOnce" },
      volume_mode = "Filesystem",
    })
    assert.equal("team/web-01-1a2b3c4d-disk-0",
      built.metadata.annotations["harvesterhci.io/imageId"])
    assert.equal("lh-77", built.spec.storageClassName)
    assert.same({ "ReadWriteOnce" }, built.spec.accessModes)
    assert.equal("Filesystem", built.spec.volumeMode)
    assert.equal("fast", claim.build(disk(1, "fast"), PLAN).spec.storageClassName)
  end)

  it("is described to Harvester in an annotation of the machine", function()
    local manifest = { metadata = { annotations = { a = "kept" } } }
    claim.annotate(manifest, {
      claim.build(disk(1 << 30), PLAN, { image = "team/i", storage_class = "lh-77" }),
    })
    assert.equal("kept", manifest.metadata.annotations.a)
    local text = manifest.metadata.annotations["harvesterhci.io/volumeClaimTemplates"]
    local templates = json.decode(text)
    assert.equal("team/i",
      templates[1].metadata.annotations["harvesterhci.io/imageId"])
    assert.equal("lh-77", templates[1].spec.storageClassName)
    assert.equal("ReadWriteMany", templates[1].spec.accessModes[1])
  end)
end)
