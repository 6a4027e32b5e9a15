--- support.folder: an empty folder of a spec's own, for its files.

local file = require "host.file"
local process = require "host.process"

local methods = {}
local mt = { __index = methods }

local M = {}

local FOR_US = 448 -- mode 0700: as the user's own, and to be run

--- folder:write(name, text) -> path                                           [waits]
function methods:write(name, text)
  local path = self.path .. "/" .. name
  assert(file.write(path, text, { mode = FOR_US }))
  return path
end

--- folder:remove()                                                            [waits]
function methods:remove()
  assert(file.remove(self.path, { recursive = true }))
end

--- folder.new() -> folder, to be removed; folder.path is where                 [waits]
function M.new()
  local made = assert(process.run({ argv = { "mktemp", "-d" } }))
  return setmetatable({ path = made.stdout:gsub("%s+$", "") }, mt)
end

return M
