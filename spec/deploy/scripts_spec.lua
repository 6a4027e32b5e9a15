-- The examples of deploy/scripts, each as a site would have it.

local file = require "host.file"
local plan = require "policy.plan"
local sample = require "support.sample"
local scripts = require "site.scripts"
local yaml = require "host.yaml"

local function nic(n, network, changes)
  changes = changes or {}
  changes.network = { name = network }
  return sample.nic(n, changes)
end

describe("deploy/scripts:", function()
  local site

  before_each(function()
    site = scripts.new()
  end)

  after_each(function()
    site:close()
  end)

  local function planned(name, changes, spec)
    local text = assert(file.read("deploy/scripts/" .. name))
    local generation = assert(site:use({ [name] = text }))
    return assert(plan.build(sample.input(changes, spec), generation.hook))
  end

  it("10-network-by-vlan maps by number, then by name, then by the import", function()
    local made = planned("10-network-by-vlan.lua", { nics = {
      nic(0, "VLAN 20 backup"), nic(1, "dvs-storage"), nic(2, "net0"), nic(3, "web_vlan-7"),
    } })
    local networks = {}
    for i, entry in ipairs(made.nics) do
      networks[i] = entry.network
    end
    assert.same({ "default/vlan20", "storage/vlan300", "default/vlan1", "default/vlan7" },
      networks)
  end)

  it("20-keep-macs keeps those of the machines listed, and no others", function()
    assert.is_nil(planned("20-keep-macs.lua").nics[1].mac)
    assert.equal("00:50:56:aa:bb:00",
      planned("20-keep-macs.lua", { name = "license-server" }).nics[1].mac)
  end)

  it("30-storage-class-by-datastore takes the first pattern that fits", function()
    local made = planned("30-storage-class-by-datastore.lua", { disks = {
      sample.disk(0, { datastore = "nvme-archive" }),
      sample.disk(1, { datastore = "old archive" }),
      sample.disk(2, { datastore = "other" }), sample.disk(3),
    } }, { storageClass = "from-spec" })
    local classes = {}
    for i, entry in ipairs(made.disks) do
      classes[i] = entry.storage_class
    end
    assert.same({ "fast-replicated", "single-replica", "from-spec", "from-spec" }, classes)
  end)

  it("40-name-by-folder prefixes, but no name that was stated", function()
    local name = "40-name-by-folder.lua"
    assert.equal("prod-web-01", planned(name, { path = "/DC0/vm/Prod/web-01" }).name)
    assert.equal("web-01", planned(name, { path = "/DC0/vm/Else/web-01" }).name)
    assert.equal("mine", planned(name, { path = "/DC0/vm/Prod/web-01" },
      { targetName = "mine" }).name)
    assert.equal(63, #planned(name, { name = ("x"):rep(80), path = "/DC0/vm/Prod/x" }).name)
  end)

  it("50-refuse-snapshots blocks the import of a machine that has some", function()
    local name = "50-refuse-snapshots.lua"
    assert.is_nil(sample.find(planned(name).findings, "SiteRefusesSnapshots"))
    local found = sample.find(planned(name, { snapshots = 2 }).findings,
      "SiteRefusesSnapshots")
    assert.equal("Blocks", found.severity)
    assert.truthy(found.message:find("2 snapshots", 1, true))
    for _, words in ipairs { found.message, found.action } do -- as base.finding has them
      assert.matches("^%l.*[^.]$", words)
    end
  end)

  it("60-windows-defaults knows a prepared Windows from others, and leaves Linux", function()
    local name = "60-windows-defaults.lua"
    local windows = { id = "windows2019srv_64Guest", family = "windows" }
    local made = planned(name, { guest = windows, description = "virtio: yes" })
    assert.same({ "virtio", "virtio" }, { made.disks[1].bus, made.nics[1].model })
    assert.equal("windows", made.labels["site.example.org/patch-group"])
    made = planned(name, { guest = windows })
    assert.same({ "sata", "e1000" }, { made.disks[1].bus, made.nics[1].model })
    assert.is_nil(planned(name).labels["site.example.org/patch-group"])
  end)

  it("70-static-ip writes the addresses of known subnets, by MAC", function()
    local made = planned("70-static-ip.lua", { nics = {
      nic(0, "net0", { addresses = { "fe80::1", "10.1.20.5" } }),
      nic(1, "net0", { addresses = { "172.16.0.1" } }),
    } })
    local data = assert(yaml.parse(made.cloud_init.network_data, { what = "data" }))[1]
    assert.same({ nic1 = {
      match = { macaddress = "00:50:56:aa:bb:00" },
      addresses = { "10.1.20.5/24" },
      routes = { { to = "default", via = "10.1.20.1" } },
      nameservers = { addresses = { "10.1.1.53", "10.1.2.53" } },
    } }, data.ethernets)
    assert.is_nil(planned("70-static-ip.lua").cloud_init)
  end)

  it("may all be in force together", function()
    local generation = assert(site:use(assert(scripts.read("deploy/scripts"))))
    assert.equal(7, #generation.names)
    assert(plan.build(sample.input(), generation.hook))
  end)
end)
