local disk = require "policy.disk"
local plan = require "policy.plan"
local sample = require "support.sample"

local function planned(disks, spec, changes)
  changes = changes or {}
  changes.disks = disks
  return assert(plan.build(sample.input(changes, spec)))
end

local function column(p, field)
  local list = {}
  for i, entry in ipairs(p.disks) do
    list[i] = entry[field]
  end
  return list
end

describe("policy.disk lists disks", function()
  it("in the machine's order, whatever their ids", function()
    local p = planned({
      sample.disk(0, { id = "9" }), sample.disk(1, { id = "10" }),
      sample.disk(2, { id = "1" }),
    })
    assert.same({ "9", "10", "1" }, column(p, "id"))
    assert.same({ "web-01-1a2b3c4d-disk-0", "web-01-1a2b3c4d-disk-1",
      "web-01-1a2b3c4d-disk-2" }, column(p, "name"))
  end)

  it("and blocks on one without capacity", function()
    for _, capacity in ipairs({ 0, -1 }) do
      local p = planned({ sample.disk(0), sample.disk(1, { capacity_bytes = capacity }) })
      local found = sample.find(p.findings, "DiskCapacityInvalid")
      assert.equal("Blocks", found.severity)
      assert.equal("disk 2001", found.subject)
    end
  end)

  it("and not on the smallest there is", function()
    local p = planned({ sample.disk(0, { capacity_bytes = 1 }) })
    assert.is_nil(sample.find(p.findings, "DiskCapacityInvalid"))
  end)

  it("and blocks on a machine without any", function()
    assert.equal("Blocks", sample.find(planned({}).findings, "NoDisks").severity)
  end)

  it("and never gives two machines of one name the same disk names", function()
    local one, two = sample.input(), sample.input()
    two.import.uid = "ffffffff-5e6f-7081-9203-a4b5c6d7e8f9"
    one, two = assert(plan.build(one)), assert(plan.build(two))
    assert.equal(one.name, two.name)
    assert.not_equal(one.disks[1].name, two.disks[1].name)
  end)
end)

describe("policy.disk chooses the bus:", function()
  local function bus(changes, spec, os)
    local p = planned({ sample.disk(0, changes) }, spec, { guest = { family = os } })
    return p.disks[1].bus, p.findings
  end

  it("one that the guest surely has a driver for", function()
    local expected = {
      scsi = "sata", sata = "sata", nvme = "sata", ide = "sata",
      virtio = "virtio", usb = "usb",
    }
    for _, os in ipairs({ "linux", "windows", "other" }) do
      for source, here in pairs(expected) do
        local chosen, findings = bus({ bus = source }, {}, os)
        assert.equal(here, chosen, source)
        assert.is_nil(sample.find(findings, "WindowsNeedsDriver"))
      end
    end
  end)

  it("scsi where the source's controller is virtio-scsi already", function()
    assert.equal("scsi", (bus({ controller = "virtio-scsi0:0" }, {}, "windows")))
  end)

  it("the mapping's before the default before the source's", function()
    local spec = {
      defaultDiskBusType = "virtio",
      diskMapping = { { disk = "2000", busType = "usb" } },
    }
    assert.equal("usb", (bus({}, spec, "linux")))
    spec.diskMapping[1].busType = ""
    assert.equal("virtio", (bus({}, spec, "linux")))
    spec.defaultDiskBusType = ""
    assert.equal("sata", (bus({}, spec, "linux")))
  end)

  it("warns where Windows is given one it has no driver for", function()
    for _, stated in ipairs({ "virtio", "scsi" }) do
      local chosen, findings = bus({}, { defaultDiskBusType = stated }, "windows")
      assert.equal(stated, chosen)
      assert.equal("Warns", sample.find(findings, "WindowsNeedsDriver").severity)
    end
    local _, findings = bus({ bus = "virtio" }, { defaultDiskBusType = "virtio" },
      "windows")
    assert.is_nil(sample.find(findings, "WindowsNeedsDriver"))
  end)
end)

describe("policy.disk chooses the storage class:", function()
  local function class(spec, defaults)
    local input = sample.input(nil, spec)
    input.defaults = defaults
    return assert(plan.build(input)).disks[1].storage_class
  end

  it("the mapping's before the import's before the target's before none", function()
    local spec = {
      storageClass = "import",
      diskMapping = { { disk = "0", storageClass = "disk" } },
    }
    local defaults = { storage_class = "default" }
    assert.equal("disk", class(spec, defaults))
    spec.diskMapping = nil
    assert.equal("import", class(spec, defaults))
    spec.storageClass = ""
    assert.equal("default", class(spec, defaults))
    assert.is_nil(class(spec))
  end)
end)

describe("policy.disk reads the mapping:", function()
  local disks = {
    sample.disk(0, { id = "2000", name = "boot" }),
    sample.disk(1, { id = "2001", name = "0" }),
    sample.disk(2, { id = "1", name = "data" }),
  }

  local function mapped(rows)
    local p = planned({
      sample.disk(0, disks[1]), sample.disk(1, disks[2]), sample.disk(2, disks[3]),
    }, { diskMapping = rows })
    return column(p, "bus"), p.findings
  end

  it("by id before name before place from 0", function()
    local expected = {
      boot = { "usb", "sata", "sata" },
      ["0"] = { "sata", "usb", "sata" },
      ["1"] = { "sata", "sata", "usb" },
      ["2"] = { "sata", "sata", "usb" },
      [2000] = { "usb", "sata", "sata" },
    }
    for text, buses in pairs(expected) do
      assert.same(buses, (mapped({ { disk = text, busType = "usb" } })))
    end
  end)

  it("a row that names no disk of this machine blocks, with those it has", function()
    for _, text in ipairs({ "3", "-1", "Boot", "2002", "1.0", "0x1", "",
      "99999999999999999999999" }) do
      local buses, findings = mapped({ { disk = text, busType = "usb" } })
      assert.same({ "sata", "sata", "sata" }, buses, text)
      local found = sample.find(findings, "MappedDiskUnknown")
        or sample.find(findings, "DiskMappingIncomplete")
      assert.equal("Blocks", found.severity)
      assert.equal("spec.diskMapping[0].disk", found.subject)
    end
    local _, findings = mapped({ { disk = "Boot" } })
    assert.matches("2000 (\"boot\")",
      sample.find(findings, "MappedDiskUnknown").message, 1, true)
  end)

  it("two rows for one disk block", function()
    local _, findings = mapped({ { disk = "boot" }, { disk = "2000" } })
    assert.equal("spec.diskMapping[1].disk",
      sample.find(findings, "MappedDiskTwice").subject)
  end)

  it("a name that two disks have blocks", function()
    local p = planned({ sample.disk(0, { name = "d" }), sample.disk(1, { name = "d" }) },
      { diskMapping = { { disk = "d" } } })
    assert.equal("Blocks", sample.find(p.findings, "MappedDiskAmbiguous").severity)
  end)
end)

describe("policy.disk keeps the boot order", function()
  it("of the source, the others following as they stand", function()
    local p = planned({
      sample.disk(0), sample.disk(1, { boot_order = 7 }), sample.disk(2),
      sample.disk(3, { boot_order = 2 }),
    })
    assert.same({ 3, 2, 4, 1 }, column(p, "boot_order"))
  end)

  it("as the disks stand where the source has none", function()
    local p = planned({ sample.disk(0), sample.disk(1), sample.disk(2) })
    assert.same({ 1, 2, 3 }, column(p, "boot_order"))
  end)

  it("as a hook turns it", function()
    local input = sample.input({ disks = { sample.disk(0), sample.disk(1) } })
    local p = assert(plan.build(input, function(name, _, builtin)
      if name == "boot_order" then
        return { "2001", "2000" }
      end
      return builtin
    end))
    assert.same({ 2, 1 }, column(p, "boot_order"))
    assert.equal("2000", p.disks[1].id)
  end)
end)

describe("policy.disk keeps the serial", function()
  local function serial(text, bus)
    local p = planned({ sample.disk(0, { serial = text }) },
      { defaultDiskBusType = bus or "sata" })
    return p.disks[1].serial, sample.find(p.findings, "SerialChanged")
  end

  it("that fits", function()
    local kept, found = serial("WD-1234_5.6+7")
    assert.equal("WD-1234_5.6+7", kept)
    assert.is_nil(found)
  end)

  it("cut to what the bus carries, and says so", function()
    local uuid = "6000c29b-1234-5678-9abc-def012345678"
    for _, bus in ipairs({ "sata", "virtio", "usb" }) do
      local kept, found = serial(uuid, bus)
      assert.equal(uuid:sub(1, 20), kept)
      assert.equal("Informs", found.severity)
    end
    local kept, found = serial(uuid, "scsi")
    assert.equal(uuid, kept)
    assert.is_nil(found)
    kept, found = serial(uuid .. "9", "scsi")
    assert.equal(uuid, kept)
    assert.matches("a scsi disk carries 36 characters", found.message, 1, true)
  end)

  it("and says nothing where the guest reads at the source what it reads here", function()
    local uuid = "6000c29b-1234-5678-9abc-def012345678"
    local p = planned({ sample.disk(0, { serial = uuid, bus = "virtio" }) })
    assert.equal(uuid:sub(1, 20), p.disks[1].serial)
    assert.is_nil(sample.find(p.findings, "SerialChanged"))
  end)

  it("without the characters that KubeVirt refuses", function()
    assert.equal("ab", (serial("a b\"")))
    local kept, found = serial("ä\n<>&")
    assert.is_nil(kept)
    assert.is_not_nil(found)
  end)

  it("not where two disks would look alike", function()
    local prefix = ("x"):rep(20)
    local p = planned({
      sample.disk(0, { serial = prefix .. "1" }),
      sample.disk(1, { serial = prefix .. "2" }),
      sample.disk(2, { serial = "other" }),
    })
    assert.is_nil(p.disks[1].serial)
    assert.is_nil(p.disks[2].serial)
    assert.equal("other", p.disks[3].serial)
  end)

  it("and has nothing to say of a disk without one", function()
    for _, text in ipairs({ "", false }) do
      local kept, found = serial(text or nil)
      assert.is_nil(kept)
      assert.is_nil(found)
    end
  end)

  it("as a function of serial and bus", function()
    assert.equal("abc", disk.serial({ serial = "abc" }, "sata"))
    assert.is_nil(disk.serial({}, "sata"))
  end)
end)
