local network = require "policy.network"
local plan = require "policy.plan"
local sample = require "support.sample"

local function row(source, destination, model)
  return {
    sourceNetwork = source,
    destinationNetwork = destination,
    networkInterfaceModel = model,
  }
end

-- The plan for these NICs and this spec.
local function planned(nics, spec, changes)
  changes = changes or {}
  changes.nics = nics
  local input = sample.input(changes, spec)
  return assert(plan.build(input))
end

local function names(p)
  local list = {}
  for i, nic in ipairs(p.nics) do
    list[i] = nic.name
  end
  return list
end

describe("policy.network connects", function()
  it("mapped NICs by a bridge, numbered as upstream did", function()
    local p = planned({ sample.nic(0), sample.nic(1), sample.nic(2) }, {
      networkMapping = { row("net0", "a"), row("net1", "other/b"), row("net2", "c") },
    })
    assert.same({ "migrated-0", "migrated-1", "migrated-2" }, names(p))
    assert.equal("default/a", p.nics[1].network)
    assert.equal("other/b", p.nics[2].network)
    assert.equal("bridge", p.nics[3].binding)
  end)

  it("two NICs of one network by the same row", function()
    local same = { name = "net0" }
    local p = planned({
      sample.nic(0, { network = same }), sample.nic(1, { network = same }),
    }, { networkMapping = { row("net0", "a") } })
    assert.equal("default/a", p.nics[1].network)
    assert.equal("default/a", p.nics[2].network)
    assert.same({ "migrated-0", "migrated-1" }, names(p))
  end)

  it("one unmapped NIC to the management network, with a warning", function()
    local p = planned({ sample.nic(0), sample.nic(1), sample.nic(2) },
      { networkMapping = { row("net0", "a"), row("net2", "c") } })
    assert.same({ "migrated-0", "pod-network", "migrated-1" }, names(p))
    assert.equal("masquerade", p.nics[2].binding)
    assert.is_nil(p.nics[2].network)
    assert.equal("00:50:56:aa:bb:01", p.nics[2].mac)
    local found = sample.find(p.findings, "NicOnManagementNetwork")
    assert.equal("Warns", found.severity)
    assert.equal("nic 4001", found.subject)
    assert.equal("\"net1\"", found.detail)
  end)

  it("no second unmapped NIC: that blocks", function()
    local p = planned({ sample.nic(0), sample.nic(1), sample.nic(2) },
      { networkMapping = {} })
    local blocked = {}
    for _, item in ipairs(p.findings) do
      if item.code == "NicNotMapped" then
        assert.equal("Blocks", item.severity)
        blocked[#blocked + 1] = item.subject
      end
    end
    assert.same({ "nic 4001", "nic 4002" }, blocked)
    assert.same({ "pod-network" }, names(p))
  end)

  it("leaves the second one out and names it, when preflight checks are skipped",
    function()
      local p = planned({ sample.nic(0), sample.nic(1), sample.nic(2) },
        { networkMapping = { row("net2", "c") }, skipPreflightChecks = true })
      assert.same({ "pod-network", "migrated-0" }, names(p))
      local found = sample.find(p.findings, "NicLeftOut")
      assert.equal("Warns", found.severity)
      assert.equal("nic 4001", found.subject)
      assert.equal("\"net1\"", found.detail)
    end)

  it("a NIC whose row says nothing of the destination to the management network",
    function()
      local p = planned({ sample.nic(0) },
        { networkMapping = { row("net0", "", "e1000") } })
      assert.equal("pod-network", p.nics[1].name)
      assert.equal("e1000", p.nics[1].model)
    end)

  it("a NIC without a network to the management network", function()
    local p = planned({ sample.nic(0, { network = {} }) }, {})
    assert.equal("pod-network", p.nics[1].name)
  end)

  it("nothing where the source has no NIC", function()
    local p = planned({}, { networkMapping = {} })
    assert.same({}, p.nics)
    local devices = p.virtual_machine.spec.template.spec.domain.devices
    assert.is_false(devices.autoattachPodInterface)
  end)

  it("blocks on two rows that contradict each other", function()
    local p = planned({ sample.nic(0) },
      { networkMapping = { row("net0", "a"), row("net0", "b") } })
    local found = sample.find(p.findings, "NetworkMappingAmbiguous")
    assert.equal("Blocks", found.severity)
    assert.matches("spec.networkMapping[0]", found.message, 1, true)
    assert.matches("spec.networkMapping[1]", found.message, 1, true)
  end)
end)

describe("policy.network checks the mapping:", function()
  local networks = { { name = "net0", id = "network-0" }, { name = "net1" } }

  local function checked(spec, known)
    local input = sample.input(nil, spec)
    input.networks = known
    return assert(plan.build(input)).findings
  end

  it("a source network that the source does not have blocks, with those it has",
    function()
      local found = sample.find(
        checked({ networkMapping = { row("net0", "a"), row("nett1", "b") } }, networks),
        "SourceNetworkUnknown")
      assert.equal("Blocks", found.severity)
      assert.equal("spec.networkMapping[1].sourceNetwork", found.subject)
      assert.matches("net0, net1", found.message, 1, true)
    end)

  it("one that merely this machine has no NIC on informs", function()
    local findings = checked({ networkMapping = { row("net0", "a"), row("net1", "b") } },
      networks)
    assert.is_nil(sample.find(findings, "SourceNetworkUnknown"))
    assert.equal("Informs", sample.find(findings, "SourceNetworkUnused").severity)
  end)

  it("one that a NIC is connected to is not mentioned", function()
    local findings = checked({ networkMapping = { row("net0", "a") } }, networks)
    assert.is_nil(sample.find(findings, "SourceNetworkUnknown"))
    assert.is_nil(sample.find(findings, "SourceNetworkUnused"))
  end)

  it("lists each network once, sorted, and says when there is none", function()
    local function message(known)
      return sample.find(checked({ networkMapping = { row("x", "b") } }, known),
        "SourceNetworkUnknown").message
    end
    assert.matches("(it has: a, b)", message({ { name = "b" }, { id = "a" },
      { name = "b" } }), 1, true)
    assert.matches("(it has: none)", message({}), 1, true)
    local eleven = {}
    for i = 1, 11 do
      eleven[i] = { name = ("n%02d"):format(i) }
    end
    assert.matches("n10, and 1 more)", message(eleven), 1, true)
    table.remove(eleven)
    assert.matches("n09, n10)", message(eleven), 1, true)
  end)

  it("is lenient when the source's networks are not known", function()
    local findings = checked({ networkMapping = { row("net0", "a"), row("x", "b") } })
    assert.is_nil(sample.find(findings, "SourceNetworkUnknown"))
    assert.is_not_nil(sample.find(findings, "SourceNetworkUnused"))
  end)

  it("does not list hundreds of networks", function()
    local many = {}
    for i = 1, 500 do
      many[i] = { name = ("network-%03d"):format(i) }
    end
    local found = sample.find(checked({ networkMapping = { row("x", "b") } }, many),
      "SourceNetworkUnknown")
    assert.matches("and 490 more", found.message, 1, true)
    assert.is_true(#found.message < 1024)
  end)

  it("what passes the check is what is then used", function()
    for _, form in ipairs({ "net0", "network-0", "/DC0/network/net0", "NET0",
      "Network:network-0" }) do
      local input = sample.input(nil, { networkMapping = { row(form, "a") } })
      input.networks = { input.machine.nics[1].network }
      local p = assert(plan.build(input))
      assert.equal("default/a", p.nics[1].network, form)
      assert.is_nil(sample.find(p.findings, "SourceNetworkUnknown"))
    end
  end)
end)

describe("policy.network chooses the model:", function()
  local function model(source, spec, os)
    local p = planned({ sample.nic(0, { model = source }) }, spec,
      { guest = { family = os or "linux" } })
    return p.nics[1].model, p.findings
  end

  it("the row's before the default before the source's", function()
    local mapped = { networkMapping = { row("net0", "a", "rtl8139") } }
    assert.equal("rtl8139", (model("e1000", mapped)))
    mapped.defaultNetworkInterfaceModel = "e1000e"
    assert.equal("rtl8139", (model("e1000", mapped)))
    assert.equal("e1000e", (model("e1000", { defaultNetworkInterfaceModel = "e1000e" })))
  end)

  it("the source's where KubeVirt has it, else virtio", function()
    local expected = {
      e1000 = "e1000", e1000e = "e1000e", vmxnet3 = "virtio", vmxnet2 = "virtio",
      vmxnet = "virtio", pcnet32 = "pcnet", virtio = "virtio", rtl8139 = "rtl8139",
    }
    for source, here in pairs(expected) do
      local chosen, findings = model(source, {})
      assert.equal(here, chosen, source)
      assert.is_nil(sample.find(findings, "NicModelChanged"))
    end
    local chosen, findings = model("sriov", {})
    assert.equal("virtio", chosen)
    assert.is_not_nil(sample.find(findings, "NicModelChanged"))
  end)

  it("one Windows has a driver for, unless it is stated", function()
    local chosen, findings = model("vmxnet3", {}, "windows")
    assert.equal("e1000", chosen)
    assert.is_not_nil(sample.find(findings, "NicModelForWindows"))
    for _, unheard in ipairs { "sriov", "hyperv", "" } do
      chosen, findings = model(unheard, {}, "windows")
      assert.equal("e1000", chosen)
      assert.is_not_nil(sample.find(findings, "NicModelForWindows"))
    end
    assert.equal("e1000e", (model("e1000e", {}, "windows")))
    assert.equal("virtio", (model("virtio", {}, "windows")))
    assert.equal("virtio",
      (model("vmxnet3", { defaultNetworkInterfaceModel = "virtio" }, "windows")))
  end)

  it("also for the NIC on the management network", function()
    assert.equal("pcnet",
      (model("e1000", { networkMapping = {}, defaultNetworkInterfaceModel = "pcnet" })))
  end)
end)

describe("policy.network keeps the MAC address", function()
  local function mac(...)
    local nics = {}
    for i, address in ipairs({ ... }) do
      nics[i] = sample.nic(i - 1, { mac = address })
    end
    local p = planned(nics, {
      networkMapping = { row("net0", "a"), row("net1", "b") },
    })
    return p.nics[1].mac, p.findings, p
  end

  it("as it is, in lower case with colons", function()
    assert.equal("00:50:56:aa:bb:cc", (mac("00:50:56:AA:BB:CC")))
    assert.equal("00:50:56:aa:bb:cc", (mac("00-50-56-aa-bb-cc")))
    assert.equal("10:50:56:aa:bb:cc", (mac("10:50:56:aa:bb:cc")))
  end)

  it("but drops one that no NIC can have, with a warning", function()
    for _, address in ipairs({ "00:00:00:00:00:00", "01:00:5e:00:00:01",
      "ff:ff:ff:ff:ff:ff", "00:50:56:aa:bb", "00:50:56:aa:bb:cc:dd:ee",
      "zz:50:56:aa:bb:cc", "02:00:00:00:00:00", "a\nb", "03:50:56:aa:bb:cc" }) do
      local kept, findings = mac(address)
      assert.is_nil(kept, address)
      assert.equal("Warns", sample.find(findings, "MacDropped").severity)
    end
  end)

  it("and takes a missing one for what it is", function()
    local kept, findings = mac("")
    assert.is_nil(kept)
    assert.is_nil(sample.find(findings, "MacDropped"))
  end)

  it("and blocks where two NICs have the same", function()
    local _, findings = mac("00:50:56:aa:bb:cc", "00:50:56:AA:BB:CC")
    local found = sample.find(findings, "DuplicateMac")
    assert.equal("Blocks", found.severity)
    assert.equal("nic 4001", found.subject)
  end)
end)

describe("policy.network hooks", function()
  local function with(answers)
    local changes = { nics = { sample.nic(0), sample.nic(1) } }
    return plan.build(sample.input(changes, { networkMapping = {} }),
      function(name, item, builtin)
        if name == "nic_network" then
          return answers[item.nic.id]
        end
        return builtin
      end)
  end

  it("may leave a NIC out, and name a network without its namespace", function()
    local p = assert(with({ ["4000"] = false, ["4001"] = "vlan7" }))
    assert.equal(1, #p.nics)
    assert.equal("4001", p.nics[1].id)
    assert.equal("migrated-0", p.nics[1].name)
    assert.equal("default/vlan7", p.nics[1].network)
  end)

  it("may not give two NICs one address", function()
    for _, mac in ipairs({ "00:50:56:aa:bb:00", "00-50-56-AA-BB-00" }) do
      local changes = { nics = { sample.nic(0), sample.nic(1) } }
      local _, err = plan.build(sample.input(changes), function(name, item, builtin)
        if name == "nic_mac" and item.nic.id == "4001" then
          return mac
        end
        return builtin
      end)
      assert.matches("another NIC's address", err.message, 1, true)
    end
  end)

  it("may take a mapped NIC to the management network", function()
    local p = assert(plan.build(sample.input(), function(name, _, builtin)
      return name == "nic_network" and network.MANAGEMENT or builtin
    end))
    assert.equal("pod-network", p.nics[1].name)
    assert.equal("masquerade", p.nics[1].binding)
  end)

  it("may choose the NIC that goes to the management network, but not two", function()
    local p = assert(with({ ["4000"] = "vlan7", ["4001"] = network.MANAGEMENT }))
    assert.equal("pod-network", p.nics[2].name)
    p = assert(with({ ["4000"] = false, ["4001"] = network.MANAGEMENT }))
    assert.same({ "pod-network" }, names(p))
    local _, err = with({ ["4000"] = network.MANAGEMENT, ["4001"] = network.MANAGEMENT })
    assert.matches("only one NIC", err.message)
  end)
end)

describe("policy.network, of a NIC that is not connected at the source,", function()
  local function plan_for(can, spec)
    local input = sample.input({ nics = { sample.nic(0),
      sample.nic(1, { connected = false }) } }, spec)
    input.defaults = { link_state = can }
    local p = assert(plan.build(input))
    return p.virtual_machine.spec.template.spec.domain.devices.interfaces, p.findings
  end

  it("leaves its link down", function()
    for _, can in ipairs({ "unknown", true }) do
      local interfaces, found = plan_for(can == true or nil)
      assert.is_nil(interfaces[1].state)
      assert.equal("down", interfaces[2].state)
      local link = sample.find(found, "NicLinkDown")
      assert.equal("nic 4001", link.subject)
      assert.equal(can == true and "Informs" or "Warns", link.severity)
      assert.is_nil(sample.find(found, "NicDisconnected"))
    end
  end)

  it("blocks where it would be connected, unless that is accepted", function()
    local interfaces, found = plan_for(false)
    assert.is_nil(interfaces[2].state)
    assert.equal("Blocks", sample.find(found, "NicDisconnected").severity)
    interfaces, found = plan_for(false, { skipPreflightChecks = true })
    assert.is_nil(interfaces[2].state)
    assert.equal("Warns", sample.find(found, "NicDisconnected").severity)
  end)

  it("says nothing of one that is left out anyway", function()
    local p = assert(plan.build(sample.input({ nics = { sample.nic(0), sample.nic(1),
      sample.nic(2, { connected = false }) } }, { networkMapping = {},
      skipPreflightChecks = true })))
    assert.is_nil(sample.find(p.findings, "NicLinkDown"))
    assert.is_nil(sample.find(p.findings, "NicDisconnected"))
  end)
end)
