-- From `kubectl apply` to a running machine, on a real API server.

local file = require "host.file"
local json = require "host.json"
local lab = require "support.lab"
local site_of = require "support.site"

-- Upstream's example, with another endpoint.
local README = [[
apiVersion: v1
kind: Secret
metadata: {name: vsphere-credentials, namespace: default}
stringData:
  username: user
  password: pass
---
apiVersion: migration.harvesterhci.io/v1beta1
kind: VmwareSource
metadata: {name: vcsim, namespace: default}
spec:
  endpoint: "%s"
  dc: "DCO"
  credentials:
    name: vsphere-credentials
    namespace: default
---
apiVersion: migration.harvesterhci.io/v1beta1
kind: VirtualMachineImport
metadata: {name: alpine-export-test, namespace: default}
spec:
  virtualMachineName: "alpine-export-test"
  networkMapping:
  - sourceNetwork: "dvSwitch 1"
    destinationNetwork: "default/vlan1"
  - sourceNetwork: "dvSwitch 2"
    destinationNetwork: "default/vlan2"
  sourceCluster:
    name: vcsim
    namespace: default
    kind: VmwareSource
    apiVersion: migration.harvesterhci.io/v1beta1
]]

local README_DISKS = {
  { pattern = "mixed", seed = 1, capacity = "64MiB", every = 2 },
  { controller = "pvscsi", pattern = "text", seed = 2, capacity = "16MiB" },
}

local FOUR = {
  { controller = "pvscsi", pattern = "text", seed = 1, capacity = "24MiB" },
  { controller = "lsilogic", bus = 1, pattern = "mixed", seed = 2, capacity = "65MiB",
    every = 3 },
  { controller = "ahci", pattern = "random", seed = 3, capacity = "5243392" },
  { controller = "nvme", pattern = "mixed", seed = 4, capacity = "256MiB", every = 100 },
}

-- 4 disks on 4 kinds of controller, 3 kinds of network, EFI, a TPM; `n` in its addresses.
local function four(n)
  local function mac(i)
    return ("00:50:56:00:%02d:%02d"):format(n, i)
  end
  return {
    name = "four-" .. n, firmware = "efi", tpm = true, cpus = 8, coresPerSocket = 4,
    memoryMiB = 4096, guestId = "rhel9_64Guest", disks = FOUR,
    nics = {
      { network = "dvSwitch 1", mac = mac(1) },
      { network = "VM Network", model = "e1000e", mac = mac(2) },
      { network = "nsx-segment", mac = mac(3) },
    },
  }
end

local SCENARIO = {
  datacenters = { {
    path = "DC0",
    networks = {
      { name = "dvSwitch 1", kind = "distributed", switch = "DSwitch" },
      { name = "nsx-segment", kind = "opaque" },
    },
    machines = {
      four(1), four(2),
      {
        name = "Windows Server", firmware = "efi", secureBoot = true, tpm = true, cpus = 4,
        guestId = "windows2019srv_64Guest", power = "on", tools = "running",
        disks = { { controller = "lsisas", pattern = "text", seed = 20, capacity = "8MiB" } },
        nics = { { network = "VM Network", mac = "00:50:56:00:00:11" } },
      },
      { name = "twin", folder = "Prod",
        disks = { { pattern = "text", seed = 10, capacity = "8MiB" } } },
      { name = "twin", folder = "Test",
        disks = { { pattern = "text", seed = 11, capacity = "8MiB" } } },
    },
  } },
}

describe("an import into a cluster", function()
  local folder, site, sim, running

  lazy_setup(function()
    folder = lab.folder()
    site = site_of.open()
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", { scenario = SCENARIO })
    running = site:controller()
  end)

  lazy_teardown(function()
    running:stop()
    getmetatable(sim).__close(sim)
    site:close()
    getmetatable(folder).__close(folder)
  end)

  after_each(function()
    site.harvester:mend()
    site.harvester:forget()
  end)

  local function pulled(import)
    local sums = {}
    for i, entry in ipairs(import.status.diskImportStatus) do
      sums[i] = site.harvester:pulls(import.metadata.namespace, entry.VirtualMachineImage)
    end
    return sums
  end

  -- Every disk came whole, once, as its image of that import.
  local function check_disks(import, disks)
    local sums = {}
    for i, disk in ipairs(disks) do
      sums[i] = { lab.original(folder.path, disk) }
    end
    assert.same(sums, pulled(import))
  end

  local function nothing_left(import, vsphere)
    assert.same(json.array({}), import.metadata.finalizers or json.array({}))
    assert.same({}, lab.files(running.scratch))
    assert.equal(0, vsphere:get("/state").openLeases)
  end

  -- Fails if a real Harvester would have refused something, or its UI would lack it.
  local function no_objection()
    local state = site.harvester:state()
    assert.same({}, state.rejections)
    assert.same({}, state.remarks)
  end

  -- A namespace with a source `vc` for the simulator.
  local function home()
    local namespace = site:namespace()
    site:source(namespace, "vc", sim)
    return namespace
  end

  local function images_of(import)
    local images = {}
    for i, entry in ipairs(import.status.diskImportStatus) do
      images[i] = site:get("VirtualMachineImage", import.metadata.namespace,
        entry.VirtualMachineImage)
    end
    return images
  end

  it("ends upstream's example in a running machine, with every byte", function()
    local own <close> = lab.folder()
    local simulator <close> = lab.simulator(own.path, { scenario = "readme",
      flags = { "--leaf", "self" } })
    site:apply(README:format(simulator.url))
    local import = site:wait_import("default", "alpine-export-test",
      "virtualMachineRunning", 300)
    check_disks(import, README_DISKS)
    nothing_left(import, simulator)
    local source = site:status("VmwareSource", "default", "vcsim")
    assert.equal("clusterReady", source.status)
    local _, fingerprint = simulator.fingerprint:match("^(%S+) (%S+)$")
    assert.equal(fingerprint, source.certificateFingerprint)
    local warning = site:condition("VmwareSource", "default", "vcsim", "CertificateUnverified")
    assert.equal("True", warning.status)
    assert.truthy(warning.message:find(fingerprint, 1, true))
    assert.equal("True", site:condition("VirtualMachineImport", "default",
      "alpine-export-test", "Ready").status)
    no_objection()
  end)

  local function four_spec(storage_class)
    return {
      storageClass = storage_class,
      networkMapping = json.array({
        { sourceNetwork = "dvSwitch 1", destinationNetwork = "default/vlan1" },
        { sourceNetwork = "VM Network", destinationNetwork = "default/vlan2" },
      }),
    }
  end

  -- 4 disks on 4 controllers, 3 NICs, EFI and a TPM; the guest's own MAC addresses.
  local function check_four(machine, n)
    local domain = machine.spec.template.spec.domain
    local buses, nics = {}, {}
    for i, disk in ipairs(domain.devices.disks) do
      buses[i] = disk.disk.bus
    end
    for i, nic in ipairs(domain.devices.interfaces) do
      local network = machine.spec.template.spec.networks[i]
      nics[i] = ("%s %s %s"):format(nic.macAddress, nic.model,
        network.multus and network.multus.networkName or "pod")
    end
    assert.same({ "sata", "sata", "sata", "sata" }, buses)
    assert.same({ ("00:50:56:00:%02d:01 virtio default/vlan1"):format(n),
      ("00:50:56:00:%02d:02 e1000e default/vlan2"):format(n),
      ("00:50:56:00:%02d:03 virtio pod"):format(n) }, nics)
    assert.is_false(domain.firmware.bootloader.efi.secureBoot)
    assert.truthy(domain.devices.tpm)
    assert.equal(8, domain.cpu.sockets * domain.cpu.cores)
  end

  it("brings 4 disks, 3 NICs, EFI and a TPM over Longhorn's backing images", function()
    local namespace = home()
    site:import(namespace, "four", "four-1", four_spec("harvester-longhorn"))
    local import = site:wait_import(namespace, "four", "virtualMachineRunning", 300)
    check_disks(import, FOUR)
    for _, image in ipairs(images_of(import)) do
      assert.equal("backingimage", image.spec.backend)
    end
    check_four(site:get("VirtualMachine", namespace, "four-1"), 1)
    nothing_left(import, sim)
    no_objection()
  end)

  it("brings them over CDI, where the machine runs from clones", function()
    local namespace = home()
    site:import(namespace, "four", "four-2", four_spec("longhorn-v2"))
    local import = site:wait_import(namespace, "four", "virtualMachineRunning", 300)
    check_disks(import, FOUR)
    local machine = site:get("VirtualMachine", namespace, "four-2")
    check_four(machine, 2)
    local golden = {}
    for _, image in ipairs(images_of(import)) do
      assert.equal("cdi", image.spec.backend)
      golden[image.metadata.name] = true
    end
    for _, volume in ipairs(machine.spec.template.spec.volumes) do
      local claim = volume.persistentVolumeClaim or volume.dataVolume
      assert.is_nil(golden[claim.claimName or claim.name])
    end
    nothing_left(import, sim)
    no_objection()
    -- The images go; the machine keeps its data.
    for name in pairs(golden) do
      site:delete("VirtualMachineImage", namespace, name)
      site:wait_gone("VirtualMachineImage", namespace, name)
    end
    for _, volume in ipairs(machine.spec.template.spec.volumes) do
      local claim = volume.persistentVolumeClaim or volume.dataVolume
      assert.truthy(site:get("PersistentVolumeClaim", namespace,
        claim.claimName or claim.name))
    end
  end)

  it("shuts a Windows guest down and gives it what Windows boots with", function()
    local namespace = home()
    site:import(namespace, "windows", "Windows Server", {
      networkMapping = json.array({
        { sourceNetwork = "VM Network", destinationNetwork = "default/vlan1" },
      }),
    })
    local import = site:wait_import(namespace, "windows", "virtualMachineRunning", 300)
    check_disks(import, { SCENARIO.datacenters[1].machines[3].disks[1] })
    local machine = site:get("VirtualMachine", namespace,
      import.status.importedVirtualMachineName)
    local domain = machine.spec.template.spec.domain
    assert.equal("windows", machine.metadata.labels["harvesterhci.io/os"])
    assert.equal("sata", domain.devices.disks[1].disk.bus)
    assert.is_true(domain.firmware.bootloader.efi.secureBoot)
    assert.is_true(domain.features.smm.enabled)
    assert.truthy(domain.devices.tpm)
    assert.equal(1, sim:get("/state").calls.ShutdownGuest)
    nothing_left(import, sim)
    no_objection()
  end)

  it("keeps apart two machines of one name in two namespaces at once", function()
    local places = { home(), home() }
    for i, where in ipairs { "Prod", "Test" } do
      site:import(places[i], "twin", "twin", { folder = where })
    end
    for i, seed in ipairs { 10, 11 } do
      local import = site:wait_import(places[i], "twin", "virtualMachineRunning", 300)
      check_disks(import, { { pattern = "text", seed = seed, capacity = "8MiB" } })
      assert.truthy(site:get("VirtualMachine", places[i], "twin"))
    end
    assert.same({}, lab.files(running.scratch))
    assert.equal(0, sim:get("/state").openLeases)
    no_objection()
  end)

  it("says before it touches anything what the cluster would refuse", function()
    local namespace = home()
    local before = sim:get("/state").calls.ExportVm
    site:import(namespace, "four", "four-1", four_spec("harvester-longhorn"))
    local import = site:wait_import(namespace, "four", "virtualMachineImportInvalid", 60)
    local finding = import.status.findings[1]
    assert.equal("VirtualMachineRefused", finding.code)
    assert.truthy(finding.message:find("duplicate mac address", 1, true))
    assert.equal("True", site:condition("VirtualMachineImport", namespace, "four",
      "Stalled").status)
    assert.equal(before, sim:get("/state").calls.ExportVm)
    nothing_left(import, sim)
  end)
end)
