local ovf = require "providers.ova.ovf"
local support = require "support.ovf"

local function read(text)
  return support.codes(assert(ovf.read(text)))
end

local function device(kind, more)
  return read(support.with("vmware", "</VirtualHardwareSection>",
    ("<Item %s><rasd:ElementName>it</rasd:ElementName><rasd:InstanceID>99</rasd:InstanceID>"
      .. "<rasd:ResourceType>%d</rasd:ResourceType></Item>"):format(more or "", kind)))
    .OvfDeviceLeft
end

describe("left.devices", function()
  it("says of each ResourceType that does not come along what stays behind", function()
    for kind = 0, 40 do
      local silent = ({ [2] = 1, [3] = 1, [4] = 1, [5] = 1, [6] = 1, [10] = 1, [11] = 1,
        [14] = 1, [15] = 1, [16] = 1, [24] = 1, [26] = 1, [28] = 1, [29] = 1 })[kind]
      local found = device(kind)
      if silent then
        assert.is_nil(found, kind)
      elseif kind ~= 7 and kind ~= 8 then -- adapters, on which disks may hang
        assert.equal("it", found and found.subject, kind)
      end
    end
    assert.equal("of ResourceType 36, which is not known; it stays behind",
      device(36).message)
  end)

  it("warns of one that is required, and only then", function()
    assert.equal("Warns", device(36).severity)
    assert.equal("Informs", device(36, 'ovf:required="false"').severity)
    assert.equal("Informs", device(21).severity)
  end)

  it("warns of a device of the host", function()
    local found = support.codes(support.machine("vmware",
      { ["vmware.vmci"] = "vmware.pci.passthrough" }))
    assert.equal("Warns", found.OvfDeviceLeft.severity)
    assert.truthy(found.OvfDeviceLeft.message:find("^a device of the host"))
  end)

  it("warns of an image in a drive", function()
    local found = support.codes(support.machine("appliance", nil, { name = "front" }))
    assert.equal("ovf:/file/file2", found.OvfImageLeft.detail)
  end)
end)

describe("left.disks", function()
  it("says which disk no machine of the OVF uses", function()
    local machine = support.machine("appliance", nil, { name = "front" })
    local unused = {}
    for _, item in ipairs(machine.findings) do
      unused[#unused + 1] = item.code == "OvfDiskUnused" and item.subject or nil
    end
    assert.same({ "disk spare" }, unused)
  end)
end)

describe("left.sections", function()
  local function section(text)
    return read(support.with("vmware", "</VirtualSystem>", text))
  end

  it("lets a section block that is required and not known", function()
    local found = section('<x:MoonSection xmlns:x="urn:x" ovf:required="true"/>')
    assert.equal("Blocks", found.OvfSectionRequired.severity)
    assert.equal("MoonSection", found.OvfSectionRequired.subject)
    found = section('<x:Moon xmlns:x="urn:x" ovf:required="true"/>')
    assert.equal("Moon", found.OvfSectionRequired.subject)
    found = section('<Section xsi:type="ovf:MoonSection_Type" ovf:required="true"/>')
    assert.equal("MoonSection", found.OvfSectionRequired.subject)
  end)

  it("warns of one that says nothing, and passes over one that is not required", function()
    assert.equal("Warns", section('<x:MoonSection xmlns:x="urn:x"/>').OvfSectionLeft.severity)
    assert.same({}, section('<x:MoonSection xmlns:x="urn:x" ovf:required="false"/>'))
    assert.same({}, section('<x:Moon xmlns:x="urn:x"/>'))
  end)

  it("lets encryption block whether required or not known", function()
    assert.truthy(section("<EncryptionSection/>").OvfSectionRequired)
  end)

  it("looks around the system, too", function()
    local found = read(support.with("vmware", "<VirtualSystem ",
      '<x:MoonSection xmlns:x="urn:x" ovf:required="true"/>'))
    assert.truthy(found.OvfSectionRequired)
  end)
end)

describe("left.start", function()
  local PLATFORM = 'Name="platform">\n          <xen:Value>'

  it("warns of a machine that is paravirtual at Xen's", function()
    assert.is_nil(support.codes(support.machine("xen")).OvfParavirtualXen)
    for old, new in pairs { ["hvm-3.0-hvm"] = "xen-3.0-x86_64",
      [PLATFORM] = 'Name="PV-bootloader">\n          <xen:Value>pygrub' } do
      assert.equal("Warns",
        support.codes(support.machine("xen", { [old] = new })).OvfParavirtualXen.severity)
    end
  end)

  it("warns of an EFI of 32 bits", function()
    assert.is_nil(support.codes(support.machine("virtualbox")).OvfFirmware32Bit)
    local found = support.codes(support.machine("virtualbox",
      { ['<Firmware type="EFI"/>'] = '<Firmware type="EFI32"/>' }))
    assert.equal("Warns", found.OvfFirmware32Bit.severity)
  end)
end)

describe("left.properties", function()
  it("warns of an appliance that waits for settings", function()
    local machine = support.machine("appliance", nil, { name = "front" })
    assert.equal("storage.size", support.codes(machine).OvfPropertiesLeft.detail)
    machine = support.machine("appliance", nil, { name = "back" })
    assert.is_nil(support.codes(machine).OvfPropertiesLeft)
  end)
end)
