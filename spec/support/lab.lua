--- support.lab: the real parts an end-to-end spec needs: the program under test and a
-- vSphere to import from (spec/labs/vsim).

local env = require "host.env"
local file = require "host.file"
local http = require "host.http"
local json = require "host.json"
local process = require "host.process"
local task = require "host.task"
local time = require "host.time"

local M = {}

local BUILD = env.get("VIC_BUILD") or "build"
local READY_WITHIN = 30 -- seconds

--- lab.program: the path of the program under test.
M.program = env.get("VIC_PROGRAM") or BUILD .. "/vm-import-controller"
M.vsim = BUILD .. "/vsim/vsim"

--- lab.folder() -> folder, to be closed: an empty one, removed at the end.
function M.folder()
  local made = assert(process.run({ argv = { "mktemp", "-d", "/tmp/vic-spec.XXXXXX" } }))
  local path = made.stdout:gsub("%s+$", "")
  return setmetatable({ path = path }, {
    __close = function()
      task.goodbye(file.remove, path, { recursive = true, missing_ok = true })
    end,
  })
end

--- lab.wait_for(what, check, seconds) -> value                          [waits]
-- Until check() gives a value; throws `what` when it does not within `seconds`.
function M.wait_for(what, check, seconds)
  local deadline = time.monotonic() + (seconds or READY_WITHIN)
  while true do
    local value = check()
    if value then
      return value
    elseif time.monotonic() > deadline then
      error(what .. ": has not happened within " .. (seconds or READY_WITHIN) .. " s", 2)
    end
    task.sleep(0.02)
  end
end

--- lab.run(args, opts) -> {status, signal, stdout, stderr}              [waits]
-- Runs the program under test to its end.
--
--   opts.stdin, opts.timeout (default 120 s), opts.env
function M.run(args, opts)
  opts = opts or {}
  return assert(process.run({
    argv = { M.program, table.unpack(args) },
    stdin = opts.stdin,
    timeout = opts.timeout or 120,
    env = opts.env,
  }))
end

local simulator = {}
local simulator_mt = { __index = simulator }

--- sim:get(path) -> table, sim:post(path, body) -> table                [waits]
-- The control port of the simulator (spec/labs/vsim/README.md).
function simulator:get(path)
  local answer = assert(http.request({ url = self.control .. path }))
  assert(answer.status == 200, answer.body)
  return assert(json.decode(answer.body))
end

function simulator:post(path, body)
  local answer = assert(http.request({
    url = self.control .. path,
    method = "POST",
    body = json.encode(body or json.null),
  }))
  assert(answer.status < 300, answer.body)
end

simulator_mt.__close = function(self)
  self.runner:cancel(0)
end

--- lab.simulator(folder, opts) -> sim, to be closed                     [waits]
--
--   folder          path of an empty folder for its files
--   opts.scenario   name of a built-in one, or a table
--   opts.settings   table, optional
--   opts.disks      folder of disk files, optional
--   opts.password   of `user` (default pass)
--   opts.flags      list of more flags, optional
--   sim.url, .ca_pem, .control, .fingerprint, .password
function M.simulator(folder, opts)
  local scenario = opts.scenario
  if type(scenario) == "table" then
    assert(file.write(folder .. "/scenario.json", json.encode(scenario)))
    scenario = folder .. "/scenario.json"
  end
  local argv = { M.vsim, "--tls-dir", folder .. "/tls", "--scenario", scenario,
    "--user", "user", "--password", opts.password or "pass" }
  if opts.settings then
    table.move({ "--set", json.encode(opts.settings) }, 1, 2, #argv + 1, argv)
  end
  if opts.disks then
    table.move({ "--disks", opts.disks }, 1, 2, #argv + 1, argv)
  end
  table.move(opts.flags or {}, 1, #(opts.flags or {}), #argv + 1, argv)
  local ready = folder .. "/ready.json"
  local runner = task.spawn(process.run, {
    argv = { "sh", "-c", 'out=$1; shift; exec "$@" >"$out" 2>"$out.log"', "sh", ready,
      table.unpack(argv) },
    timeout = 3600,
  })
  local said = M.wait_for("the simulator is ready", function()
    local text = file.read(ready)
    assert(not runner:done(), file.read(ready .. ".log"))
    return text and text:find("\n", 1, true) and json.decode(text)
  end)
  said.ca_pem = assert(file.read(said.ca))
  said.runner = runner
  said.password = opts.password or "pass"
  return setmetatable(said, simulator_mt)
end

local YAML = [[
apiVersion: v1
kind: Secret
metadata: {name: creds, namespace: default}
stringData: %s
---
apiVersion: migration.harvesterhci.io/v1beta1
kind: VmwareSource
metadata: {name: vc, namespace: default}
spec: %s
]]

--- lab.objects(sim, opts) -> YAML text
--
--   opts.dc        (default DC0)
--   opts.imports   list of {name, machine, folder, spec}
--   opts.secret    table: replaces fields of {username, password, caCert}
--   opts.source    table: more for the source's spec
function M.objects(sim, opts)
  local secret = { username = "user", password = "pass", caCert = sim.ca_pem }
  for key, value in pairs(opts.secret or {}) do
    secret[key] = value or nil
  end
  local source = { endpoint = sim.url, dc = opts.dc or "DC0",
    credentials = { name = "creds", namespace = "default" } }
  for key, value in pairs(opts.source or {}) do
    source[key] = value
  end
  local parts = { YAML:format(json.encode(secret), json.encode(source)) }
  for _, import in ipairs(opts.imports) do
    local spec = {
      virtualMachineName = import.machine,
      folder = import.folder,
      sourceCluster = {
        apiVersion = "migration.harvesterhci.io/v1beta1",
        kind = "VmwareSource", name = "vc", namespace = "default",
      },
    }
    for key, value in pairs(import.spec or {}) do
      spec[key] = value
    end
    parts[#parts + 1] = json.encode({
      apiVersion = "migration.harvesterhci.io/v1beta1",
      kind = "VirtualMachineImport",
      metadata = { name = import.name, namespace = "default" },
      spec = spec,
    })
  end
  return table.concat(parts, "\n---\n") .. "\n"
end

--- lab.import(sim, folder, opts) -> {status, signal, stdout, stderr}    [waits]
-- `import` of opts.imports into folder/out.
--
--   opts       as lab.objects has them
--   opts.yaml  text of the file instead of lab.objects'
--   opts.out   another folder than folder/out
--   opts.args  list of more arguments, optional
function M.import(sim, folder, opts)
  return M.run(M.import_args(sim, folder, opts))
end

--- lab.import_args(sim, folder, opts) -> list of arguments              [waits]
-- The same, only written down.
function M.import_args(sim, folder, opts)
  assert(file.write(folder .. "/vm.yaml", opts.yaml or M.objects(sim, opts)))
  return { "import", "-f", folder .. "/vm.yaml", "--output", opts.out or folder .. "/out",
    table.unpack(opts.args or {}) }
end

--- lab.sha512(path) -> hex                                              [waits]
function M.sha512(path)
  local result = assert(process.run({ argv = { "sha512sum", path }, timeout = 600 }))
  assert(result.status == 0, result.stderr)
  return result.stdout:match("^\\?(%x+)")
end

--- lab.original(folder, disk) -> sha512                                 [waits]
-- Of the disk that this scenario entry stands for.
function M.original(folder, disk)
  local path = folder .. "/original.raw"
  local result = assert(process.run({
    argv = { M.vsim, "disk", "--disk", json.encode(disk), "--output", path },
    timeout = 600,
  }))
  assert(result.status == 0, result.stderr)
  local sum = M.sha512(path)
  assert(file.remove(path))
  return sum
end

--- lab.read_object(dir, kind, name) -> object                           [waits]
-- Of what `import --output dir` left.
function M.read_object(dir, kind, name)
  local yaml = require "host.yaml"
  local folder = dir .. "/default"
  if kind == "VirtualMachineImport" or kind == "VmwareSource" then
    folder = dir .. "/migration.harvesterhci.io/default"
  end
  local path = ("%s/%s.%s.yaml"):format(folder, kind:lower(), name)
  return assert(yaml.parse(assert(file.read(path)), { what = path }))[1]
end

--- lab.files(dir) -> sorted list of the files below, relative           [waits]
function M.files(dir)
  local result = assert(process.run({
    argv = { "find", dir, "-type", "f", "-printf", "%P\n" },
  }))
  local list = {}
  for line in result.stdout:gmatch("[^\n]+") do
    list[#list + 1] = line
  end
  table.sort(list)
  return list
end

return M
