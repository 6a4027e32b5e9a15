--- disk.convert: an image that we do not decode ourselves, from a file to a sparse raw
-- file, by qemu-img.
--
-- qemu-img reads an image that somebody else made: it runs within limits of memory, time
-- and size, and the kernel lets it use the image and the output alone (host.process).
-- Until the disk is whole, sound and durable the output is called OUTPUT.part, and on
-- every other way out nothing of it remains.

local disk = require "host.disk"
local errors = require "host.error"
local file = require "host.file"
local formats = require "disk.formats"
local json = require "host.json"
local process = require "host.process"
local task = require "host.task"
local time = require "host.time"
local whole = require "disk.whole"

local methods = {}
local mt = { __name = "disk.convert", __index = methods }

local M = {}

local MEMORY = 1 << 30       -- bytes of addresses of qemu-img
local INFO_TIMEOUT = 60      -- seconds
local LEAST_CPU = 600        -- seconds, and besides one for so many bytes of the disk:
local BYTES_PER_CPU = 10 << 20
local IDLE_TIMEOUT = 300     -- seconds without any progress
local LOOK_EVERY = 0.5       -- seconds
local MAX_OUTPUT = 16 << 20  -- bytes: a check has a line for each cluster that is amiss
local MAX_MESSAGE = 900      -- bytes of what qemu-img says; its advice comes last

local SIGKILL, SIGXCPU, SIGXFSZ = 9, 24, 25
local LEAKS = 3 -- exit code of a check: clusters that nothing refers to; harmless

-- A VHD tells its size twice. The rounded one, of cylinders and heads, is what qemu-img
-- believes of most writers; it may lack the end of the disk.
local DRIVER_OPTIONS = { vhd = ",force_size_calc=current_size" }

-- So that neither a comma nor a colon in it means anything to qemu-img.
local function image_options(format, path)
  path = path:find("^/") and path or "./" .. path
  return ("driver=%s%s,file.driver=file,file.filename=%s"):format(formats.driver(format),
    DRIVER_OPTIONS[format] or "", (path:gsub(",", ",,"))), path
end

local function said(result)
  local text = formats.printable(result.stderr:gsub("%s+", " "), MAX_MESSAGE)
  if result.signal == SIGXCPU or result.signal == SIGKILL then
    return "exit", "it took more time than any sound image needs"
  elseif result.signal == SIGXFSZ then
    return "format", "it wrote more than the disk holds"
  elseif result.signal then
    return "exit", ("signal %d ended it"):format(result.signal)
  elseif text:find("No space left", 1, true) then
    return "nospace", text
  elseif text:find("Cannot allocate memory", 1, true) then
    return "format", "it needs more memory than any sound image does"
  elseif text:find("log that needs to be replayed", 1, true) then
    return "unsupported", "the VHDX was not closed: its log must be replayed; shut its "
      .. "machine down first, or run on a copy of it: qemu-img check -r all COPY.vhdx"
  end
  return "format", text
end

-- Runs to its end what `arguments` ask of qemu-img; its stdout.
local function qemu_img(arguments, opts)
  local result, err = process.run({
    argv = { "qemu-img", table.unpack(arguments) },
    -- Each further arena reserves 64 MiB of the addresses that it may have.
    env = { MALLOC_ARENA_MAX = "1" },
    timeout = opts.timeout,
    max_output = MAX_OUTPUT,
    tail = opts.tail,
    limits = { memory = MEMORY, cpu = opts.cpu, file_size = opts.file_size,
      read = { opts.read }, write = { opts.write } },
  })
  if not result then
    error(err)
  elseif result.signal or result.status ~= 0 and result.status ~= opts.sound then
    local kind, text = said(result)
    error(errors.new(kind, ("qemu-img %s: %s"):format(arguments[1], text)))
  end
  return result.stdout
end

local function look(self)
  local opts = self.opts
  local head = assert(file.read(opts.input, { first = formats.HEAD_BYTES }))
  assert(formats.check_head(opts.format, head))
  assert(whole.check(opts.format, function(offset, size)
    return assert(file.read(opts.input, { offset = offset, first = size }))
  end, assert(file.stat(opts.input, { follow = true })).size))
  local source, path = image_options(opts.format, opts.input)
  local text = qemu_img({ "info", "--output=json", "--image-opts", source },
    { timeout = INFO_TIMEOUT, cpu = INFO_TIMEOUT, file_size = 1, read = path })
  local info = assert(json.decode(text))
  self.capacity = assert(formats.check_info(info, opts.format, path, opts))
  -- What is cut off an image reads as zeros, and is missed by nothing but this (and less
  -- than a block not even by this: only the digest of the whole image tells that).
  if formats.has_check(opts.format) then
    qemu_img({ "check", "--output=json", "--image-opts", source },
      { cpu = LEAST_CPU, timeout = LEAST_CPU, file_size = 1, sound = LEAKS, read = path })
  end
end

-- Percent and bytes in the output, as far as it is.
local function refresh(self, tail)
  local percent = tail:text():match("%((%d+%.%d+)/100%%%)[^%(]*$")
  local stat = file.stat(self.part)
  local seen = ("%s %d"):format(percent, stat and stat.blocks_bytes or 0)
  self.passed = math.max(self.passed, (tonumber(percent) or 0) / 100)
  if seen ~= self.seen then
    self.seen, self.moved = seen, time.monotonic()
  end
  local idle = self.opts.idle_timeout or IDLE_TIMEOUT
  if time.monotonic() - self.moved > idle then
    error(errors.new("timeout",
      ("qemu-img convert: nothing has moved for %g s"):format(idle)))
  end
end

local function convert(self)
  local tail = process.tail()
  local source, input = image_options(self.opts.format, self.opts.input)
  local _, part = image_options("vmdk", self.part)
  local runner <close> = task.spawn("qemu-img", qemu_img, {
    "convert", "-p", "-t", "writeback", "--image-opts", source, "-O", "raw", part,
  }, {
    tail = tail,
    cpu = LEAST_CPU + self.capacity // BYTES_PER_CPU,
    file_size = self.capacity,
    read = input,
    write = part,
  })
  self.writer = runner
  self.moved = time.monotonic()
  while true do
    local ok, err = runner:join(LOOK_EVERY)
    if ok then
      return
    elseif ok == false then
      error(err)
    end
    refresh(self, tail)
  end
end

-- qemu-img's output is the disk, and nothing that another reader would take for an image.
local function check(self)
  local stat = assert(file.stat(self.part))
  if stat.kind ~= "file" or stat.size ~= self.capacity then
    error(errors.new("format", ("%s has %d bytes, the disk %d"):format(self.part,
      stat.size, self.capacity)))
  end
  local magic = disk.magic(assert(file.read(self.part, { first = formats.HEAD_BYTES })))
  if magic then
    error(errors.new("unsupported", ("the disk in it begins with the header of another "
      .. "image format (%s), which others would follow"):format(magic)))
  end
  return stat
end

local function sha512(path)
  local result = assert(process.run({ argv = { "sha512sum", "--", path },
    limits = { read = { path } } }))
  return assert(result.stdout:match("^\\?(%x+) "), result.stderr)
end

-- A program that was killed may still be about to open the file that it writes: that one
-- is removed when the program is gone, and until then nobody else gets the lock.
local function remove(self, lock)
  if self.writer then
    self.writer:join()
  end
  file.remove(self.part, { missing_ok = true })
  lock:close()
end

local function leftover_of(self, lock)
  return setmetatable({ wanted = true }, { __close = function(leftover)
    if leftover.wanted then
      task.goodbye("removes a file", remove, self, lock)
    else
      lock:close()
    end
  end })
end

local function run(self)
  local opts = self.opts
  look(self)
  local leftover <close> = leftover_of(self, assert(file.lock(self.part)))
  convert(self)
  local stat = check(self)
  local result = {
    capacity = self.capacity,
    received = assert(file.stat(opts.input, { follow = true })).size,
    written = stat.blocks_bytes,
    sha512 = opts.sha512 and sha512(self.part) or nil,
    digests = {},
  }
  assert(file.rename(self.part, opts.output))
  leftover.wanted = false
  self.passed = 1
  return result
end

--- convert.can_start() -> true | nil, err
-- Before anything is fetched: whether qemu-img may be started here.
--
--   err  unsupported: the kernel cannot confine it as is required
function M.can_start()
  return process.can_confine("qemu-img")
end

--- conversion:wait() -> result | nil, err                               [waits]
--
--   result.capacity  bytes   of the disk, and length of the file
--   result.received  bytes   of the image
--   result.written   bytes   that the file takes
--   result.sha512    string  of the disk, if it was asked for
--   err  format       the image is damaged, or not what was announced
--        unsupported  it is not all in this file, encrypted, or too large
--        nospace, io, denied: writing the file; busy: another one writes it
--        timeout, exit: qemu-img stands still, or asks for too much
--        notfound     no such image, or no qemu-img
--        cancelled    it was closed
function methods:wait()
  local ok, result = self.runner:join()
  if ok then
    return result
  end
  if type(result) ~= "table" then
    result = errors.new("internal", tostring(result))
  end
  return nil, errors.wrap(result, self.opts.input)
end

--- conversion:progress() -> {received, position, capacity, rate}
-- As transfer:progress() of host.disk; never waits.
function methods:progress()
  local position = math.floor(self.passed * self.capacity)
  return { received = position, position = position, capacity = self.capacity, rate = 0 }
end

--- conversion:close()
-- Cancels what is under way; conversion:wait() tells when nothing of it is left.
function methods:close()
  self.runner:cancel(0)
end

mt.__close = methods.close

--- convert.start(opts) -> conversion, to be closed
--
--   opts.input         path     the image
--   opts.format        string   what it is: "qcow2", "vdi", "vhd", "vhdx", "vmdk"
--   opts.output        path     the raw file; one that exists is replaced
--   opts.capacity      bytes    that the disk must have                         (any)
--   opts.max_capacity  bytes    that it may have                             (64 TiB)
--   opts.sha512        boolean  of the raw disk                               (false)
--   opts.idle_timeout  seconds  without any progress                            (300)
--
-- Refused are images with a backing file, an external data file or extents elsewhere,
-- encrypted ones, and those whose disk begins with the header of another format.
function M.start(opts)
  local self = setmetatable({
    opts = opts, part = opts.output .. ".part", capacity = 0, passed = 0, moved = 0,
  }, mt)
  self.runner = task.spawn("converts a disk", run, self)
  return self
end

return M
