local hardware = require "providers.openstack.hardware"
local machine = require "providers.machine"
local rest = require "support.rest"

local function found(more)
  local server = rest.data("server_volumes").server
  local names = {}
  for _, network in ipairs(rest.data("networks").networks) do
    names[network.id] = network.name
  end
  local boot = rest.data("volume_boot").volume
  local all = {
    server = server, text = rest.text("server_volumes"), flavor = server.flavor,
    image = boot.volume_image_metadata, has_root = false,
    volumes = { boot, rest.data("volume_data").volume },
    ports = rest.data("interfaces").interfaceAttachments, networks = names,
    project = "admin",
  }
  for key, value in pairs(more or {}) do
    all[key] = value
  end
  return all
end

local function codes(m)
  local list = {}
  for i, concern in ipairs(m.concerns) do
    list[i] = concern.code
  end
  return list
end

describe("hardware.machine", function()
  it("is the neutral Machine of a recorded server", function()
    local m = assert(machine.check(hardware.machine(found())))
    assert.equal("openstack-demo", m.name)
    assert.equal("the demo, ö", m.description)
    assert.equal("admin/openstack-demo", m.path)
    assert.equal(m.id, m.uuid)
    assert.same({ sockets = 1, cores = 2 }, m.cpu)
    assert.equal(512 * 2 ^ 20, m.memory_bytes)
    assert.same({ uefi = true, secure_boot = false, tpm = false }, m.firmware)
    assert.equal("debian", m.guest.id)
    assert.equal("off", m.power_state)
    assert.same({ "demo-boot", "demo-data" }, { m.disks[1].name, m.disks[2].name })
    assert.equal(2 ^ 30, m.disks[1].capacity_bytes)
    assert.equal(1, m.disks[1].boot_order)
    assert.is_nil(m.disks[2].boot_order)
    assert.same({}, codes(m))
  end)

  it("has a NIC per port, in the guest's order and not in Neutron's", function()
    local all = found()
    local m = hardware.machine(all)
    assert.equal("public", all.networks[all.ports[1].net_id])
    assert.same({ "shared", "public" }, { m.nics[1].network.name, m.nics[2].network.name })
    assert.same({ "10.20.0.156" }, m.nics[1].addresses)
  end)

  it("orders ports without an address by their age", function()
    local ports = hardware.order_ports({
      { port_id = "c", mac_addr = "FA:00:00:00:00:03", created_at = "2026-01-03" },
      { port_id = "b", mac_addr = "fa:00:00:00:00:02", created_at = "2026-01-02" },
      { port_id = "a", mac_addr = "fa:00:00:00:00:01" },
    }, '"OS-EXT-IPS-MAC:mac_addr":"fa:00:00:00:00:01"')
    assert.same({ "a", "b", "c" },
      { ports[1].port_id, ports[2].port_id, ports[3].port_id })
  end)

  it("has one NIC for a port of two addresses", function()
    local all = found { ports = { {
      port_id = "p", net_id = "n", mac_addr = "FA:16:3E:00:00:01",
      fixed_ips = { { ip_address = "10.0.0.1" }, { ip_address = "fd00::1" } },
    } } }
    local m = hardware.machine(all)
    assert.equal(1, #m.nics)
    assert.equal("fa:16:3e:00:00:01", m.nics[1].mac)
    assert.same({ "10.0.0.1", "fd00::1" }, m.nics[1].addresses)
  end)

  it("orders disks by device name, vdz before vdaa", function()
    local volumes = {}
    for i, device in ipairs { "/dev/vdaa", "/dev/vdb", "/dev/vda", "/dev/vdz" } do
      volumes[i] = { id = device, name = "", size = 1,
        attachments = { { server_id = found().server.id, device = device } } }
    end
    local m = hardware.machine(found { volumes = volumes })
    local ids = {}
    for i, disk in ipairs(m.disks) do
      ids[i] = disk.id
    end
    assert.same({ "/dev/vda", "/dev/vdb", "/dev/vdz", "/dev/vdaa" }, ids)
    assert.equal("virtio", m.disks[1].bus)
  end)

  -- {id, device, bootable}; a device of false: Cinder knows no attachment.
  local function order_of(devices, has_root)
    local all = found { volumes = {}, has_root = has_root, ports = {},
      image = has_root and { disk_format = "raw", size = 2 ^ 20 | 0 } or {} }
    all.server["OS-EXT-SRV-ATTR:root_device_name"] = devices.root
    for i, d in ipairs(devices) do
      all.volumes[i] = { id = d[1], name = d[1], size = 1, bootable = d[3],
        attachments = d[2] ~= false and { { server_id = all.server.id, device = d[2] } }
          or {} }
    end
    local m = assert(machine.check(hardware.machine(all)))
    local ids = {}
    for i, disk in ipairs(m.disks) do
      ids[i] = disk.id
      assert.equal(i == 1 and 1 or nil, disk.boot_order)
    end
    return table.concat(ids, " "), table.concat(codes(m), " ")
  end

  local GUESSED = "DiskOrderGuessed"
  for what, case in pairs {
    ["no device beside /dev/vda"] = { { { "data" }, { "boot", "/dev/vda" } }, nil,
      "boot data", GUESSED },
    ["no attachment beside /dev/vda"] = { { { "data", false }, { "boot", "/dev/vda" } },
      nil, "boot data", GUESSED },
    ["no device beside a root disk that is no volume"] = { { { "data" } }, true,
      "root data", GUESSED },
    ["a device that is none"] = { { { "data", "/dev/disk/by-id/x" }, { "boot", "/dev/vda" } },
      nil, "boot data", GUESSED },
    ["no device of the one that boots"] = { { { "data", "/dev/vdb", "false" },
      { "boot", nil, "true" } }, nil, "boot data", GUESSED },
    ["no device of all"] = { { { "data", nil, "false" }, { "boot", nil, "true" },
      { "more", nil, "true" } }, nil, "boot data more", GUESSED },
    ["a root that is not the first device"] = { { { "data", "/dev/vda" },
      { "boot", "/dev/vdb" }, root = "/dev/vdb" }, nil, "boot data", "" },
    ["devices of Xen"] = { { { "data", "/dev/xvdb" }, { "boot", "/dev/xvda" } }, nil,
      "boot data", "" },
    ["no device of the only one"] = { { { "boot" } }, nil, "boot", "" },
    ["devices without /dev"] = { { { "data", "vdb" }, { "boot", "vda" } }, nil,
      "boot data", "" },
  } do
    it("boots from the right disk: " .. what, function()
      local order, said = order_of(case[1], case[2])
      assert.equal(case[3], order)
      assert.equal(case[4], said:match("^%S*"))
    end)
  end

  for code, given in pairs {
    HostDevicesNotImported = { extra = { ["pci_passthrough:alias"] = "a1:2" } },
    ["HostDevicesNotImported "] = { extra = { ["resources:VGPU"] = "1" } },
    [" HostDevicesNotImported"] = { extra = { ["resources1:PGPU"] = "1" } },
    DedicatedCpusNotImported = { extra = { ["hw:cpu_policy"] = "dedicated" } },
    ["DedicatedCpusNotImported "] = { image = { hw_cpu_policy = "mixed" } },
    HugepagesNotImported = { extra = { ["hw:mem_page_size"] = "1GB" } },
    ["HugepagesNotImported "] = { image = { hw_mem_page_size = "large" } },
    MemoryEncryptionNotImported = { extra = { ["hw:mem_encryption"] = "True" } },
    NicOnHardware = { port = { vnic_type = "direct" } },
    ["NicOnHardware "] = { port = { vnic_type = "macvtap" } },
    TrunkNotImported = { port = { is_trunk = true } },
    [""] = { extra = { ["hw:cpu_policy"] = "shared", ["hw:mem_page_size"] = "small",
      ["trait:HW_GPU_X"] = "forbidden" }, port = { vnic_type = "normal", is_trunk = false } },
  } do
    it("tells of hardware that does not come along:" .. code, function()
      local all = found { flavor = { vcpus = 1, ram = 1, disk = 0,
        extra_specs = given.extra }, image = given.image or {} }
      for key, value in pairs(given.port or {}) do
        all.ports[1][key] = value
      end
      local m = hardware.machine(all)
      assert.equal(code:match("%S+") or "", table.concat(codes(m), " "))
    end)
  end

  it("gives secure boot only with UEFI, and TPM from image or flavor", function()
    local m = hardware.machine(found { image = { hw_firmware_type = "bios",
      os_secure_boot = "required" } })
    assert.same({ uefi = false, secure_boot = false, tpm = false }, m.firmware)
    local flavor = { vcpus = 4, ram = 1024, disk = 0,
      extra_specs = { ["hw:tpm_version"] = "2.0", ["os:secure_boot"] = "required" } }
    m = hardware.machine(found { flavor = flavor, image = { hw_firmware_type = "uefi",
      hw_cpu_sockets = "2", hw_disk_bus = "scsi", hw_scsi_model = "virtio-scsi",
      hw_vif_model = "e1000", os_type = "windows" } })
    assert.same({ uefi = true, secure_boot = true, tpm = true }, m.firmware)
    assert.same({ sockets = 2, cores = 2 }, m.cpu)
    assert.equal("windows", m.guest.family)
    assert.same({ "scsi", "virtio-scsi0:0" }, { m.disks[1].bus, m.disks[1].controller })
    assert.equal("e1000", m.nics[1].model)
  end)

  it("has a root disk that is no volume first, as large as the flavor says", function()
    local server = rest.data("server_image").server
    local m = assert(machine.check(hardware.machine(found { server = server,
      text = rest.text("server_image"), flavor = server.flavor, volumes = {},
      image = rest.data("image"), has_root = true, ports = {} })))
    assert.equal("root", m.disks[1].id)
    assert.equal(2 ^ 30, m.disks[1].capacity_bytes)
  end)

  it("says what of the machine cannot be had", function()
    local flavor = { vcpus = 1, ram = 1024, disk = 0, ephemeral = 20, swap = "512" }
    local volume = rest.data("volume_boot").volume
    volume.encrypted, volume.multiattach = true, true
    volume.attachments[2] = { server_id = "other", device = "/dev/vdb" }
    local m = hardware.machine(found { flavor = flavor, volumes = { volume },
      has_root = true, image = { disk_format = "qcow2" } })
    assert.same({ "EphemeralDiskNotExported", "SwapDiskNotExported",
      "RootDiskSizeUnknown", "DiskEncrypted", "DiskShared" }, codes(m))
  end)

  it("tells of floating addresses", function()
    local all = found()
    all.server.addresses.shared[2] = { addr = "192.0.2.7",
      ["OS-EXT-IPS:type"] = "floating" }
    local m = hardware.machine(all)
    assert.same({ "FloatingAddresses" }, codes(m))
    assert.truthy(m.concerns[1].message:find("192.0.2.7", 1, true))
  end)
end)

describe("hardware.power_state", function()
  for status, wanted in pairs { ACTIVE = "on", SHUTOFF = "off", SUSPENDED = "suspended",
    PAUSED = "suspended" } do
    it("reads " .. status, function()
      assert.equal(wanted, hardware.power_state { status = status })
    end)
  end

  it("does not believe in off while Nova is starting it", function()
    assert.equal("on", hardware.power_state { status = "SHUTOFF",
      ["OS-EXT-STS:task_state"] = "powering-on" })
    assert.equal("off", hardware.power_state { status = "SHUTOFF",
      ["OS-EXT-STS:task_state"] = "image_uploading" })
  end)
end)

-- A server of one volume, and what is said of it besides.
local function machine_of(more)
  local bare = { server = { id = "s", name = "web", status = "SHUTOFF" }, flavor = {},
    image = {}, volumes = {}, ports = {}, networks = {} }
  for key, value in pairs(more or {}) do
    bare[key] = value
  end
  return hardware.machine(bare)
end

local function volume_of(id, device, more)
  local volume = { id = id, name = id .. "-name", size = 2, bootable = "false",
    attachments = { { server_id = "other", device = "/dev/vdz" },
      { server_id = "s", device = device } } }
  for key, value in pairs(more or {}) do
    volume[key] = value
  end
  return volume
end

describe("hardware.power_state, in detail,", function()
  local function state(status, number, task)
    return hardware.power_state({ status = status, ["OS-EXT-STS:power_state"] = number,
      ["OS-EXT-STS:task_state"] = task })
  end

  it("is what Nova says, by word or by number", function()
    assert.equal("on off suspended suspended", table.concat({ state("ACTIVE"), state("SHUTOFF"),
      state("PAUSED"), state("SUSPENDED") }, " "))
    for number, wanted in pairs { [1] = "on", [3] = "suspended", [4] = "off", [6] = "off",
      [7] = "suspended", [0] = "on", [9] = "on" } do
      assert.equal(wanted, state("ERROR", number))
    end
    assert.equal("on", state("ERROR"))
  end)

  it("is not off while that is about to change", function()
    for task, wanted in pairs { ["powering-on"] = "on", rebooting = "on", rebuilding = "on",
      image_uploading = "off" } do
      assert.equal(wanted, state("SHUTOFF", 4, task))
    end
    assert.equal("suspended", state("PAUSED", 3, "powering-on"))
  end)
end)

describe("hardware.machine, in detail,", function()
  it("has as many CPUs as its flavor, in as many sockets as divide them", function()
    local function cpu(vcpus, sockets)
      return machine_of({ flavor = { vcpus = vcpus, extra_specs = sockets
        and { ["hw:cpu_sockets"] = sockets } } }).cpu
    end
    assert.same({ sockets = 1, cores = 4 }, cpu(4))
    assert.same({ sockets = 2, cores = 2 }, cpu(4, "2"))
    assert.same({ sockets = 4, cores = 1 }, cpu(4, "4"))
    assert.same({ sockets = 1, cores = 4 }, cpu(4, "3"))
    assert.same({ sockets = 1, cores = 4 }, cpu(4, "0"))
    assert.same({ sockets = 1, cores = 4 }, cpu(4, "many"))
    assert.same({ sockets = 1, cores = 1 }, cpu(nil))
    assert.same({ sockets = 1, cores = 1 }, cpu(0))
  end)

  it("has the firmware that is asked for", function()
    local function firmware(properties)
      return machine_of({ image = properties }).firmware
    end
    assert.same({ uefi = false, secure_boot = false, tpm = false }, firmware({}))
    assert.same({ uefi = true, secure_boot = true, tpm = false },
      firmware({ hw_firmware_type = "UEFI", os_secure_boot = "Required" }))
    assert.same({ uefi = true, secure_boot = false, tpm = false },
      firmware({ hw_firmware_type = "uefi", os_secure_boot = "optional" }))
    assert.is_false(firmware({ os_secure_boot = "required" }).secure_boot)
    assert.is_true(firmware({ hw_tpm_version = "2.0" }).tpm)
    assert.is_true(firmware({ hw_tpm_model = "tpm-crb" }).tpm)
  end)

  it("has the guest that its image names", function()
    local function guest(image)
      local g = machine_of({ image = image }).guest
      return ("%s %s %s %s"):format(g.id, g.family, g.name, g.tools_running)
    end
    assert.equal("windows2019 windows 10 true", guest({ os_distro = "windows2019",
      os_version = 10 }))
    assert.equal("windows windows  true", guest({ os_type = "Windows" }))
    assert.equal("linux linux  true", guest({ os_type = "linux" }))
    assert.equal("debian other 12 true", guest({ os_distro = "debian", os_version = "12" }))
    assert.equal(" other  true", guest({}))
  end)

  it("is called as the project and Nova do", function()
    local m = machine_of({ server = { id = "s", name = "web", status = "ACTIVE",
      description = "d" }, project = "p", flavor = { ram = 512 } })
    assert.equal("s web d p/web s", table.concat({ m.id, m.name, m.description, m.path, m.uuid },
      " "))
    assert.equal(512 * 2 ^ 20, m.memory_bytes)
    m = machine_of()
    assert.equal("web", m.path)
    assert.equal("", m.description)
    assert.equal(0, m.memory_bytes)
  end)

  it("has disks of its volumes, each with its place", function()
    local m = machine_of({ volumes = { volume_of("b", "/dev/vdb", { volume_type = "fast" }),
      volume_of("a", "/dev/vda", { name = "" }) } })
    assert.same({ id = "a", name = "a", capacity_bytes = 2 * 2 ^ 30 | 0, serial = "a",
      bus = "virtio", controller = "virtio0:0", boot_order = 1 }, m.disks[1])
    assert.same({ id = "b", name = "b-name", capacity_bytes = 2 * 2 ^ 30 | 0, serial = "b",
      datastore = "fast", bus = "virtio", controller = "virtio0:1" }, m.disks[2])
    assert.equal(0, machine_of({ volumes = { volume_of("a", nil, { size = "x" }) } })
      .disks[1].capacity_bytes)
  end)

  it("has disks on the bus that is asked for, or that their device tells", function()
    local function on(device, properties)
      local d = machine_of({ image = properties or {}, volumes = { volume_of("a", device) } })
        .disks[1]
      return d.bus .. " " .. d.controller
    end
    assert.equal("virtio virtio0:0", on("/dev/vda"))
    assert.equal("scsi scsi0:0", on("/dev/sda"))
    assert.equal("ide ide0:0", on("/dev/hda"))
    assert.equal("virtio virtio0:0", on("/dev/xyz"))
    assert.equal("virtio virtio0:0", on(nil))
    for _, bus in ipairs { "virtio", "scsi", "sata", "ide", "usb" } do
      assert.equal(bus, on("/dev/vda", { hw_disk_bus = bus:upper() }):match("^%a+"))
    end
    assert.equal("scsi scsi0:0", on("/dev/sda", { hw_disk_bus = "lxc" }))
    assert.equal("scsi virtio-scsi0:0", on("/dev/sda", { hw_scsi_model = "virtio-scsi" }))
    assert.equal("virtio virtio0:0", on("/dev/vda", { hw_scsi_model = "virtio-scsi" }))
  end)

  it("has a root disk that is no volume, as large as flavor or image say", function()
    local function root(flavor, image)
      local m = machine_of({ has_root = true, flavor = { disk = flavor }, image = image or {} })
      return m.disks[1].capacity_bytes, table.concat(codes(m), " "), m.disks[1]
    end
    local bytes, said, disk = root(3)
    assert.equal(3 * 2 ^ 30, bytes)
    assert.equal("root root disk virtio 1", ("%s %s %s %s"):format(disk.id, disk.name, disk.bus,
      disk.boot_order))
    local without = said
    assert.equal(5, (root(0, { virtual_size = 5, disk_format = "raw", size = 6 })))
    assert.equal(6, (root(0, { disk_format = "raw", size = 6 })))
    bytes, said = root(0, { disk_format = "qcow2", size = 6 })
    assert.equal(0, bytes)
    assert.not_equal(without, said)
    assert.equal(0, (root(nil)))
  end)

  it("orders its disks: the root, then by device, then as Nova lists them", function()
    local function order(has_root, root_device, ...)
      return table.concat(hardware.order({ id = "s",
        ["OS-EXT-SRV-ATTR:root_device_name"] = root_device }, { ... }, has_root), " ")
    end
    local function v(id, device, bootable)
      return volume_of(id, device, { bootable = bootable and "true" or "false" })
    end
    assert.equal("a b c", order(false, nil, v("c", "/dev/vdaa"), v("b", "/dev/vdb"),
      v("a", "/dev/vda")))
    assert.equal("b a", order(false, "/dev/vdb", v("a", "/dev/vda"), v("b", "/dev/vdb")))
    assert.equal("b a", order(false, nil, v("a", nil), v("b", nil, true)))
    assert.equal("a b", order(false, nil, v("b", nil, true), v("a", "/dev/vda")))
    assert.equal("a b", order(false, nil, v("a", nil), v("b", nil)))
    assert.equal("c a b", order(false, nil, v("a", nil), v("b", nil), v("c", "/dev/vdc")))
    assert.equal("b a", order(true, nil, v("a", nil, true), v("b", "/dev/vdb")))
    assert.equal("a b", order(false, nil, v("b", "/dev/xvdb1"), v("a", "/dev/xvda1")))
  end)

  it("has NICs of its ports", function()
    local m = machine_of({ networks = { n = "net" }, image = { hw_vif_model = "e1000" },
      ports = { { port_id = "p", net_id = "n", mac_addr = "FA:16:3E:00:00:01",
        fixed_ips = { { ip_address = "10.0.0.1" }, { ip_address = "::1" } } },
        { port_id = "q", net_id = "x", mac_addr = "fa:16:3e:00:00:02" } } })
    assert.same({ id = "p", name = "port p", mac = "fa:16:3e:00:00:01", model = "e1000",
      network = { name = "net", id = "n", path = "net" }, addresses = { "10.0.0.1", "::1" } },
      m.nics[1])
    assert.same({ id = "x" }, m.nics[2].network)
    assert.same({}, m.nics[2].addresses)
    assert.equal("virtio", machine_of({ ports = { { port_id = "p", mac_addr = "a" } } })
      .nics[1].model)
  end)

  it("orders ports as the server's text does, then by age, then as they come", function()
    local function order(text, ...)
      local list = {}
      for i, port in ipairs(hardware.order_ports({ ... }, text)) do
        list[i] = port.mac_addr
      end
      return table.concat(list, " ")
    end
    local function p(mac, created)
      return { mac_addr = mac, created_at = created }
    end
    local text = '"OS-EXT-IPS-MAC:mac_addr": "BB:BB", "OS-EXT-IPS-MAC:mac_addr":"bb:bb", '
      .. '"OS-EXT-IPS-MAC:mac_addr" : "aa:aa"'
    assert.equal("bb:bb aa:aa cc:cc", order(text, p("cc:cc"), p("aa:aa"), p("bb:bb")))
    assert.equal("b a", order(nil, p("a", "2"), p("b", "1")))
    assert.equal("b a c", order("", p("b"), p("a"), p("c", "1")))
  end)
end)
