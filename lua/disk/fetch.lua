--- disk.fetch: one disk, of any format we know, from a server or a file to a sparse raw
-- file.
--
-- A stream-optimised VMDK and a raw disk go in one pass (host.disk). Any other image must
-- be read back and forth: from a server it first goes to OUTPUT.stream, which is removed,
-- and then through qemu-img (disk.convert). So does one of which nobody states the
-- format, from a server that gives no part of it.

local convert = require "disk.convert"
local disk = require "host.disk"
local errors = require "host.error"
local file = require "host.file"
local formats = require "disk.formats"
local http = require "host.http"
local task = require "host.task"

local methods = {}
local mt = { __name = "disk.fetch", __index = methods }

local M = {}

-- What an image that is brought here whole may have besides the bytes of its disk: an
-- eighth of them, and so much.
local MOST_BESIDES = 64 * 1024 * 1024

-- The first bytes of a stream at a URL, by a range of it; nil where only all of it can be
-- had. A server that knows no ranges begins to send all.
local function head_at(source)
  if source.connect_to then
    return nil
  end
  local first = source.offset or 0
  local last = first - 1
    + math.min(formats.HEAD_BYTES, source.length or formats.HEAD_BYTES)
  local headers = { Range = ("bytes=%d-%d"):format(first, last) }
  for name, value in pairs(source.headers or {}) do
    headers[name] = value
  end
  local pool <close> = http.pool({ tls = source.tls })
  local answer, err = pool:request({
    url = source.url, headers = headers, max_body = formats.HEAD_BYTES, discreet = true,
  })
  if answer and (answer.status == 206 or answer.status == 200 and first == 0) then
    return answer.body
  elseif not answer and err.kind ~= "http" then
    error(err)
  end
  return nil
end

-- What an image is: {format, guessed, direct}. `guessed`: a raw disk for want of a
-- header; `direct`: our own decoders take it as it comes. `path` is for messages.
local function judge(format, head, path)
  local stated = format ~= "auto"
  if not stated then
    local guess, err = formats.guess(head)
    format = guess or error(path and errors.wrap(err, path) or err)
  end
  -- Of what is no VMDK at all our decoder says what is wrong.
  local wrong = stated and format == "vmdk" and disk.magic(head) ~= "VMDK"
  return {
    format = format,
    guessed = not stated and format == "raw",
    direct = wrong or formats.streams(format, head),
  }
end

-- As judge(); nil: that must wait until all of it is here.
local function look(opts)
  local format, path = assert(formats.canonical(opts.format)), opts.source.file
  if path then
    return judge(format, assert(file.read(path, { offset = opts.source.offset,
      first = formats.HEAD_BYTES })), path)
  elseif format ~= "auto" then
    return { format = format, direct = format == "vmdk" or format == "raw" }
  end
  local head = head_at(opts.source)
  return head and judge(format, head)
end

-- Waits for a transfer or conversion, which progress() and close() then speak of.
local function through(self, part)
  local running <close> = part
  self.part = running
  return assert(running:wait())
end

local TRANSFERRED = {
  "source", "compression", "size", "digest", "digests", "idle_timeout", "connect_timeout",
  "least_rate",
}

local function transfer(opts, image, output)
  local wanted = { format = image.format, guessed = image.guessed, output = output }
  for _, name in ipairs(TRANSFERRED) do
    wanted[name] = opts[name]
  end
  if image.format ~= "stream" then
    wanted.capacity, wanted.sha512 = opts.capacity, opts.sha512
  elseif opts.capacity then
    wanted.max_size = opts.capacity + opts.capacity // 8 + MOST_BESIDES
  end
  return assert(disk.transfer(wanted))
end

local function conversion(opts, format, input)
  return convert.start({
    input = input, format = format, output = opts.output, capacity = opts.capacity,
    max_capacity = opts.max_capacity, sha512 = opts.sha512,
  })
end

local function remover(path)
  return setmetatable({}, { __close = function()
    task.goodbye("removes a file", file.remove, path, { missing_ok = true })
  end })
end

-- From a file that is here, whole and as it was announced.
local function decode(self, image, path)
  local opts = self.opts
  return through(self, image.direct and transfer({
    source = { file = path }, capacity = opts.capacity, sha512 = opts.sha512,
  }, image, opts.output) or conversion(opts, image.format, path))
end

local function by_way_of_file(self, image)
  local opts = self.opts
  local stream = opts.output .. ".stream"
  local _ <close> = remover(stream)
  local received = through(self, transfer(opts, { format = "stream" }, stream))
  image = image
    or judge("auto", assert(file.read(stream, { first = formats.HEAD_BYTES })))
  local result = decode(self, image, stream)
  result.digests, result.received = received.digests, received.received
  return result
end

local function run(self)
  local opts = self.opts
  local image = look(opts)
  if image and image.direct then
    return through(self, transfer(opts, image, opts.output))
  end
  if image then
    assert(convert.can_start())
  end
  if opts.source.file and not opts.source.length and not opts.size and not opts.digest
    and not opts.digests then
    return decode(self, image, opts.source.file)
  end
  return by_way_of_file(self, image)
end

--- fetching:wait() -> result | nil, err                                 [waits]
-- As transfer:wait() of host.disk and conversion:wait() of disk.convert.
function methods:wait()
  local ok, result = self.runner:join()
  if ok then
    return result
  end
  return nil, type(result) == "table" and result
    or errors.new("internal", tostring(result))
end

--- fetching:progress() -> {received, fetched, position, capacity, rate}
-- Of what is under way now; `fetched` of the whole, as a conversion fetches nothing.
-- Never waits.
function methods:progress()
  local now = self.part and self.part:progress()
    or { received = 0, position = 0, capacity = 0, rate = 0 }
  self.fetched = now.fetched or self.fetched
  now.fetched = self.fetched
  return now
end

--- fetching:close()
-- Cancels what is under way; fetching:wait() tells when nothing of it is left.
function methods:close()
  self.runner:cancel(0)
end

mt.__close = methods.close

--- fetch.start(opts) -> fetching, to be closed
--
--   opts  as those of host.disk.transfer, but:
--   opts.format        string  "auto" (by the first bytes: only if nobody stated it),
--                              "vmdk", "raw", "qcow2", "vdi", "vhd" or "vhdx"; "vpc" and
--                              "iso" as OpenStack has them
--   opts.max_capacity  bytes   that a disk may have that qemu-img decodes     (64 TiB)
function M.start(opts)
  local self = setmetatable({ opts = opts, fetched = 0 }, mt)
  self.runner = task.spawn("fetches a disk", run, self)
  return self
end

return M
