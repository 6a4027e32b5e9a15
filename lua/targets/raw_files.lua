--- targets.raw_files: disks as sparse raw files in a folder: what both targets share.
--
-- A file has its name only when it is whole: disk.fetch sees to that.

local fetch = require "disk.fetch"
local file = require "host.file"
local finding = require "base.finding"
local stream_options = require "targets.stream_options"

local methods = {}
local mt = { __name = "targets.raw_files", __index = methods }

local M = {}

--- raw_files.is_locked(path) -> path | nil                              [waits]
-- Is this part of a disk (src/disk/part_file.h) being written? A replica that was
-- stopped, or cut off from the cluster, keeps it.
function M.is_locked(path)
  if not file.stat(path) then
    return nil
  end
  local lock, err = file.lock(path)
  if lock then
    lock:close()
  end
  return err and err.kind == "busy" and path or nil
end

--- raw_files:path(plan, disk) -> path
-- DIR/NAMESPACE/DISK.raw; the disk's name holds the import's uid.
function methods:path(plan, disk)
  return ("%s/%s/%s.raw"):format(self.dir, plan.namespace, disk.name)
end

--- raw_files:state(plan, disk) -> "whole" | nil                         [waits]
function methods:state(plan, disk)
  local stat = file.stat(self:path(plan, disk))
  if stat and stat.kind == "file" and stat.size == disk.capacity_bytes then
    return "whole"
  end
  return nil
end

--- raw_files:writer_of(plan, disk) -> path | nil                        [waits]
-- The file that somebody else is writing of this disk.
function methods:writer_of(plan, disk)
  return M.is_locked(self:path(plan, disk) .. ".part")
end

--- raw_files:put(plan, disk, stream) -> transfer | nil, err             [waits]
-- Starts it; transfer:wait() returns when the file is whole and durable.
--
--   stream  as a provider's export:stream() returns it
function methods:put(plan, disk, stream)
  local ok, err = file.mkdir(self.dir .. "/" .. plan.namespace, { parents = true })
  if not ok then
    return nil, err
  end
  local options = stream_options(stream, disk, self)
  options.output = self:path(plan, disk)
  options.sha512 = self.sha512
  return fetch.start(options)
end

--- raw_files:rename(plan, disk, new_plan, new_disk)                     [waits]
-- A disk that is here gets the name it has in another plan.
function methods:rename(plan, disk, new_plan, new_disk)
  local from, to = self:path(plan, disk), self:path(new_plan, new_disk)
  if from ~= to and file.stat(from) then
    assert(file.mkdir(self.dir .. "/" .. new_plan.namespace, { parents = true }))
    assert(file.rename(from, to))
  end
end

--- raw_files:remove(plan, disk)                                         [waits]
function methods:remove(plan, disk)
  local path = self:path(plan, disk)
  assert(file.remove(path, { missing_ok = true }))
  for _, ending in ipairs { ".part", ".stream", ".stream.part" } do
    assert(file.remove(path .. ending, { missing_ok = true }))
  end
end

--- raw_files:remove_file(name)                                          [waits]
-- A file right in the folder, where earlier versions kept theirs.
--
--   name  string  without a slash
function methods:remove_file(name)
  assert(not name:find("/", 1, true))
  assert(file.remove(self.dir .. "/" .. name, { missing_ok = true }))
end

--- raw_files:room(plan) -> free, needed                                 [waits]
-- Bytes; free is nil where nobody can tell. Well filled disks need so much; what others
-- are still going to write is not counted.
function methods:room(plan)
  local space = file.statfs(self.dir)
  local needed = 0
  for _, disk in ipairs(plan.disks) do
    needed = needed + disk.capacity_bytes
  end
  return space and space.free_bytes, needed
end

--- raw_files:space_finding(plan) -> finding | nil                       [waits]
-- Warns where well filled disks would not fit.
function methods:space_finding(plan)
  local free, needed = self:room(plan)
  if free and free < needed then
    return finding.warns("SpaceMayRunOut", self.dir,
      ("%d MiB are free in %s; the disks hold up to %d MiB, zeros take none"):format(
        free // 2 ^ 20, self.dir, needed // 2 ^ 20),
      "make room if the disks are well filled")
  end
end

--- raw_files.new(dir, opts) -> raw_files
--
--   opts.sha512        boolean  compute it of each raw result (default false)
--   opts.idle_timeout  seconds  without a byte (default: host.disk's)
--   opts.least_rate    bytes    a second, on average (default: any)
function M.new(dir, opts)
  return setmetatable({
    dir = dir,
    sha512 = opts.sha512 or false,
    idle_timeout = opts.idle_timeout,
    least_rate = opts.least_rate,
  }, mt)
end

return M
