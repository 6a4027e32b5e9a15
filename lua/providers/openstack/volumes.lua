--- providers.openstack.volumes: a disk of a stopped server -> an image that can be read.
--
-- A volume in use: snapshot -> temporary volume -> image; Cinder gives no bytes of a
-- volume in any other way, and none of an attached one. A root disk that is no volume:
-- createImage. What was needed on the way goes as soon as the image is there. Whoever
-- wants several disks has providers.openstack.moment take them at once first.

local errors = require "host.error"
local pace = require "providers.openstack.pace"
local remote = require "providers.openstack.remote"
local session_of = require "providers.openstack.session"
local shapes = require "providers.openstack.shapes"
local task = require "host.task"
local time = require "host.time"

local M = {}

local TRIES = 2            -- of making one image
local SLOWEST = 60         -- seconds that a GiB may take, beside the patience below
local LATE = 60            -- seconds until an upload that has begun shows its image
local IDLE = 3             -- longest pauses in which nobody fills an image: nobody will
local FORMAT = "raw"       -- as which Cinder uploads: it can be written as it comes

local GIB = 2 ^ 30

-- Seconds that an image may take to be made: Cinder shows no progress, only that it is
-- at it, so a large disk has more time than a small one.
local function patience(job, disk)
  return job.waits.retry_count * job.waits.retry_delay
    + SLOWEST * math.ceil(disk.capacity_bytes / GIB)
end

--- volumes.entry_of(job, kind, disk) -> entry
-- The entry of status.recorded of an object made for a disk, without the object's id.
function M.entry_of(job, kind, disk)
  return { kind = kind, name = job:name(disk), diskID = disk.id, since = job.stamp }
end

local function make_snapshot(job, disk, name)
  local document, err = job.session:call("volume", "POST", "/snapshots", {
    shape = shapes.snapshot, body = { snapshot = {
      volume_id = disk.id, name = name, force = true,
      description = "made by vm-import-controller, which removes it",
    } },
  })
  if not document then
    return nil, errors.wrap(err, ("a snapshot of volume %s"):format(disk.id))
  end
  return document.snapshot.id
end

-- As large as the snapshot, which is more than planned of a volume that has grown since.
local function make_volume(job, disk, name, snapshot)
  local size = math.max(math.ceil(disk.capacity_bytes / GIB),
    math.tointeger(snapshot.size) or 0)
  local document, err = job.session:call("volume", "POST", "/volumes", {
    shape = shapes.volume, body = { volume = {
      snapshot_id = snapshot.id, name = name, size = size,
      description = "made by vm-import-controller, which removes it",
    } },
  })
  if not document then
    return nil, errors.wrap(err, ("a volume from the snapshot of volume %s")
      :format(disk.id))
  end
  return document.volume.id
end

--- volumes.begin_snapshot(job, disk) -> true | nil, err                 [waits]
-- Asks for it, unless an earlier run has; does not wait until it is there. A failure that
-- may pass is none yet: volumes.snapshot asks again.
function M.begin_snapshot(job, disk)
  local entry = M.entry_of(job, "snapshot", disk)
  job:report(disk, "Cinder makes a snapshot of the volume")
  local id, err = remote.begin(job, entry, function()
    return make_snapshot(job, disk, entry.name)
  end)
  if not id and not session_of.passing(err) then
    return nil, err
  end
  return true
end

--- volumes.snapshot(job, disk) -> snapshot | nil, err                   [waits]
-- The one that was asked for, once it is there, or a new one.
function M.snapshot(job, disk)
  local entry = M.entry_of(job, "snapshot", disk)
  return remote.ensure(job, entry, function()
    return make_snapshot(job, disk, entry.name)
  end, patience(job, disk))
end

-- The temporary volume of the disk's snapshot. One that had to be made again is of the
-- moment of the others only while the server has not run.
local function temporary(job, disk)
  local entry = M.entry_of(job, "volume", disk)
  local before = job:knows(entry) and remote.find(job.session, "volume", entry.name) or {}
  if before[1] and before[1].status == "uploading" then
    return before[1] -- an upload of an earlier run, or one that is being given up
  end
  return remote.ensure(job, entry, function()
    local snapshot, err = M.snapshot(job, disk)
    local ok
    if snapshot then
      ok, err = job:unchanged()
    end
    if not ok then
      return nil, err
    end
    job:report(disk, "Cinder makes a volume of the snapshot")
    return make_volume(job, disk, entry.name, snapshot)
  end, patience(job, disk))
end

local function upload(job, disk, volume)
  local document, err = job.session:call("volume", "POST",
    ("/volumes/%s/action"):format(volume.id), { shape = shapes.upload, body = {
      ["os-volume_upload_image"] = {
        image_name = job:name(disk), disk_format = FORMAT, container_format = "bare",
        force = false,
      },
    } })
  if not document then
    return nil, errors.wrap(err, ("an image of volume %s"):format(disk.id))
  end
  return document["os-volume_upload_image"].image_id
end

local DEAD = { killed = true, deleted = true, pending_delete = true, deactivated = true }

-- Whether the one who fills the image has stopped doing so.
local function is_idle(job, disk, volume)
  if volume then
    local now = remote.get(job.session, "volume", volume.id)
    return now ~= nil and now.status ~= "uploading"
  end
  local server = job:server()
  local doing = server and server["OS-EXT-STS:task_state"]
  return server ~= nil and not (type(doing) == "string" and doing:find("^image")), disk
end

local function upload_failed(job, disk, id, image, volume)
  local why = volume and remote.reason(job.session, "volume", volume.id) or ""
  return errors.new("http", ("Glance has not got the data of disk %s: image %s is %s and "
    .. "nobody fills it%s"):format(disk.id, id, image and image.status or "gone", why),
    { code = "UploadFailed" })
end

-- Until the image is active. A volume, or the server for a root disk, shows whether
-- somebody is still at it; who fails removes the image.
local function wait_active(job, disk, id, volume)
  local deadline, idle = time.monotonic() + patience(job, disk), 0
  local pause = pace.new(job.waits.poll)
  while true do
    local image, err = remote.get(job.session, "image", id)
    if image and image.status == "active" then
      return image
    elseif image and DEAD[image.status] or not image and err.kind == "notfound"
      or idle >= IDLE * job.waits.poll then
      return nil, upload_failed(job, disk, id, image, volume)
    elseif not image and not session_of.passing(err) then
      return nil, errors.wrap(err, "the image of disk " .. disk.id)
    elseif time.monotonic() >= deadline then
      return nil, errors.new("timeout", ("Glance has not got the data of disk %s after "
        .. "%d s; see spec.uploadImageRetryCount and uploadImageRetryDelay"):format(
        disk.id, patience(job, disk)), { code = "UploadFailed" })
    end
    local nobody = is_idle(job, disk, volume)
    local passed = pause()
    idle = nobody and idle + passed or 0
  end
end

local function make_image(job, disk)
  local document, response = job.session:call("compute", "POST",
    ("/servers/%s/action"):format(job.machine.id),
    { shape = shapes.made_image, body = { createImage = { name = job:name(disk) } } })
  if not document then
    return nil, errors.wrap(response, "an image of the root disk")
  end
  local id = document.image_id
    or (response.headers.location or ""):match("/images/([%x-]+)")
  if not id then
    return nil, errors.new("format", "createImage: the answer names no image")
  end
  return id
end

-- The image of an earlier run, waited for if somebody still fills it; nil: none.
local function adopted(job, disk, entry)
  if not job:knows(entry) then
    return nil
  end
  local found, err = remote.find(job.session, "image", entry.name)
  if not found then
    return nil, err
  end
  for _, image in ipairs(found) do
    if image.status == "active" then
      return image
    elseif not DEAD[image.status] then
      local volume = remote.find(job.session, "volume", entry.name) or {}
      image = wait_active(job, disk, image.id, disk.id ~= job.root and volume[1] or nil)
      if image then
        return image
      end
    end
  end
  if #found > 0 then
    local ok, why = remote.remove_entry(job.session, entry, job.waits)
    if not ok then
      return nil, why
    end
  end
  return nil
end

-- What a request for an upload is refused with while an earlier one is under way.
local UNDER_WAY = { invalid = true, conflict = true }

-- The image that a request has begun, though nothing good came back: its answer was lost,
-- or an earlier one was heard late. The volume is uploading before there is an image.
local function begun(job, disk, entry, volume, err)
  if not session_of.passing(err) and not UNDER_WAY[err.kind] then
    return nil
  end
  local deadline, pause = time.monotonic() + LATE, pace.new(job.waits.poll)
  while true do
    for _, image in ipairs(remote.find(job.session, "image", entry.name) or {}) do
      if not DEAD[image.status] then
        return image.id
      end
    end
    if is_idle(job, disk, volume) or time.monotonic() >= deadline then
      return nil
    end
    pause()
  end
end

-- Asks for the image of a volume, or without one of the root disk. -> id | nil, err
local function begin_image(job, disk, entry, volume)
  local id, err
  job:record(entry)
  job:report(disk, volume and "Cinder uploads the volume to Glance"
    or "Nova uploads the root disk to Glance")
  if volume then
    id, err = upload(job, disk, volume)
  else
    id, err = make_image(job, disk)
  end
  id = id or begun(job, disk, entry, volume, err)
  if not id then
    return nil, err
  end
  entry.id = id
  job:record(entry)
  return id
end

--- volumes.begin_root(job, disk) -> true | nil, err                     [waits]
-- Asks for the image of a root disk that is no volume.
function M.begin_root(job, disk)
  local id, err = begin_image(job, disk, M.entry_of(job, "image", disk))
  return id and true, err
end

local function fresh(job, disk, entry)
  local volume, id, err
  if disk.id ~= job.root then
    volume, err = temporary(job, disk)
    if not volume then
      return nil, err
    end
  end
  id, err = begin_image(job, disk, entry, volume)
  if not id then
    return nil, err
  elseif not volume then
    local ok, why = job:unchanged()
    if not ok then
      return nil, why
    end
  end
  return wait_active(job, disk, id, volume)
end

-- Snapshot and volume, which were only on the way to the image.
local function remove_temporary(job, disk)
  for _, kind in ipairs { "volume", "snapshot" } do
    local entry = M.entry_of(job, kind, disk)
    if job:knows(entry) then
      if not remote.remove_entry(job.session, entry, job.waits) then
        return -- it stays recorded, and goes later
      end
      job:forget(entry)
    end
  end
end

-- Kinds of failure that another try does not cure.
local FINAL = { nospace = true, denied = true, invalid = true, gone = true,
  unsupported = true }

local function is_final(err)
  return FINAL[err.kind] or err.reason == "SourceChanged"
end

--- volumes.image(job, disk) -> image | nil, err                         [waits]
-- The active image of a disk; made once, and found again after a restart.
--
--   job   of providers.openstack.export
--   disk  of the Machine
--   err   nospace  a quota; http with err.code UploadFailed: Glance has not got it;
--         err.tried: as often as it helps for now
function M.image(job, disk)
  local entry = M.entry_of(job, "image", disk)
  local image, err = adopted(job, disk, entry)
  if err then
    return nil, err
  end
  for try = 1, TRIES do
    if image then
      break
    end
    image, err = fresh(job, disk, entry)
    if not image and (is_final(err) or try == TRIES) then
      err.tried = true
      return nil, err
    elseif not image then
      local ok, why = remote.remove_entry(job.session, entry, job.waits)
      if not ok then
        return nil, why
      end
      task.sleep(job.waits.poll * 2 ^ try)
    end
  end
  remove_temporary(job, disk)
  return image
end

return M
