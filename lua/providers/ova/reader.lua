--- providers.ova.reader: pieces of a file at a URL, or on this machine, read forward.
--
-- A server that has ranges is asked for pieces alone. Of one that has none all of the
-- file comes, once, and what lies between the pieces is dropped outside of Lua.

local bounds = require "providers.bounds"
local errors = require "host.error"
local file = require "host.file"
local http = require "host.http"
local place = require "providers.ova.place"

local M = {}

local AHEAD = 64 * 1024     -- bytes that are read where fewer are wanted
local MOST = 8 * 1024 * 1024 -- ... and at most at once
local REDIRECTS = 5
local TIMEOUT = 60          -- seconds of silence

local methods = {}
local mt = { __name = "ova.reader", __index = methods }

-- What tells one state of the file from another.
local function mark_of(headers, size)
  return table.concat({ headers.etag or "", headers["last-modified"] or "",
    size and ("%d"):format(size) or "" }, " ")
end

-- First byte and size of the whole, as a Content-Range says.
local function range_of(headers)
  local first, size = (headers["content-range"] or ""):match("^bytes (%d+)%-%d+/(%S+)$")
  return math.tointeger(tonumber(first or "")), math.tointeger(tonumber(size or ""))
end

local STATUS = {
  [401] = { "denied", "the server wants another user or password (401); set username and "
    .. "password in the Secret of spec.credentials", "LoginFailed" },
  [403] = { "denied", "the server refuses it (403); see who may read it there",
    "LoginFailed" },
  [404] = { "notfound", "there is no such file (404)" },
  [410] = { "notfound", "there is no such file any more (410)" },
  [416] = { "format", "it is empty (416)" },
}

local function refusal(url, err)
  local known = STATUS[err.status or 0]
  if not known then
    return errors.wrap(err, "reading it")
  end
  return errors.new(known[1], ("%s: %s"):format(http.shown(url), known[2]),
    { code = known[3], status = err.status })
end

local function request_of(connection, url, first, last)
  local headers = { Range = ("bytes=%d-%d"):format(first, last) }
  if place.origin(url) == connection.origin then -- no password for who we are led to
    headers.Authorization = connection.authorization
  end
  return { url = url, headers = headers, timeout = connection.timeout or TIMEOUT,
    follow = REDIRECTS, max_body = MOST }
end

local function changed(self)
  return errors.new("conflict", ("%s has changed while it was read"):format(
    http.shown(self.url)), { code = "SourceChanged" })
end

local function ask(self, first, size)
  local request = request_of(self.connection, self.url, first, first + size - 1)
  request.total_timeout = bounds.SECONDS
  local answer, err = self.connection.pool:request(request)
  if not answer then
    return nil, errors.wrap(err, "reading it")
  elseif answer.status ~= 206 then
    err = { status = answer.status, kind = "http", message = "" }
    return nil, STATUS[answer.status] and refusal(self.url, err) or changed(self)
  end
  local at, all = range_of(answer.headers)
  if at ~= first or mark_of(answer.headers, all) ~= self.mark then
    return nil, changed(self)
  end
  return answer.body
end

-- More of the file behind what is here, or at another place.
local function fill(self, first, size)
  if not self.stream then
    return ask(self, first, size)
  end
  local bytes, err = self.stream:read(size, first - self.position)
  self.position = first + (bytes and #bytes or 0)
  return bytes, err and errors.wrap(err, "reading it")
end

local function wanted(self, first, size)
  size = math.min(math.max(size, self.ahead), MOST)
  return self.size and math.min(size, self.size - first) or size
end

--- reader:read(offset, size) -> bytes | nil, err                        [waits]
-- Fewer at the end of the file alone. No offset is smaller than the one before.
function methods:read(offset, size)
  local parts, have = {}, 0
  local from = offset - self.at
  if from >= 0 and from < #self.text then
    parts[1] = self.text:sub(from + 1, from + size)
    have = #parts[1]
  end
  while have < size and not (self.size and offset + have >= self.size) do
    local first = offset + have
    local bytes, err = fill(self, first, wanted(self, first, size - have))
    if not bytes then
      return nil, err
    elseif #bytes == 0 then
      break
    end
    self.at, self.text = first, bytes
    parts[#parts + 1] = bytes:sub(1, size - have)
    have = have + #parts[#parts]
  end
  return table.concat(parts)
end

--- reader:close()
function methods:close()
  if self.stream then
    self.stream:close()
  end
end

mt.__close = methods.close

--- reader.http(connection, url) -> reader, to be closed | nil, err      [waits]
--
--   connection.pool           host.http pool
--   connection.authorization  string   a header's value, or nil; for
--   connection.origin         string   this one alone, as place.origin has it
--   connection.timeout        seconds  of silence                            (60)
--   reader.url     where the file is in the end
--   reader.size    bytes, nil: the server does not say
--   reader.ranges  boolean: the server gives pieces
--   reader.mark    text: another one when the file is another one
--   err  denied, notfound; err.code; else as host.http's
function M.http(connection, url)
  local stream, err = connection.pool:pieces(request_of(connection, url, 0, AHEAD - 1))
  if not stream then
    return nil, refusal(url, err)
  end
  local head = stream:head()
  local self = setmetatable({ connection = connection, stream = stream, at = 0, text = "",
    position = 0, ahead = AHEAD, url = head.url }, mt)
  local first, size = range_of(head.headers)
  self.ranges = head.status == 206
  if not self.ranges then
    size = math.tointeger(tonumber(head.headers["content-length"] or ""))
    self.ahead = 0
  elseif first ~= 0 or not size then
    self:close()
    return nil, errors.new("http", ("%s: the server gives another part of the file than "
      .. "its beginning"):format(http.shown(url)))
  end
  self.size, self.mark = size, mark_of(head.headers, size)
  if self.ranges then
    self.text, err = stream:read(math.min(AHEAD, size))
    stream:close()
    self.stream = nil
    if not self.text then
      return nil, refusal(url, err)
    end
  end
  return self
end

--- reader.file(path) -> reader, to be closed | nil, err                 [waits]
-- As reader.http's, of a file on this machine.
function M.file(path)
  local stat, err = file.stat(path, { follow = true })
  if not stat then
    return nil, err
  elseif stat.kind ~= "file" then
    return nil, errors.new("invalid", path .. " is no file")
  end
  local self = { path = path, size = stat.size, ranges = true,
    mark = ("%.6f %d"):format(stat.mtime, stat.size) }
  function self.read(_, offset, size)
    return file.read(path, { offset = offset, first = math.min(size, MOST) })
  end
  function self.close() end
  return setmetatable(self, { __name = "ova.file", __close = self.close })
end

return M
