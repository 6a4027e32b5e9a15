local ovf = require "providers.ova.ovf"
local support = require "support.ovf"

local HREF = 'ovf:href="web%2001-disk1.vmdk"'

local function file(changes)
  return support.machine("vmware", changes).files.vmdisk1
end

describe("a File", function()
  it("comes with its href, its name, and what the OVF says of it", function()
    local machine = support.machine("vmware")
    assert.same({ href = "web%2001-disk1.vmdk", name = "web 01-disk1.vmdk", format = "vmdk",
      size = 68608, capacity = 16 << 30 }, machine.files.vmdisk1)
    assert.same({ href = "web%2001-disk2.vmdk.gz", name = "web 01-disk2.vmdk.gz",
      format = "vmdk", size = 70144, compression = "gzip", chunk_size = 65536,
      capacity = 2 << 30 }, machine.files.vmdisk2)
  end)

  it("may lie in a folder beside the OVF", function()
    assert.equal("disks/a.vmdk", file({ [HREF] = 'ovf:href="disks/a.vmdk"' }).href)
  end)

  it("is refused when it leads elsewhere", function()
    for _, href in ipairs { "../a.vmdk", "a/../../b", "/etc/passwd", "..", ".", "a//b", "a/",
      "./a", "http://host/a.vmdk", "file:///etc/passwd", "C:a.vmdk", "c:\\a.vmdk", "a\\b",
      "%2e%2e/a", "%2Fetc/passwd", "..%2fa", "a%00.vmdk", "a%0a.vmdk", "a&#10;b", "a%ff", "",
      "%66ile:///a", ("a"):rep(1025) } do
      local message, err = support.refusal("vmware", { [HREF] = ('ovf:href="%s"'):format(href) })
      assert.equal("invalid", err.kind)
      assert.truthy(message:find('^OVF: File "file1": its href '), message)
    end
  end)

  it("is refused when its id or its href is there twice", function()
    for _, again in ipairs {
      '<File ovf:id="file1" ovf:href="b"/>', '<File ovf:id="b" ' .. HREF .. "/>",
    } do
      for _, before in ipairs { "<File ", "</References>" } do
        local _, err = ovf.read(support.with("vmware", before, again))
        assert(err and err.message:find("is there twice", 1, true), again)
      end
    end
  end)

  it("may be hostile as long as no disk of the machine is in it", function()
    assert(ovf.read(support.with("vmware", "</References>",
      '<File ovf:id="x" ovf:href="http://host/x"/><File ovf:id="x" ovf:href="../x"/>')))
  end)

  it("is refused with sizes that are none", function()
    for _, size in ipairs { "-1", "1180591620717411303424", "NaN", "1.5", "0x10" } do
      local message = support.refusal("vmware",
        { ['ovf:size="68608"'] = ('ovf:size="%s"'):format(size) })
      assert.equal(('OVF: File "file1": its size "%s" is no number of bytes'):format(size),
        message)
    end
    assert.truthy(support.refusal("vmware", { ['chunkSize="65536"'] = 'chunkSize="0"' })
      :find('its chunkSize "0" is no number', 1, true))
  end)

  it("is refused in a compression nobody here reads", function()
    assert.equal('OVF: File "file2": compression "bzip2" is not supported; gzip is',
      (support.refusal("vmware", { ['compression="gzip"'] = 'compression="bzip2"' })))
    local machine = support.machine("vmware",
      { ['compression="gzip"'] = 'compression="identity"' })
    assert.is_nil(machine.files.vmdisk2.compression)
  end)
end)

describe("the format", function()
  local URI = 'ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html'
    .. '#streamOptimized" ovf:populatedSize="1287454720"'

  it("is what URI or name say; where they differ, the bytes must tell", function()
    for _, case in ipairs {
      { "http://www.gnome.org/~markmc/qcow-image-format.html", "a.qcow2", "qcow2" },
      { "http://www.gnome.org/~markmc/qcow-image-format.html", "a", "qcow2" },
      { "http://www.microsoft.com/technet/virtualserver/downloads/vhdspec.mspx", "a.vhd",
        "vhd" },
      { "", "a.VHDX", "vhdx" }, { "", "a.vdi", "vdi" }, { "", "a.img", "raw" },
      { "", "a.raw.gz", "raw" }, { "", "a.bin", "auto" },
      { "http://example.com/vmdk.html#sparse", "a.qcow2", "auto" },
    } do
      local changed = file({ [HREF] = ('ovf:href="%s"'):format(case[2]),
        [URI] = ('ovf:format="%s"'):format(case[1]) })
      assert.equal(case[3], changed.format, case[1] .. " " .. case[2])
    end
  end)
end)

describe("a Disk", function()
  it("has the capacity that it says, whatever populatedSize is", function()
    assert.equal(16 << 30, file({ ['populatedSize="1287454720"'] = 'populatedSize="-5"' })
      .capacity)
  end)

  it("is refused with a capacity that is none", function()
    for _, capacity in ipairs { "", "0", "-16", "NaN", "1180591620717411303424", "1e3", "16.5",
      "${none}" } do
      local message, err = support.refusal("vmware",
        { ['ovf:capacity="16"'] = ('ovf:capacity="%s"'):format(capacity) })
      assert.equal("invalid", err.kind)
      assert.truthy(message:find('^OVF: Disk "vmdisk1": its capacity is not known'), message)
    end
    assert.truthy(support.refusal("vmware", { ["byte * 2^30"] = "hertz" })
      :find('"hertz" is no unit of bytes', 1, true))
  end)

  it("has oVirt's size in GiB where it has no capacity", function()
    local machine = support.machine("ovirt")
    assert.equal(20 << 30, machine.disks[2].capacity_bytes)
  end)

  it("is refused when it has only what changed since another", function()
    assert.truthy(support.refusal("vmware",
      { ['ovf:diskId="vmdisk1"'] = 'ovf:diskId="vmdisk1" ovf:parentRef="vmdisk2"' })
      :find('Disk "vmdisk1" has only what changed since "vmdisk2"', 1, true))
  end)

  it("is refused when it is there twice, or its file is not", function()
    local _, err = ovf.read(support.with("vmware", "</DiskSection>",
      '<Disk ovf:diskId="vmdisk1" ovf:capacity="5"/>'))
    assert.equal('OVF: Disk "vmdisk1" is there twice', err.message)
    assert.equal('OVF: Disk "vmdisk1": its fileRef "file9" names no File of the References',
      (support.refusal("vmware", { ['ovf:fileRef="file1"'] = 'ovf:fileRef="file9"' })))
  end)
end)
