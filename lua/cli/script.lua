--- cli.script: runs a Lua file as a task, with the host's modules and ours.

local M = {}

--- script.run(args) -> exit code                                       [waits]
--
--   args[1]   string  the file; `...` in it are the other arguments
--
-- Unlike the controller, `require` also searches Lua's own folders here: that is
-- how the specs find busted.
function M.run(args)
  if not args[1] then
    io.stderr:write("usage: vm-import-controller script FILE.lua [ARGUMENT ...]\n")
    return 2
  end
  local paths = package
  paths.path = paths.path .. ";" .. paths.default_path
  paths.cpath = paths.default_cpath
  local chunk, problem = loadfile(args[1])
  if not chunk then
    io.stderr:write("vm-import-controller: ", problem, "\n")
    return 1
  end
  return chunk(table.unpack(args, 2)) or 0
end

return M
