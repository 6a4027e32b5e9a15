-- Machines of a real vSphere API imported into a directory by the command.

local file = require "host.file"
local json = require "host.json"
local lab = require "support.lab"

local DISKS = {
  { controller = "pvscsi", pattern = "text", seed = 1, capacity = "24MiB" },
  { controller = "lsilogic", bus = 1, pattern = "mixed", seed = 2, capacity = "65MiB",
    every = 3 },
  { controller = "ahci", pattern = "random", seed = 3, capacity = "5243392" },
  { controller = "nvme", pattern = "mixed", seed = 4, capacity = "1GiB", every = 500 },
}

local SCENARIO = {
  datacenters = { {
    path = "Region EU/DC-Nested",
    networks = {
      { name = "dvSwitch 1", kind = "distributed", switch = "DSwitch" },
      { name = "nsx-segment", kind = "opaque" },
    },
    machines = {
      {
        name = "four-kinds", folder = "Prod/Web Tier", firmware = "efi", secureBoot = true,
        tpm = true, cpus = 8, coresPerSocket = 4, memoryMiB = 4096, guestId = "rhel9_64Guest",
        disks = DISKS,
        nics = {
          { network = "dvSwitch 1", mac = "00:50:56:00:00:01" },
          { network = "VM Network", model = "e1000e", mac = "00:50:56:00:00:02" },
          { network = "nsx-segment", mac = "00:50:56:00:00:03" },
        },
      },
      { name = "twin", folder = "Prod",
        disks = { { pattern = "text", seed = 10, capacity = "8MiB" } } },
      { name = "twin", folder = "Test",
        disks = { { pattern = "text", seed = 11, capacity = "8MiB" } } },
      { name = "a/b%c\\d & <Bürö>", folder = "Test",
        disks = { { controller = "ide", pattern = "text", seed = 12, capacity = "4MiB" } } },
    },
  } },
}

local function import(sim, folder, imports, more)
  local yaml = lab.objects(sim, { dc = "Region EU/DC-Nested", imports = imports })
  assert(file.write(folder .. "/vm.yaml", yaml))
  return lab.run({ "import", "-f", folder .. "/vm.yaml", "--output", folder .. "/out",
    table.unpack(more or {}) })
end

describe("import --output", function()
  it("moves four disks of four controllers and three NICs as they were", function()
    local folder <close> = lab.folder()
    local sim <close> = lab.simulator(folder.path, { scenario = SCENARIO })
    local result = import(sim, folder.path, { {
      name = "four", machine = "four-kinds",
      spec = { networkMapping = {
        { sourceNetwork = "dvSwitch 1", destinationNetwork = "default/vlan1" },
        { sourceNetwork = "nsx-segment", destinationNetwork = "default/vlan3" },
      } },
    } })
    assert.equal(0, result.status, result.stderr)
    local out = folder.path .. "/out"
    local object = lab.read_object(out, "VirtualMachineImport", "four")
    assert.equal("disksExported", object.status.importStatus)
    assert.equal(4, #object.status.diskImportStatus)
    for i, disk in ipairs(object.status.diskImportStatus) do
      assert.equal(lab.original(folder.path, DISKS[i]), lab.sha512(disk.diskLocalPath),
        "disk " .. i)
    end

    local machine = lab.read_object(out, "VirtualMachine", "four-kinds")
    local domain = machine.spec.template.spec.domain
    assert.same({ 1, 2, 3, 4 }, { domain.devices.disks[1].bootOrder,
      domain.devices.disks[2].bootOrder, domain.devices.disks[3].bootOrder,
      domain.devices.disks[4].bootOrder })
    assert.equal(2, domain.cpu.sockets)
    assert.equal(4, domain.cpu.cores)
    assert.equal("4096Mi", domain.memory.guest)
    assert.is_true(domain.firmware.bootloader.efi.secureBoot)
    assert.is_true(domain.features.smm.enabled)
    assert.truthy(domain.devices.tpm)
    local macs = {}
    for i, nic in ipairs(domain.devices.interfaces) do
      macs[i] = nic.macAddress
    end
    assert.same({ "00:50:56:00:00:01", "00:50:56:00:00:02", "00:50:56:00:00:03" }, macs)
    assert.equal("e1000e", domain.devices.interfaces[2].model)

    local state = sim:get("/state")
    assert.equal(0, state.openLeases)
    assert.equal(0, state.sessions)
    assert.equal(0, state.leaks.nfcCookies)
  end)

  it("keeps two machines of one name apart, and takes odd names", function()
    local folder <close> = lab.folder()
    local sim <close> = lab.simulator(folder.path, { scenario = SCENARIO })
    local result = import(sim, folder.path, {
      { name = "a", machine = "twin", folder = "Prod" },
      { name = "b", machine = "twin", folder = "Test", spec = { targetName = "twin-b" } },
      { name = "c", machine = "a/b%c\\d & <Bürö>", folder = "Test" },
    })
    assert.equal(0, result.status, result.stderr)
    local out = folder.path .. "/out"
    for name, seed in pairs { a = 10, b = 11 } do
      local object = lab.read_object(out, "VirtualMachineImport", name)
      assert.equal(lab.original(folder.path, { pattern = "text", seed = seed, capacity = "8MiB" }),
        lab.sha512(object.status.diskImportStatus[1].diskLocalPath))
    end
    local odd = lab.read_object(out, "VirtualMachineImport", "c").status
    assert.truthy(odd.importedVirtualMachineName:find("^[a-z0-9][a-z0-9-]*[a-z0-9]$"))
  end)

  it("refuses a second machine of the name that is there", function()
    local folder <close> = lab.folder()
    local sim <close> = lab.simulator(folder.path, { scenario = SCENARIO })
    local result = import(sim, folder.path, {
      { name = "a", machine = "twin", folder = "Prod" },
      { name = "b", machine = "twin", folder = "Test" },
    })
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find("spec.targetName", 1, true))
  end)

  it("writes images with unguessable routes when it knows where they are served", function()
    local folder <close> = lab.folder()
    local sim <close> = lab.simulator(folder.path, { scenario = SCENARIO })
    local result = import(sim, folder.path,
      { { name = "a", machine = "twin", folder = "Prod" } },
      { "--serve-url", "http://192.0.2.1:8080/" })
    assert.equal(0, result.status, result.stderr)
    local out = folder.path .. "/out"
    local disk = lab.read_object(out, "VirtualMachineImport", "a").status.diskImportStatus[1]
    assert.truthy(disk.diskRoute:find("^/%x+/"))
    assert.truthy(#disk.diskRoute:match("^/(%x+)/") >= 32)
    local image = lab.read_object(out, "VirtualMachineImage", disk.diskName .. "-img")
    assert.equal("http://192.0.2.1:8080" .. disk.diskRoute, image.spec.url)
    assert.falsy(result.stdout:find("no VirtualMachineImage", 1, true))
  end)

  it("does nothing a second time, and exits 0", function()
    local folder <close> = lab.folder()
    local sim <close> = lab.simulator(folder.path, { scenario = SCENARIO })
    local imports = { { name = "a", machine = "twin", folder = "Prod" } }
    assert.equal(0, import(sim, folder.path, imports).status)
    local before = lab.files(folder.path .. "/out")
    assert.equal(0, import(sim, folder.path, imports).status)
    assert.same(before, lab.files(folder.path .. "/out"))
    assert.equal(1, sim:get("/state").calls.ExportVm)
  end)

  it("keeps secrets out of everything it writes and says", function()
    local folder <close> = lab.folder()
    local sim <close> = lab.simulator(folder.path, { scenario = SCENARIO })
    local result = import(sim, folder.path, { { name = "a", machine = "twin", folder = "Prod" } })
    local everything = result.stdout .. result.stderr
    for _, path in ipairs(lab.files(folder.path .. "/out")) do
      if path:find("%.yaml$") then
        everything = everything .. assert(file.read(folder.path .. "/out/" .. path))
      end
    end
    assert.falsy(everything:find("password: pass", 1, true))
    assert.falsy(everything:find("/nfc/", 1, true))
    assert.falsy(everything:find("vmware_soap_session", 1, true))
    assert.truthy(json.encode(sim:get("/state").leaks):find('"nfcCookies":0', 1, true))
  end)
end)
