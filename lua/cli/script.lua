--- cli.script: runs a Lua file as a task, with the host's modules and ours.

local command = require "cli.command"
local env = require "host.env"

local M = {}

M.usage = [[
usage: vm-import-controller script FILE.lua [ARGUMENT ...]

Runs a Lua file as this program's first task, with its modules (host.*, kube.* and so on);
the arguments are its "...", and what it returns is the exit code. A name of a file that
begins with "-" is written ./-NAME.
]]

--- script.run(args) -> exit code                                       [waits]
--
--   args[1]   string  the file; `...` in it are the other arguments
--
-- Unlike the controller, `require` also searches Lua's own folders here: that is
-- how the specs find busted.
function M.run(args)
  local name = args[1]
  if name == "--help" or name == "-h" then
    env.stdout(M.usage)
    return 0
  elseif not name or name:sub(1, 1) == "-" then
    return command.fail("script", 2, (name and "unknown option " .. name
      or "needs FILE.lua") .. "; see --help")
  end
  local paths = package
  paths.path = paths.path .. ";" .. paths.default_path
  paths.cpath = paths.default_cpath
  local chunk, problem = loadfile(name)
  if not chunk then
    return command.fail("script", 1, problem)
  end
  return chunk(table.unpack(args, 2)) or 0
end

return M
