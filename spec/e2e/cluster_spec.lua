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
  { controller = "nvme", pattern = "mixed", seed = 4, capacity = "1GiB", every = 500 },
}

local SCENARIO = {
  datacenters = { {
    path = "DC0",
    networks = {
      { name = "dvSwitch 1", kind = "distributed", switch = "DSwitch" },
      { name = "nsx-segment", kind = "opaque" },
    },
    machines = {
      {
        name = "four", firmware = "efi", tpm = true, cpus = 8, coresPerSocket = 4,
        memoryMiB = 4096, guestId = "rhel9_64Guest", disks = FOUR,
        nics = {
          { network = "dvSwitch 1", mac = "00:50:56:00:00:01" },
          { network = "VM Network", model = "e1000e", mac = "00:50:56:00:00:02" },
          { network = "nsx-segment", mac = "00:50:56:00:00:03" },
        },
      },
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

  -- Every disk came whole, once, as its image of that import.
  local function check_disks(import, disks)
    local entries = import.status.diskImportStatus
    assert.equal(#disks, #entries)
    for i, entry in ipairs(entries) do
      assert.same({ lab.original(folder.path, disks[i]) },
        site.harvester:pulls(import.metadata.namespace, entry.VirtualMachineImage),
        "disk " .. i)
    end
  end

  local function nothing_left(import)
    assert.same(json.array({}), import.metadata.finalizers or json.array({}))
    assert.same({}, lab.files(running.scratch))
    assert.equal(0, sim:get("/state").openLeases)
  end

  it("ends upstream's example in a running machine, with every byte", function()
    local own <close> = lab.folder()
    local simulator <close> = lab.simulator(own.path, { scenario = "readme",
      flags = { "--leaf", "self" } })
    site:apply(README:format(simulator.url))
    local import = site:wait_import("default", "alpine-export-test",
      "virtualMachineRunning", 120)
    check_disks(import, README_DISKS)
    nothing_left(import)
    local source = site:status("VmwareSource", "default", "vcsim")
    assert.equal("clusterReady", source.status)
    local _, fingerprint = simulator.fingerprint:match("^(%S+) (%S+)$")
    assert.equal(fingerprint, source.certificateFingerprint)
    local warning = site:condition("VmwareSource", "default", "vcsim", "CertificateUnverified")
    assert.equal("True", warning.status)
    assert.truthy(warning.message:find(fingerprint, 1, true))
    assert.equal("True", site:condition("VirtualMachineImport", "default",
      "alpine-export-test", "Ready").status)
    assert.same({}, site.harvester:state().rejections)
    assert.same({}, site.harvester:state().remarks)
  end)
end)
