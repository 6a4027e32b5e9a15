local errors = require "host.error"
local stamp = require "providers.vmware.stamp"
local vsphere = require "support.vsphere"

local DISK = [[<VirtualDevice xsi:type="VirtualDisk"><key>%d</key>
  <backing xsi:type="VirtualDiskFlatVer2BackingInfo"><fileName>%s</fileName>
  <uuid>6000C29</uuid>%s</backing>
  <capacityInKB>1024</capacityInKB><capacityInBytes>%d</capacityInBytes></VirtualDevice>]]
local EVENT = [[<returnval xsi:type="VmPoweredOnEvent"><key>%d</key>
  <createdTime>2026-11-%02dT00:00:00Z</createdTime></returnval>]]

-- What vSphere says of a machine of two disks; `changes` replaces parts of it.
local function of(changes)
  local is = { content = { "a1", "b1" }, files = { "[ds] m/0.vmdk", "[ds] m/1.vmdk" },
    sizes = { 1048576, 1048576 }, version = "v1", events = { 7 } }
  for key, value in pairs(changes or {}) do
    is[key] = value
  end
  local devices = {}
  for i, file in ipairs(is.files) do
    local content = is.content[i]
    devices[i] = DISK:format(1999 + i, file,
      content and "<contentId>" .. content .. "</contentId>" or "", is.sizes[i])
  end
  local props = { ["config.hardware.device"] = { raw = table.concat(devices) },
    ["config.changeVersion"] = is.version, ["runtime.bootTime"] = is.boot }
  local events = {}
  for i, day in ipairs(is.events) do
    events[i] = EVENT:format(day, day)
  end
  local session = vsphere.logged_in {
    RetrievePropertiesEx = is.answer or vsphere.objects {
      { type = "VirtualMachine", value = "vm-79", props = props } },
    QueryEvents = is.refused
      or vsphere.reply("QueryEvents", table.concat(events)),
  }
  return stamp.of(session, "vm-79")
end

local NO_EVENTS = vsphere.fault("NoPermission", "", "<privilegeId>System.View</privilegeId>")
local PLAIN = { content = {} }
local BOOTED = { content = {}, boot = "2026-11-29T00:00:00Z" }

describe("the stamp of a machine of vSphere", function()
  local function differs(text, base, change)
    it("is another one after " .. text, function()
      local joined = {}
      for _, part in ipairs { base, change } do
        for key, value in pairs(part) do
          joined[key] = value
        end
      end
      assert.equal(assert(of(base)), assert(of(base)))
      assert.not_equal(assert(of(base)), assert(of(joined)))
    end)
  end

  differs("a write to its first disk", {}, { content = { "a2", "b1" } })
  differs("a write to its last disk", {}, { content = { "a1", "b2" } })
  differs("a start, whatever the disks say", {}, { events = { 7, 9 } })
  differs("growing a disk", {}, { sizes = { 1048576, 2097152 } })
  differs("losing a disk", {}, { files = { "[ds] m/0.vmdk" }, content = { "a1" } })
  differs("a new disk", {}, { files = { "a", "b", "c" }, content = { "a1", "b1", "c1" },
    sizes = { 1048576, 1048576, 1048576 } })
  differs("a change of an old server's machine", PLAIN, { version = "v2" })
  differs("growing its last disk at an old server", PLAIN, { sizes = { 1048576, 2097152 } })
  differs("a start at an old server", PLAIN, { events = { 7, 9 } })
  differs("a change of a machine that says when it booted", BOOTED, { version = "v2" })
  differs("growing its last disk where it says when it booted", BOOTED,
    { sizes = { 1048576, 2097152 } })
  differs("a snapshot at an old server", PLAIN, { files = { "[ds] m/0-1.vmdk", "x" } })
  differs("a start where bootTime stays", PLAIN, { boot = "2026-11-30T00:00:00Z" })
  differs("any change where events cannot be read", { refused = NO_EVENTS },
    { version = "v2" })
  differs("a change of a disk that tells no content", { content = { "a1" } },
    { version = "v2" })

  local function stays(text, base, change)
    it("stays after " .. text, function()
      assert.equal(assert(of(base)), assert(of(change)))
    end)
  end

  stays("a note, where disks and events tell all", {}, { version = "v2" })
  stays("a move to another datastore", {}, { files = { "[other] 0.vmdk", "[other] 1.vmdk" } })
  stays("older events were tidied away", { events = { 5, 7 } }, { events = { 7 } })

  it("asks for every event that is a start, of this machine alone", function()
    local asked
    assert(of { refused = function(body)
      asked = body
      return vsphere.reply("QueryEvents")
    end })
    assert.truthy(asked:find('<entity type="VirtualMachine">vm-79</entity>'
      .. "<recursion>self</recursion>", 1, true), asked)
    local names = {}
    for name in asked:gmatch("<eventTypeId>(%w+)</eventTypeId>") do
      names[#names + 1] = name
    end
    assert.same({ "VmPoweredOnEvent", "VmStartingEvent", "VmResumingEvent",
      "DrsVmPoweredOnEvent" }, names)
  end)

  it("tolerates a server without changeVersion and bootTime", function()
    assert.truthy(of({ version = nil, content = {} }))
  end)

  it("fails when it cannot be told, rather than being a constant", function()
    local text, err = of({ refused = errors.new("connect", "reset") })
    assert.is_nil(text)
    assert.equal("connect", err.kind)
    text, err = of({ answer = vsphere.objects {
      { type = "VirtualMachine", value = "vm-79", props = {} } } })
    assert.is_nil(text)
    assert.equal("denied", err.kind)
  end)
end)
