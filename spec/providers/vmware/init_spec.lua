local errors = require "host.error"
local task = require "host.task"
local time = require "host.time"
local vmware = require "providers.vmware"
local vsphere = require "support.vsphere"

local SPEC = { endpoint = "vc.example.com", dc = "" }
local SECRET = { username = "administrator", password = "s3cret" }
local ROOT = { type = "Folder", value = "group-d1" }
local DC = { type = "Datacenter", value = "datacenter-2" }

local function at(type, value, name, parent, more)
  local props = { name = name, parent = parent }
  for path, is in pairs(more or {}) do
    props[path] = is
  end
  return { type = type, value = value, props = props }
end

local NETWORKS = at("Folder", "group-n1", "network", DC)
local ABOVE = { ["group-d1"] = at("Folder", "group-d1", "Datacenters"),
  ["datacenter-2"] = at("Datacenter", "datacenter-2", "DC0", ROOT), ["group-n1"] = NETWORKS,
  ["group-v1"] = at("Folder", "group-v1", "vm", DC),
  ["dvs-1"] = at("VmwareDistributedVirtualSwitch", "dvs-1", "DVS%2f0", DC) }

-- Networks of the datacenter; a port group twice, as two answers may have it.
local SHOWN = {
  at("Network", "network-7", "b%2fnet", NETWORKS),
  at("DistributedVirtualPortgroup", "dvportgroup-1", "a", NETWORKS, { key = "key-1",
    ["config.distributedVirtualSwitch"] = { type = "VmwareDistributedVirtualSwitch",
      value = "dvs-1" } }),
  at("DistributedVirtualPortgroup", "dvportgroup-1", "a", NETWORKS),
  at("OpaqueNetwork", "opaque-1", "c", NETWORKS,
    { summary = { raw = "<opaqueNetworkId>nsx-1</opaqueNetworkId>" } }),
}

local function retrieve(asked)
  return function(body)
    asked.view = asked.view or body:find("ContainerView", 1, true)
    if body:find('type="ContainerView"', 1, true) then
      return vsphere.objects(asked.type == "Datacenter" and { ABOVE["datacenter-2"] }
        or asked.shown or SHOWN)
    end
    local list = {}
    for value in body:gmatch('<obj type="%w+">([^<]+)</obj>') do
      local found = asked[value] or ABOVE[value]
      for _, one in ipairs(SHOWN) do
        found = found or one.value == value and one
      end
      list[#list + 1] = found or nil
    end
    return vsphere.objects(list)
  end
end

-- asked: {shown = list, [reference value] = object} in place of what is above.
local function open(answers, opts, asked, spec)
  asked = asked or {}
  local all = {
    versions = { body = vsphere.VERSIONS, certificate = { fingerprint = "AA", trusted = true } },
    RetrieveServiceContent = vsphere.data("service_content"),
    Login = vsphere.data("login"), Logout = vsphere.data("logout"),
    CreateContainerView = function(body)
      asked.type = body:match("<type>(%w+)</type>")
      return vsphere.data("view")
    end,
    DestroyView = vsphere.reply("DestroyView"), RetrievePropertiesEx = retrieve(asked),
  }
  for method, answer in pairs(answers or {}) do
    all[method] = answer
  end
  local fake = vsphere.new(all)
  opts = opts or {}
  opts.http, opts.backoff = fake, {}
  local source, err = vmware.open(spec or SPEC, SECRET, opts)
  return source, err, fake
end

-- It has said goodbye.
local function is_closed(fake)
  local deadline = time.monotonic() + 10
  while fake.closed == 0 and time.monotonic() < deadline do
    task.sleep(0.001)
  end
  return fake.closed == 1
end

describe("vmware.open", function()
  it("knows server and datacenter, and how long to wait for what", function()
    local source, _, fake = open(nil, { lease_wait = 7, poll = 3, task_timeout = 5 })
    assert.equal("/DC0", source.dc.path)
    assert.equal("AA", source.certificate.fingerprint)
    assert.same({ poll = 3, task_timeout = 5, lost_answer = 10, lease_wait = 7 }, source.waits)
    assert.same({ poll = 1, task_timeout = 300, lost_answer = 10, lease_wait = 600 },
      open().waits)
    source:close()
    assert.is_true(is_closed(fake))
  end)

  it("says what it can, by whose clock it goes, and that it closes once", function()
    local source, _, fake = open()
    assert.same({ guest_shutdown = true, power_off = true, resume = false, reread = true },
      source.can)
    assert.is_true(math.abs(source.now() - time.now()) < 60)
    assert.equal(7, open(nil, { now = function() return 7 end }).now())
    source:close()
    source:close()
    assert.is_true(is_closed(fake))
    assert.equal(1, fake.count.Logout)
  end)

  it("says which field the Secret lacks", function()
    for _, field in ipairs { "username", "password" } do
      local secret = { username = "u", password = "p" }
      secret[field] = ""
      local source, err = vmware.open(SPEC, secret)
      assert.is_nil(source)
      assert.equal("secret", err.check)
      assert.equal("the Secret has no " .. field, err.message)
    end
  end)

  it("says what keeps it out, and leaves nothing open", function()
    local source, err = open { versions = errors.new("dns", "no such host") }
    assert.is_nil(source)
    assert.equal("dns", err.check)
    local fake
    source, err, fake = open { Login = vsphere.data("login_refused") }
    assert.is_nil(source)
    assert.equal("login", err.check)
    assert.equal("AA", err.certificate.fingerprint)
    assert.is_true(is_closed(fake))
    source, err, fake = open(nil, nil, nil, { endpoint = "vc.example.com", dc = "DC9" })
    assert.is_nil(source)
    assert.equal("dc", err.check)
    assert.equal("AA", err.certificate.fingerprint)
    assert.is_true(is_closed(fake))
  end)
end)

describe("a vmware source", function()
  it("has all networks of its datacenter, each once, by path", function()
    assert.same({ { id = "dvportgroup-1", name = "a", path = "/DC0/network/a",
      switch = "DVS/0" }, { id = "network-7", name = "b/net", path = "/DC0/network/b%2fnet" },
      { id = "opaque-1", name = "c", path = "/DC0/network/c" } }, open():networks())
  end)

  it("calls a network whose name it may not read by its reference", function()
    local source = open(nil, nil, { shown = { { type = "Network", value = "network-9",
      props = { parent = NETWORKS } } } })
    assert.equal("network-9", source:networks()[1].name)
  end)

  it("passes on that networks cannot be listed", function()
    local asked = {}
    local source = open({ CreateContainerView = function(body)
      asked.type = body:match("<type>(%w+)</type>")
      return asked.type == "Datacenter" and vsphere.data("view")
        or vsphere.fault("NoPermission")
    end }, nil, asked)
    local networks, err = source:networks()
    assert.is_nil(networks)
    assert.equal("denied", err.kind)
  end)

  local function machine(more)
    return at("VirtualMachine", "vm-79", "web%2f1", { type = "Folder", value = "group-v1" },
      more)
  end

  it("inspects a machine, with name, path and the networks that it is in", function()
    local device = [[<VirtualDevice xsi:type="VirtualVmxnet3"><key>4000</key><backing
      xsi:type="VirtualEthernetCardNetworkBackingInfo"><deviceName>x</deviceName><network
      type="Network">network-7</network></backing><macAddress>00:50:56:00:00:01</macAddress>
      </VirtualDevice>]]
    local one = '<ManagedObjectReference type="Network">network-7</ManagedObjectReference>'
    local found = assert(open(nil, nil, { ["vm-79"] = machine {
      ["config.hardware.device"] = { raw = device }, ["config.hardware.memoryMB"] = "64",
      network = { raw = one .. one } } })
      :inspect("vm-79"))
    assert.equal("web/1", found.name)
    assert.equal("/DC0/vm/web%2f1", found.path)
    assert.equal("b/net", found.nics[1].network.name)
  end)

  it("says that it may not read a machine, or that it is gone", function()
    local found, err = open(nil, nil, { ["vm-79"] = machine() }):inspect("vm-79")
    assert.is_nil(found)
    assert.equal("denied", err.kind)
    found, err = open():inspect("vm-79")
    assert.is_nil(found)
    assert.equal("gone", err.kind)
  end)

  it("exports without anybody who remembers or listens", function()
    local held = vsphere.fault("TaskInProgress")
    local source = open { ExportVm = held }
    for _, opts in ipairs { {}, false } do
      local export, err = source:export({ id = "vm-79", disks = {} }, opts or nil)
      assert.is_nil(export)
      assert.equal("busy", err.kind)
    end
  end)

  it("aborts leases of earlier runs, and keeps what it could not ask", function()
    local entries = { { kind = "HttpNfcLease", id = "session[1]lease" },
      { kind = "HttpNfcLease" }, { kind = "other", id = "x" } }
    local source, _, fake = open { HttpNfcLeaseAbort = vsphere.reply("HttpNfcLeaseAbort") }
    assert.same({}, source:cleanup())
    assert.same({}, source:cleanup(entries))
    assert.equal(1, fake.count.HttpNfcLeaseAbort)
    source = open { HttpNfcLeaseAbort = { status = 503, body = "" } }
    assert.same({ entries[1] }, source:cleanup(entries))
    source = open { HttpNfcLeaseAbort = vsphere.fault("ManagedObjectNotFound") }
    assert.same({}, source:cleanup(entries))
  end)
end)
