--- support.shelf: a folder of packages, and web servers over it, good ones and poor ones
-- (spec/labs/shelf/serve).

local disks = require "support.disks"
local file = require "host.file"
local json = require "host.json"
local lab = require "support.lab"
local process = require "host.process"
local task = require "host.task"

local methods = {}
local mt = { __name = "support.shelf", __index = methods }

local M = {}

--- shelf:put(name, bytes) -> path                                        [waits]
function methods:put(name, bytes)
  return disks.write(self.path .. "/" .. name, bytes)
end

--- shelf:put_all(files, folder)                                          [waits]
-- Files of support.ova, beside each other.
function methods:put_all(files, folder)
  assert(file.mkdir(self.path .. "/" .. folder))
  for _, one in ipairs(files) do
    self:put(folder .. "/" .. one[1], one[2])
  end
end

--- shelf:at(words, name) -> url
function methods:at(words, name)
  return ("%s/%s/%s"):format(self.url, words, name)
end

--- shelf:log() -> list of {method, port, path, status, range, sent, auth}      [waits]
-- Since the last time.
function methods:log()
  local text = file.read(self.log_path) or ""
  local list = {}
  for line in text:sub(self.read + 1):gmatch("[^\n]+") do
    list[#list + 1] = assert(json.decode(line))
  end
  self.read = #text
  return list
end

--- shelf:sent() -> bytes of all bodies since the last time               [waits]
function methods:sent()
  local bytes = 0
  for _, one in ipairs(self:log()) do
    bytes = bytes + one.sent
  end
  return bytes
end

mt.__close = function(self)
  self.runner:cancel(0)
end

--- shelf.open(folder) -> shelf, to be closed                             [waits]
--
--   folder  path of one that is there; packages come into its folder "shelf"
function M.open(folder)
  local path, ready = folder .. "/shelf", folder .. "/shelf.json"
  assert(file.mkdir(path))
  local log_path = folder .. "/shelf.log"
  local runner = task.spawn("the shelf", process.run, {
    argv = { "sh", "-c", 'exec 3>"$1"; shift; tail -f /dev/null | exec "$@" >&3', "sh", ready,
      "python3", "-B", "spec/labs/shelf/serve", path, log_path },
    timeout = 3600,
  })
  local said = lab.wait_for("the shelf serves", function()
    local text = file.read(ready)
    return text and text:find("\n", 1, true) and json.decode(text)
  end)
  said.path, said.log_path, said.read, said.runner = path, log_path, 0, runner
  return setmetatable(said, mt)
end

return M
