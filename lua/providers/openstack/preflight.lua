--- providers.openstack.preflight: what stands in the way of an export at this moment.
--
-- Reads the server's and the volumes' state afresh and changes nothing.

local compute = require "providers.openstack.compute"
local errors = require "host.error"
local finding = require "base.finding"
local hardware = require "providers.openstack.hardware"
local process = require "host.process"
local remote = require "providers.openstack.remote"
local shapes = require "providers.openstack.shapes"

local M = {}

local GIB = 2 ^ 30

local READY = { ACTIVE = true, SHUTOFF = true }

local function sayer(findings)
  return function(code, severity, subject, message, action)
    findings[#findings + 1] = finding.new(severity, code, subject, message, action)
  end
end

--- preflight.check_server(server, say)
-- Pure.
function M.check_server(server, say)
  local doing = server["OS-EXT-STS:task_state"]
  if server.status == "SUSPENDED" or server.status == "PAUSED" then
    say("Suspended", "Blocks", "machine", ("the server is %s; what it has in memory "
      .. "cannot be imported"):format(server.status), "resume it and shut it down")
  elseif not READY[server.status] then
    say("ServerStatus", "Blocks", "machine", ("the server is %s; only one that is ACTIVE "
      .. "or SHUTOFF can be imported"):format(tostring(server.status)),
      "bring it to one of these")
  elseif type(doing) == "string" and not doing:find("^power") then
    say("ServerBusy", "Blocks", "machine", "Nova is doing something with the server: "
      .. doing, "wait until it is done")
  end
  if server.locked == true and server.status ~= "SHUTOFF" then
    say("ServerLocked", "Blocks", "machine", "the server is locked and runs; it may be "
      .. "that Nova does not stop it", "unlock it, or stop it yourself")
  end
end

--- preflight.check_volume(volume, say)
-- Pure.
function M.check_volume(volume, say)
  if volume.status ~= "in-use" and volume.status ~= "available" then
    say("VolumeStatus", "Blocks", "disk " .. volume.id, ("the volume is %s, so no "
      .. "snapshot can be made of it"):format(tostring(volume.status)),
      "bring it back to in-use")
  end
end

-- How much of a quota is left; nil: it has no limit.
local function left(limits, most, used)
  most, used = tonumber(limits[most]), tonumber(limits[used])
  if not most or most < 0 then
    return nil
  end
  return most - (used or 0)
end

--- preflight.check_quota(disks, limits, say)
-- Whether a snapshot of each disk still fits, and a volume of the largest. Pure.
--
--   disks   list   those that are volumes
--   limits  table  `absolute` of Cinder's limits
function M.check_quota(disks, limits, say)
  local largest, all = 0, 0
  for _, disk in ipairs(disks) do
    local gib = math.ceil(disk.capacity_bytes / GIB)
    largest, all = math.max(largest, gib), all + gib
  end
  if largest == 0 then
    return
  end
  local function need(amount, what, most, used, severity)
    local have = left(limits, most, used)
    if have and have < amount then
      say("QuotaExceeded", severity or "Blocks", "project", ("exporting needs %d %s more "
        .. "than the project has; %d are left of its quota"):format(amount, what, have),
        "raise the quota, or remove what is not needed")
    end
    return have and have < amount
  end
  need(1, "volume", "maxTotalVolumes", "totalVolumesUsed")
  need(#disks, #disks == 1 and "snapshot" or "snapshots", "maxTotalSnapshots",
    "totalSnapshotsUsed")
  local gigabytes = { "maxTotalVolumeGigabytes", "totalGigabytesUsed" }
  if not need(largest, "GiB of volumes", gigabytes[1], gigabytes[2]) then
    -- Most clouds count the snapshots too, but none says whether it does.
    need(all + largest, "GiB of volumes and snapshots", gigabytes[1], gigabytes[2],
      "Warns")
  end
end

--- preflight.check_root(disks, problem, say)
-- A root disk that is no volume comes as an image in a format that Nova chooses; but for
-- raw ones qemu-img reads it, which may not be possible here. Pure.
--
--   problem  err | nil  why qemu-img is not started
function M.check_root(disks, problem, say)
  for _, disk in ipairs(disks) do
    if problem and disk.id == hardware.ROOT then
      say("ConverterNotConfined", "Blocks", "disk " .. disk.id, "Nova may give the root "
        .. "disk in a format that only qemu-img reads, and " .. problem.message,
        "do what it says, or set spec.skipPreflightChecks where Nova's images are raw")
    end
  end
end

local function volume_disks(machine)
  local list = {}
  for _, disk in ipairs(machine.disks) do
    if disk.id ~= hardware.ROOT then
      list[#list + 1] = disk
    end
  end
  return list
end

local function check_volumes(session, disks, say)
  for _, disk in ipairs(disks) do
    local volume, err = remote.get(session, "volume", disk.id)
    if not volume then
      return nil, errors.wrap(err, "looking at volume " .. disk.id)
    end
    M.check_volume(volume, say)
  end
  return true
end

--- preflight.findings(session, machine, version) -> findings | nil, err  [waits]
--
--   version  string  compute.version's: only from 2.9 on a server says that it is locked
--   err      gone    the server does not exist any more
function M.findings(session, machine, version)
  local findings = {}
  local say = sayer(findings)
  local server, err = compute.server(session, machine.id, version)
  if not server then
    return nil, err
  end
  M.check_server(server, say)
  M.check_root(machine.disks, select(2, process.can_confine("qemu-img")), say)
  local disks = volume_disks(machine)
  local ok
  ok, err = check_volumes(session, disks, say)
  if not ok then
    return nil, err
  end
  local document = #disks > 0 and session:call("volume", "GET", "/limits",
    { shape = shapes.limits })
  local limits = document and document.limits
  if type(limits) == "table" and type(limits.absolute) == "table" then
    M.check_quota(disks, limits.absolute, say)
  end
  return findings
end

return M
