-- One process that does what the controller does, with hostile sources and disks at once
-- and over again while a good import runs beside them (spec/e2e/local/hostile_spec.lua):
--
--   vm-import-controller script spec/support/hostile_process.lua CASES.json IMPORT-ARGUMENT...
--
-- Prints {name -> what was said}; its exit code is the import's.

local disk = require "host.disk"
local env = require "host.env"
local file = require "host.file"
local import = require "cli.import"
local json = require "host.json"
local providers = require "providers"
local task = require "host.task"

local path = (...)
local cases = assert(json.decode(assert(file.read(path))))
local said, ended = {}, false

local SECRET = { username = "u", password = "p", project_name = "p", domain_name = "default" }

local function open(case)
  local spec = { endpoint = case.url, dc = "DC0", region = "R" }
  local source, err = providers.open(case.kind, spec, SECRET, { name = case.name })
  if source then
    source:close()
  end
  return err and err.message or "it was taken"
end

-- Into scratch, as in a cluster, if it is a VMDK.
local function fetch(case, i)
  local output = ("%s.%d"):format(path, i)
  local opts = { source = { url = case.url }, format = case.format,
    capacity = case.capacity, least_rate = case.least_rate, rate_over = case.rate_over }
  local spool <close> = case.format == "vmdk"
    and assert(disk.spool({ path = output, capacity = case.capacity })) or nil
  opts.spool, opts.output = spool, not spool and output or nil
  local running <close> = assert(disk.transfer(opts))
  local result, err = running:wait()
  local stat = file.stat(output .. ".vmdk.part")
  if stat and stat.size > case.capacity * 9 // 8 + (3 << 20) then
    return "scratch has " .. stat.size .. " bytes"
  end
  return result and "it was taken" or err.message
end

local tasks = {}
for i, case in ipairs(cases) do
  tasks[i] = task.spawn(case.name, function()
    repeat
      local message = (case.kind and open or fetch)(case, i)
      said[case.name] = said[case.name] or message -- it may say something else later
      task.sleep(0.01)
    until ended
  end)
end

local code = import.run({ select(2, ...) })
ended = true
for _, t in ipairs(tasks) do
  assert(t:join())
end
env.stdout(json.encode(said) .. "\n")
return code
