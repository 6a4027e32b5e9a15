local json = require "host.json"

local metadata = require "policy.metadata"
local plan = require "policy.plan"
local sample = require "support.sample"

local function described(text)
  return metadata.description({ machine = { description = text } })
end

describe("policy.metadata", function()
  it("carries what a machine made in Harvester's UI carries", function()
    local p = assert(plan.build(sample.input({ description = "Front end" })))
    local meta = p.virtual_machine.metadata
    assert.same({
      ["harvesterhci.io/creator"] = "harvester",
      ["harvesterhci.io/os"] = "linux",
      ["migration.harvesterhci.io/imported"] = "true",
    }, meta.labels)
    assert.equal("[]", meta.annotations["network.harvesterhci.io/ips"])
    assert.equal("Front end", meta.annotations["field.cattle.io/description"])
    assert.equal("Front end", p.description)
  end)

  it("carries what vm-import-ui reads of the original", function()
    local p = assert(plan.build(sample.input({
      disks = { sample.disk(0), sample.disk(1, { capacity_bytes = sample.GIB // 2 }) },
    }, { defaultNetworkInterfaceModel = "e1000" })))
    local annotations = p.virtual_machine.metadata.annotations
    local function original(key)
      return annotations["migration.harvesterhci.io/original-" .. key]
    end
    assert.equal("8", original("cpu"))
    assert.equal("4096", original("memory-mb"))
    assert.equal("11", original("disk-size-gb"))
    assert.same({ "Hard disk 1 (10Gi)", "Hard disk 2 (512Mi)" },
      { table.unpack(json.decode(original("disks"))) })
    assert.same({ "net0" }, { table.unpack(json.decode(original("networks"))) })
    assert.equal("e1000", annotations["migration.harvesterhci.io/default-nic-model"])
  end)

  it("rounds the size of all disks up to whole GiB", function()
    local function size(...)
      local disks = {}
      for i, bytes in ipairs({ ... }) do
        disks[i] = sample.disk(i - 1, { capacity_bytes = bytes })
      end
      local p = assert(plan.build(sample.input({ disks = disks })))
      return p.annotations["migration.harvesterhci.io/original-disk-size-gb"]
    end
    assert.equal("1", size(1))
    assert.equal("100", size(100 << 30))
    assert.equal("101", size(100 << 30, 1))
    assert.equal("0", size(-1, 0))
  end)

  it("writes an empty list where the original had no NIC", function()
    local p = assert(plan.build(sample.input({ nics = {} }, { networkMapping = {} })))
    assert.equal("[]", p.annotations["migration.harvesterhci.io/original-networks"])
  end)

  it("lets a hook write the description as an annotation", function()
    local p = assert(plan.build(sample.input(), function(name, _, builtin)
      if name == "annotations" then
        builtin["field.cattle.io/description"] = "ours"
      end
      return builtin
    end))
    assert.equal("ours",
      p.virtual_machine.metadata.annotations["field.cattle.io/description"])
  end)

  it("has no description where the source has none", function()
    assert.is_nil(described(""))
    assert.is_nil(described(" \n "))
    assert.is_nil(described(nil))
  end)

  it("keeps a description readable for Kubernetes, whatever is in it", function()
    assert.equal("two\nlines\tüñ", described("two\nlines\tüñ"))
    assert.equal("a\\x1bb", described("a\27b"))
    assert.equal("a\u{FFFD}\u{FFFD}b", described("a\xff\xfeb"))
    assert.equal("a\\u202eb", described("a\u{202e}b"))
    assert.equal(("x"):rep(1024), described(("x"):rep(1024)))
    assert.equal(("x"):rep(1023) .. "", described(("x"):rep(1023) .. "ü"))
    assert.equal(("x"):rep(1022) .. "ü", described(("x"):rep(1022) .. "üü"))
    for n = 1020, 1030 do
      local text = described(("x"):rep(n) .. ("ü"):rep(20))
      assert.is_true(#text <= 1024)
      assert.is_not_nil(utf8.len(text))
    end
  end)
end)
