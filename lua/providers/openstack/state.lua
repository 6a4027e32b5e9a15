--- providers.openstack.state: what a server is at one moment: power, volumes, and a stamp
-- that is another one whenever its disks may hold something else.

local compute = require "providers.openstack.compute"
local digest = require "host.digest"
local errors = require "host.error"
local hardware = require "providers.openstack.hardware"
local remote = require "providers.openstack.remote"
local session_of = require "providers.openstack.session"
local shapes = require "providers.openstack.shapes"

local M = {}

--- state.volumes(session, server) -> volumes | nil, err               [waits]
-- Each attached one, as Cinder has it, in the order in which Nova lists them.
function M.volumes(session, server)
  local list = {}
  for i, attached in ipairs(server["os-extended-volumes:volumes_attached"] or {}) do
    local volume, err = remote.get(session, "volume", attached.id)
    if not volume then
      return nil, errors.wrap(err, ("reading volume %s of server %s"):format(attached.id,
        server.id))
    end
    list[i] = volume
  end
  return list
end

-- Actions that leave the disks of a stopped server as they are; that other volumes are
-- attached shows in these.
local HARMLESS = { stop = true, createImage = true, lock = true, unlock = true,
  attach_volume = true, detach_volume = true, attach_interface = true,
  detach_interface = true, backup = true }

-- The server's last action (a start, say); nil where the account may not see it.
local function last_action(session, server)
  local document, err = session:call("compute", "GET",
    ("/servers/%s/os-instance-actions"):format(server.id), { shape = shapes.actions })
  if not document then
    local known = session_of.passing(err) or err.kind == "format"
    return nil, known and err or nil
  end
  local newest
  for _, action in ipairs(document.instanceActions or {}) do
    if not HARMLESS[action.action]
      and (not newest or action.start_time > newest.start_time) then
      newest = action
    end
  end
  return newest and newest.request_id or server.created or "unknown"
end

-- Of a volume that was detached in between, and may have been written elsewhere, or
-- reverted to a snapshot, the attachment is another one.
local function volume_line(volume, server)
  for _, attachment in ipairs(volume.attachments or {}) do
    if attachment.server_id == server.id then
      return table.concat({ volume.id, tostring(volume.size),
        tostring(attachment.attachment_id), tostring(attachment.attached_at),
        tostring(attachment.device) }, " ")
    end
  end
  return ("%s %s"):format(volume.id, tostring(volume.size))
end

-- Changes whenever its disks may hold something else: when the guest may have written,
-- and when a volume was attached, detached or resized. What was copied under another
-- stamp is of an older state.
local function stamp_of(session, server, volumes)
  local action, err = last_action(session, server)
  if err then
    return nil, err
  end
  local lines = {}
  for i, volume in ipairs(volumes) do
    lines[i] = volume_line(volume, server)
  end
  table.sort(lines)
  table.insert(lines, 1, action or server.updated or "unknown")
  return digest.sha256(table.concat(lines, "\n")):sub(1, 32)
end

--- state.of(session, id, version) -> {server, volumes, stamp} | nil, err  [waits]
--
--   version  string  compute.version's, or nil
--   err      gone    there is no such server
function M.of(session, id, version)
  local server, err = compute.server(session, id, version)
  local volumes, stamp
  if server then
    volumes, err = M.volumes(session, server)
  end
  if volumes then
    stamp, err = stamp_of(session, server, volumes)
  end
  return stamp and { server = server, volumes = volumes, stamp = stamp }, err
end

--- state.fits(machine, found) -> true | nil, err
-- Whether its volumes are those of the Machine that was planned with, in that order.
--
--   found  of state.of()
function M.fits(machine, found)
  local planned, has_root = {}, false
  for _, disk in ipairs(machine.disks) do
    has_root = has_root or disk.id == hardware.ROOT
    planned[#planned + 1] = disk.id ~= hardware.ROOT and disk.id or nil
  end
  local now = hardware.order(found.server, found.volumes, has_root)
  if table.concat(now, " ") == table.concat(planned, " ") then
    return true
  end
  local function said(ids)
    return #ids > 0 and table.concat(ids, ", ") or "none"
  end
  return nil, errors.final(errors.new("invalid", ("server %s has other volumes than when "
    .. "it was inspected: %s, and then %s; delete the import and create it again, in a "
    .. "directory in another folder"):format(machine.id, said(now), said(planned)),
    { code = "MachineChanged" }))
end

return M
