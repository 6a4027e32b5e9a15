--- support.helm: helm, and the chart of this project.

local lab = require "support.lab"
local process = require "host.process"

local M = {}

--- helm.chart: its path.
M.chart = "deploy/chart/harvester-vm-import-controller"

local program

local function path()
  if not program then
    local made = assert(process.run({ argv = { "spec/labs/kube/build", "helm" },
      inherit = true, timeout = 1200 }))
    assert(made.status == 0, made.stderr)
    program = made.stdout:gsub("%s+$", "") .. "/helm"
  end
  return program
end

--- helm.try(args, kubeconfig) -> {status, stdout, stderr}               [waits]
function M.try(args, kubeconfig)
  return assert(process.run({
    argv = { path(), table.unpack(args) },
    env = { KUBECONFIG = kubeconfig or "/nonexistent" },
    inherit = true,
    timeout = 300,
  }))
end

--- helm.run(args, kubeconfig) -> stdout                                 [waits]
-- Throws when it fails.
function M.run(args, kubeconfig)
  local result = M.try(args, kubeconfig)
  assert(result.status == 0, ("helm %s: %s"):format(table.concat(args, " "),
    result.stderr))
  return result.stdout
end

--- helm.render(dir)                                                     [waits]
-- What the chart makes of spec/deploy/values.
function M.render(dir)
  path()
  local result = assert(process.run({ argv = { "spec/deploy/render", dir },
    inherit = true, timeout = 120 }))
  assert(result.status == 0, result.stderr)
  return lab.files(dir)
end

return M
