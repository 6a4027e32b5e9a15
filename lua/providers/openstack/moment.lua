--- providers.openstack.moment: the disks of one server as they are at one moment.
--
-- Cinder copies a volume for minutes or hours, but takes its snapshot in seconds: so
-- those of all volumes are taken before anything is copied, and of a root disk that is no
-- volume its image is asked for, which keeps Nova from starting the server until it has
-- read it. The stamp of the server is read again when the last of them is there: a guest
-- that has run in between has torn them.

local volumes = require "providers.openstack.volumes"

local M = {}

-- Disks that no image stands for yet; that of an earlier run is of the same stamp.
local function wanted(job, disks)
  local list = {}
  for _, disk in ipairs(disks) do
    if not job:knows(volumes.entry_of(job, "image", disk)) then
      list[#list + 1] = disk
    end
  end
  return list
end

-- All are asked for before the first is waited for.
local function begin_all(job, list)
  for _, disk in ipairs(list) do
    local ok, err
    if disk.id == job.root then
      ok, err = volumes.begin_root(job, disk)
    else
      ok, err = volumes.begin_snapshot(job, disk)
    end
    if not ok then
      return nil, err
    end
  end
  return true
end

--- moment.take(job, disks) -> true | nil, err                           [waits]
-- A snapshot of each of the machine's volumes, the beginning of an image of a root disk.
--
--   job    of providers.openstack.export
--   disks  of the Machine
--   err    as of volumes.image; busy, err.reason = SourceChanged: the server was started
--          meanwhile
function M.take(job, disks)
  local list = wanted(job, disks)
  local ok, err = begin_all(job, list)
  if not ok then
    return nil, err
  end
  for _, disk in ipairs(list) do
    if disk.id ~= job.root then
      ok, err = volumes.snapshot(job, disk)
      if not ok then
        return nil, err
      end
    end
  end
  return job:unchanged()
end

return M
