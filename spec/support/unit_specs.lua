--- support.unit_specs: the spec files that need nothing but this tree.

local process = require "host.process"

local M = {}

local ELSEWHERE = { "spec/e2e", "spec/labs" } -- what needs servers, and the servers

--- unit_specs.files() -> list of paths, sorted                                  [waits]
function M.files()
  local argv = { "find", "spec" }
  for _, folder in ipairs(ELSEWHERE) do
    table.move({ "-path", folder, "-prune", "-o" }, 1, 4, #argv + 1, argv)
  end
  table.move({ "-name", "*_spec.lua", "-print" }, 1, 3, #argv + 1, argv)
  local found = assert(process.run({ argv = argv }))
  local files = {}
  for path in found.stdout:gmatch("[^\n]+") do
    files[#files + 1] = path
  end
  table.sort(files)
  return files
end

return M
