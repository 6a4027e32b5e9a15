local concerns = require "providers.openstack.concerns"

-- "CODE of SUBJECT: ACTION" of each that find(list) adds.
local function said(find)
  local list = {}
  find(list)
  for i, one in ipairs(list) do
    list[i] = ("%s of %s: %s"):format(one.code, one.subject, one.action)
  end
  return list
end

local function codes(find)
  local list = said(find)
  for i, one in ipairs(list) do
    list[i] = one:match("^%w+")
  end
  return list
end

describe("providers.openstack.concerns: a volume", function()
  local function of(volume)
    volume.id = "v"
    return codes(function(list)
      concerns.volume(list, volume)
    end)
  end

  it("is shared where it may be, and several servers have it", function()
    assert.same({ "DiskShared" }, of { multiattach = true, attachments = { {}, {} } })
    assert.same({}, of { multiattach = true, attachments = { {} } })
    assert.same({}, of { multiattach = true })
    assert.same({}, of { attachments = { {}, {} } })
  end)

  it("blocks where Cinder encrypts it", function()
    assert.same({ "DiskEncrypted" }, of { encrypted = true })
  end)
end)

describe("providers.openstack.concerns: the order of disks", function()
  it("is guessed where nobody says a device, and says what to look at", function()
    local disks = { { id = "a", name = "a" }, { id = "b", name = "b" } }
    local function order(list)
      concerns.order(list, disks)
    end
    assert.same({ "DiskOrderGuessed of disk a: look whether it is the one that boots",
      "DiskOrderGuessed of disk b: look whether the guest mounts its disks by UUID or label" },
      said(order))
    disks[1].rank = "a"
    assert.equal(1, #said(order))
    disks[2].rank = "b"
    assert.same({}, said(order))
  end)

  it("of one disk is no question", function()
    assert.same({}, said(function(list)
      concerns.order(list, { { id = "a", name = "a" } })
    end))
  end)
end)

describe("providers.openstack.concerns: a server", function()
  local function of(flavor, server)
    return codes(function(list)
      concerns.machine(list, { flavor = flavor, server = server or {}, image = {}, ports = {} })
    end)
  end

  it("has disks of its flavor that nobody can read", function()
    assert.same({}, of {})
    assert.same({}, of { ephemeral = 0, swap = 0 })
    assert.same({ "EphemeralDiskNotExported" }, of { ephemeral = 1 })
    assert.same({ "EphemeralDiskNotExported" }, of { ["OS-FLV-EXT-DATA:ephemeral"] = 1 })
    assert.same({ "SwapDiskNotExported" }, of { swap = 1 })
    assert.same({ "SwapDiskNotExported" }, of { swap = "1" }) -- of older ones, else ""
    assert.same({}, of { swap = "" })
  end)

  it("has devices of its host, all of which are named", function()
    local list = {}
    concerns.machine(list, { server = {}, image = {}, ports = {}, flavor = { extra_specs = {
      ["pci_passthrough:alias"] = "a1:2", ["resources:VGPU"] = 1, ["resources_X1:PGPU"] = 2,
      ["resources:PCI_DEVICE"] = 1, ["resources:CUSTOM_A_GPU"] = 1,
      ["accel:device_profile"] = "fpga", ["resources:VCPU"] = 1, ["hw:numa_nodes"] = 1 } } })
    assert.equal(1, #list)
    assert.truthy(list[1].message:find("accel:device_profile=fpga, pci_passthrough:alias=a1:2, "
      .. "resources:CUSTOM_A_GPU=1, resources:PCI_DEVICE=1, resources:VGPU=1, "
      .. "resources_X1:PGPU=2;", 1, true), list[1].message)
    assert.same({ "HostDevicesNotImported" }, of { extra_specs = { ["resources:VGPU"] = 1 } })
    assert.same({}, of { extra_specs = { ["resources:VCPU"] = 1 } })
  end)

  it("has processors and memory that the copy has not", function()
    for pages, found in pairs { small = {}, any = {}, ["4"] = {}, ["4KB"] = {}, ["4k"] = {},
      large = { "HugepagesNotImported" }, ["2MB"] = { "HugepagesNotImported" } } do
      assert.same(found, of { extra_specs = { ["hw:mem_page_size"] = pages } })
    end
    assert.same({ "DedicatedCpusNotImported" },
      of { extra_specs = { ["hw:cpu_policy"] = "dedicated" } })
    assert.same({}, of { extra_specs = { ["hw:cpu_policy"] = "Shared" } })
    assert.same({ "MemoryEncryptionNotImported" },
      of { extra_specs = { ["hw:mem_encryption"] = true } })
    assert.same({}, of { extra_specs = { ["hw:mem_encryption"] = "False" } })
  end)

  it("has a config drive, by either word for it", function()
    assert.same({ "ConfigDrive" }, of({}, { config_drive = "True" }))
    assert.same({ "ConfigDrive" }, of({}, { config_drive = true }))
    assert.same({}, of({}, { config_drive = "" }))
    assert.same({}, of({}, { config_drive = false }))
  end)
end)

describe("providers.openstack.concerns.property", function()
  local function of(image, extra_specs)
    return concerns.property({ image = image, flavor = { extra_specs = extra_specs } },
      "hw_tpm_model")
  end

  it("is the image's, else the flavor's, in its spelling", function()
    assert.equal("crb", of({ hw_tpm_model = "crb" }, { ["hw:tpm_model"] = "tis" }))
    assert.equal("tis", of({}, { ["hw:tpm_model"] = "tis" }))
    assert.equal("false", of({ hw_tpm_model = false }, { ["hw:tpm_model"] = true }))
    assert.is_nil(of({}, { hw_tpm_model = "tis", ["hw:tpm:model"] = "tis" }))
    assert.is_nil(of({}, nil))
  end)
end)
