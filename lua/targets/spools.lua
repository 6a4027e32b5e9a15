--- targets.spools: disks that wait in scratch for Harvester's download.
--
-- A VMDK stream is kept as it came, with an index, and inflated as it is asked for: less
-- than half the space of the disk, nothing to convert, and after a restart only the rest
-- is fetched where the source can give it. Other streams become raw files.

local disk_image = require "host.disk"
local file = require "host.file"
local raw_files = require "targets.raw_files"
local scratch = require "targets.scratch"
local stream_options = require "targets.stream_options"

local methods = {}
local mt = { __name = "targets.spools", __index = methods }

local M = {}

local ENDINGS = { ".vmdk", ".vmdk.part", ".index", ".index.part", ".etag" }

-- DIR/NAMESPACE/DISK, without an ending.
local function base(self, plan, disk)
  return ("%s/%s/%s"):format(self.raw.dir, plan.namespace, disk.name)
end

-- Opened once, and kept until the disk is removed: the image server has it, too.
local function spool_of(self, plan, disk)
  local path = base(self, plan, disk)
  local spool = self.open[path]
  if not spool then
    spool = assert(disk_image.spool({ path = path, capacity = disk.capacity_bytes }))
    self.open[path] = spool
  end
  return spool
end

--- spools:comes(plan, disk) -> boolean
-- What has come of the disk so far can be published, and the rest is waited for.
function methods:comes(plan, disk)
  return self.open[base(self, plan, disk)] ~= nil
end

local function is_spooled(self, plan, disk)
  return self.open[base(self, plan, disk)]
    or file.stat(base(self, plan, disk) .. ".vmdk") ~= nil
end

--- spools:path(plan, disk) -> path                                      [waits]
function methods:path(plan, disk)
  return is_spooled(self, plan, disk) and base(self, plan, disk) .. ".vmdk"
    or self.raw:path(plan, disk)
end

--- spools:state(plan, disk) -> "whole" | nil                            [waits]
function methods:state(plan, disk)
  if is_spooled(self, plan, disk) and spool_of(self, plan, disk):is_whole() then
    return "whole"
  end
  return self.raw:state(plan, disk)
end

--- spools:image(plan, disk) -> what host.images publishes               [waits]
function methods:image(plan, disk)
  if is_spooled(self, plan, disk) then
    return { stream = spool_of(self, plan, disk) }
  end
  return { file = self.raw:path(plan, disk), size = disk.capacity_bytes }
end

--- spools:writer_of(plan, disk) -> path | nil                           [waits]
-- As raw_files:writer_of().
function methods:writer_of(plan, disk)
  return raw_files.is_locked(base(self, plan, disk) .. ".vmdk.part")
    or self.raw:writer_of(plan, disk)
end

local function start(self, plan, disk, stream)
  if stream.format ~= "vmdk" or stream.compression then
    return self.raw:put(plan, disk, stream)
  end
  local ok, err = file.mkdir(self.raw.dir .. "/" .. plan.namespace, { parents = true })
  if not ok then
    return nil, err
  end
  local options = stream_options(stream, disk, self)
  options.spool = spool_of(self, plan, disk)
  return disk_image.transfer(options)
end

--- spools:put(plan, disk, stream) -> transfer | nil, err                [waits]
-- Starts it; transfer:wait() returns when the disk is whole and durable.
--
--   stream  as a provider's export:stream() returns it
function methods:put(plan, disk, stream)
  local transfer, err = start(self, plan, disk, stream)
  return transfer and self.scratch:bound(transfer, function()
    self:remove(plan, disk)
  end), err
end

--- spools:promise(plan, disks) -> promise, to be closed | nil, why      [waits]
-- As scratch:promise().
function methods:promise(plan, disks)
  return self.scratch:promise(plan, disks)
end

--- spools:remove(plan, disk)                                            [waits]
-- Who is reading it reads on.
function methods:remove(plan, disk)
  local path = base(self, plan, disk)
  local spool = self.open[path]
  self.open[path] = nil
  if spool then
    spool:close()
  end
  for _, ending in ipairs(ENDINGS) do
    assert(file.remove(path .. ending, { missing_ok = true }))
  end
  self.raw:remove(plan, disk)
end

--- spools:remove_file(name)                                             [waits]
-- As raw_files:remove_file().
function methods:remove_file(name)
  self.raw:remove_file(name)
end

--- spools:room(plan) -> free, needed                                    [waits]
-- As raw_files:room(), no more free than the limit leaves: a stream that does not
-- compress needs as much as its disk.
function methods:room(plan)
  local free, needed = self.raw:room(plan)
  local left = self.scratch:free(plan)
  return left and math.min(free or left, left) or free, needed
end

--- spools:space_finding(plan) -> finding | nil                          [waits]
-- As raw_files:space_finding().
function methods:space_finding(plan)
  return self.raw:space_finding(plan)
end

--- spools.new(dir, opts) -> spools
--
--   opts.idle_timeout  seconds  without a byte (default: host.disk's)
--   opts.least_rate    bytes    a second, on average (default: any)
--   opts.scratch_limit  as targets.scratch
function M.new(dir, opts)
  return setmetatable({
    raw = raw_files.new(dir, opts),
    scratch = scratch.new(dir, opts),
    idle_timeout = opts.idle_timeout,
    least_rate = opts.least_rate,
    open = {},
  }, mt)
end

return M
