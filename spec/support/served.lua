--- support.served: a host.images server over files of a folder, and who asks it.

local file = require "host.file"
local http = require "host.http"
local images = require "host.images"
local lab = require "support.lab"
local process = require "host.process"

local methods = {}
local mt = { __name = "support.served", __index = methods }

local M = {}

--- served.shell(script, ...) -> {status, stdout, stderr}                 [waits]
function M.shell(script, ...)
  return assert(process.run({ argv = { "bash", "-c", script, "bash", ... }, timeout = 60,
    max_output = 32 << 20 }))
end

--- site:put(name, text) -> path                                          [waits]
function methods:put(name, text)
  local path = self.folder.path .. "/" .. name
  assert(file.write(path, text))
  return path
end

--- site:sparse(name, size, ...) -> path                                  [waits]
-- A file of holes but for the given {offset, text} pieces.
function methods:sparse(name, size, ...)
  local path = self.folder.path .. "/" .. name
  assert(M.shell('truncate -s "$2" "$1"', path, tostring(size)).status == 0)
  local handle = assert(io.open(path, "r+b"))
  for _, piece in ipairs { ... } do
    handle:seek("set", piece[1])
    handle:write(piece[2])
  end
  handle:close()
  return path
end

--- site:url(path) -> url
function methods:url(path)
  return "http://" .. self.server:address() .. path
end

--- site:get(path, headers?, method?) -> answer | nil, err                [waits]
function methods:get(path, headers, method)
  return self.pool:request({ url = self:url(path), headers = headers, method = method,
    timeout = 20 })
end

-- Sends each of the texts over a connection of its own; a line of "%%" ends each answer.
local RAW = [[
  seconds=$1 port=$2; shift 2
  for text; do
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf %b "$text" >&3
    timeout "$seconds" cat <&3
    exec 3>&-
    printf '\n%%%%\n'
  done
]]

--- site:raw(texts, seconds?) -> list of what came back                   [waits]
-- Each text over a connection of its own, backslashes as in printf; until the server
-- closes it, or for `seconds` (5).
function methods:raw(texts, seconds)
  local result = M.shell(RAW, tostring(seconds or 5), tostring(self.server:port()),
    table.unpack(texts))
  local answers = {}
  for answer in result.stdout:gmatch("(.-)\n%%%%\n") do
    answers[#answers + 1] = answer
  end
  return answers
end

--- site:noise(name, size) -> path                                        [waits]
-- A file without holes.
function methods:noise(name, size)
  local path = self.folder.path .. "/" .. name
  assert(M.shell('head -c "$2" /dev/urandom >"$1"', path, tostring(size)).status == 0)
  return path
end

--- site:slow(path, rate) -> task                                         [waits]
-- curl that reads `rate` bytes a second; cancel it and the client is gone.
function methods:slow(path, rate)
  return require("host.task").spawn(process.run, { argv = { "curl", "-s", "-o", "/dev/null",
    "--limit-rate", tostring(rate), self:url(path) } })
end

--- site:active(path) -> boolean: whether somebody reads it
function methods:active(path)
  return self.server:stats(path).active > 0
end

function methods:close()
  self.pool:close()
  self.server:close()
  getmetatable(self.folder).__close(self.folder)
end

mt.__close = methods.close

--- served.open(opts?) -> site, to be closed                              [waits]
--
--   opts  as images.serve takes them, besides the host
--   site.server, site.pool, site.folder
function M.open(opts)
  local server_opts = { host = "127.0.0.1" }
  for name, value in pairs(opts or {}) do
    server_opts[name] = value
  end
  return setmetatable({
    folder = lab.folder(),
    pool = assert(http.pool({ max_connections = 32 })),
    server = assert(images.serve(server_opts)),
  }, mt)
end

return M
