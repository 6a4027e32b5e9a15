local answers = require "support.answers"
local errors = require "host.error"
local preflight = require "providers.openstack.preflight"

local GIB = 2 ^ 30

-- What check(value, say) says: a list of "Code Severity subject: message (action)".
local function said(check, ...)
  local list = {}
  local args = table.pack(...)
  args[args.n + 1] = function(code, severity, subject, message, action)
    list[#list + 1] = ("%s %s %s: %s (%s)"):format(code, severity, subject, message, action)
  end
  check(table.unpack(args, 1, args.n + 1))
  return list
end

describe("providers.openstack.preflight.check_server", function()
  local function server(status, task, locked)
    return said(preflight.check_server, { status = status, locked = locked,
      ["OS-EXT-STS:task_state"] = task })
  end

  it("says nothing of a server that runs, or is off", function()
    assert.same({}, server("ACTIVE"))
    assert.same({}, server("SHUTOFF"))
    assert.same({}, server("SHUTOFF", nil, true))
    assert.same({}, server("ACTIVE", "powering-off", false))
  end)

  it("blocks one whose memory would be lost", function()
    for _, status in ipairs { "SUSPENDED", "PAUSED" } do
      assert.same({ ("Suspended Blocks machine: the server is %s; what it has in memory cannot "
        .. "be imported (resume it and shut it down)"):format(status) }, server(status))
    end
  end)

  it("blocks one that is neither", function()
    assert.same({ "ServerStatus Blocks machine: the server is ERROR; only one that is ACTIVE or "
      .. "SHUTOFF can be imported (bring it to one of these)" }, server("ERROR", "resizing"))
  end)

  it("blocks one that Nova is at work on", function()
    assert.same({ "ServerBusy Blocks machine: Nova is doing something with the server: resizing "
      .. "(wait until it is done)" }, server("ACTIVE", "resizing"))
  end)

  it("blocks one that is locked and runs", function()
    assert.same({ "ServerLocked Blocks machine: the server is locked and runs; it may be that "
      .. "Nova does not stop it (unlock it, or stop it yourself)" }, server("ACTIVE", nil, true))
  end)
end)

describe("providers.openstack.preflight.check_root", function()
  local problem = errors.new("unsupported", "qemu-img is not started: no Landlock")

  it("blocks a root disk that qemu-img may have to read, where it is not started", function()
    assert.same({ "ConverterNotConfined Blocks disk root: Nova may give the root disk in a format "
      .. "that only qemu-img reads, and qemu-img is not started: no Landlock (do what it says, "
      .. "or set spec.skipPreflightChecks where Nova's images are raw)" },
      said(preflight.check_root, { { id = "root" }, { id = "v" } }, problem))
  end)

  it("says nothing of volumes, nor where it is started", function()
    assert.same({}, said(preflight.check_root, { { id = "v" } }, problem))
    assert.same({}, said(preflight.check_root, { { id = "root" } }, nil))
  end)
end)

describe("providers.openstack.preflight.check_volume", function()
  it("blocks one of which no snapshot can be made", function()
    for _, status in ipairs { "in-use", "available" } do
      assert.same({}, said(preflight.check_volume, { id = "v", status = status }))
    end
    assert.same({ "VolumeStatus Blocks disk v: the volume is error, so no snapshot can be made "
      .. "of it (bring it back to in-use)" },
      said(preflight.check_volume, { id = "v", status = "error" }))
  end)
end)

describe("providers.openstack.preflight.check_quota", function()
  local DISKS = { { capacity_bytes = 3 * GIB }, { capacity_bytes = GIB + 1 } } -- 3 and 2 GiB

  local function quota(limits, disks)
    local list = said(preflight.check_quota, disks or DISKS, limits)
    for i, text in ipairs(list) do
      list[i] = text:match("^QuotaExceeded (%a+) project: exporting needs (.*) more than")
        and text:gsub("^QuotaExceeded (%a+) project: exporting needs (.*) more than the project "
          .. "has; (%-?%d+) are left of its quota .*", "%1 %2 %3") or text
    end
    return list
  end

  it("says nothing while all fits, or nothing is limited", function()
    assert.same({}, quota({ maxTotalVolumes = 10, totalVolumesUsed = 9, maxTotalSnapshots = 2,
      totalSnapshotsUsed = 0, maxTotalVolumeGigabytes = 108, totalGigabytesUsed = 100 }))
    assert.same({}, quota({ maxTotalVolumes = -1, totalVolumesUsed = 99, maxTotalSnapshots = -1,
      maxTotalVolumeGigabytes = -1, totalGigabytesUsed = 5 }))
    assert.same({}, quota({}))
    assert.same({}, quota({ maxTotalVolumes = 0 }, {}))
  end)

  it("blocks where a volume of the largest, or a snapshot of each, does not fit", function()
    assert.same({ "Blocks 1 volume 0", "Blocks 2 snapshots 1", "Blocks 3 GiB of volumes 2" },
      quota({ maxTotalVolumes = 9, totalVolumesUsed = 9, maxTotalSnapshots = 1,
        maxTotalVolumeGigabytes = 102, totalGigabytesUsed = 100 }))
    assert.same({ "Blocks 1 snapshot 0" },
      quota({ maxTotalSnapshots = 0 }, { { capacity_bytes = GIB } }))
    assert.same({ "Blocks 1 volume 0" }, quota({ maxTotalVolumes = 0 }))
    assert.same({ "Blocks 1 volume 0" }, quota({ maxTotalVolumes = "1", totalVolumesUsed = "1" }))
  end)

  it("warns where the snapshots may not fit besides", function()
    assert.same({ "Warns 8 GiB of volumes and snapshots 7" },
      quota({ maxTotalVolumeGigabytes = 107, totalGigabytesUsed = 100 }))
    assert.same({ "Warns 8 GiB of volumes and snapshots 3" },
      quota({ maxTotalVolumeGigabytes = 103, totalGigabytesUsed = 100 }))
  end)

  it("says what to do", function()
    assert.truthy(said(preflight.check_quota, DISKS, { maxTotalVolumes = 0 })[1]:find(
      "(raise the quota, or remove what is not needed)", 1, true))
  end)
end)

describe("providers.openstack.preflight.findings", function()
  local MACHINE = { id = "s-1", disks = { { id = "root", capacity_bytes = GIB },
    { id = "v-1", capacity_bytes = GIB } } }
  local SERVER, VOLUME = "GET compute /servers/s-1", "GET volume /volumes/v-1"
  local LIMITS = "GET volume /limits"

  local function findings(map, machine)
    map[SERVER] = map[SERVER] or { server = { status = "ACTIVE" } }
    local session = answers.session(map)
    local list, err = preflight.findings(session, machine or MACHINE, "compute 2.19")
    return list, err, session
  end

  it("are of the server, its volumes and the quota", function()
    local list, _, session = findings({ [SERVER] = { server = { status = "ERROR" } },
      [VOLUME] = { volume = { id = "v-1", status = "error" } },
      [LIMITS] = { limits = { absolute = { maxTotalVolumes = 0 } } } })
    local codes = {}
    for i, finding in ipairs(list) do
      codes[i] = finding.code .. " " .. finding.severity .. " " .. finding.subject
    end
    assert.same({ "ServerStatus Blocks machine", "VolumeStatus Blocks disk v-1",
      "QuotaExceeded Blocks project" }, codes)
    assert.equal("bring it back to in-use", list[2].action)
    assert.truthy(list[2].message:find("the volume is error", 1, true))
    assert.same({ SERVER, VOLUME, LIMITS }, session.asked)
    assert.equal("compute 2.19", session.opts[SERVER].version)
  end)

  it("need no quota where there is no volume", function()
    local list, _, session = findings({}, { id = "s-1", disks = { MACHINE.disks[1] } })
    assert.same({}, list)
    assert.same({ SERVER }, session.asked)
  end)

  for what, answer in pairs { ["are not told"] = false, ["are no table"] = { limits = "x" },
    ["have no numbers"] = { limits = { absolute = 1 } } } do
    it("are had though limits " .. what, function()
      assert.same({}, (findings({ [VOLUME] = { volume = { id = "v-1", status = "in-use" } },
        [LIMITS] = answer or nil })))
    end)
  end

  it("are none where server or volume cannot be read", function()
    local list, err = findings({ [SERVER] = errors.new("connect", "refused") })
    assert.is_nil(list)
    assert.equal("connect", err.kind)
    list, err = findings({})
    assert.is_nil(list)
    assert.equal("looking at volume v-1: no such thing", err.message)
  end)
end)
