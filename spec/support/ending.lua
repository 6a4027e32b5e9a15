--- support.ending: whether an import has come to the right end: once, whole, and with
-- nothing left anywhere.

local json = require "host.json"
local lab = require "support.lab"
local task = require "host.task"

local M = {}

local function count(site, kind, namespace)
  return #assert(site.client:list(kind, namespace))
end

-- Bytes that came whole are the original's, however often they were fetched.
local function check_pulls(site, import, sums)
  local entries = import.status.diskImportStatus
  assert(#entries == #sums, ("%d disks, %d expected"):format(#entries, #sums))
  for i, entry in ipairs(entries) do
    local pulls = site.harvester:pulls(import.metadata.namespace, entry.VirtualMachineImage)
    assert(#pulls > 0, ("disk %d: nothing was downloaded whole"):format(i))
    for _, sum in ipairs(pulls) do
      assert(sum == sums[i], ("disk %d: %s came, not %s"):format(i, sum, sums[i]))
    end
  end
end

--- ending.check(site, import, opts)                                     [waits]
-- Throws what is wrong with a namespace in which nothing but this import was.
--
--   import        in state virtualMachineRunning
--   opts.sums     list: SHA-512 of each disk
--   opts.sim      the vSphere; no lease may be left there
--   opts.scratch  folder that must be empty; nil: it is not looked at
function M.check(site, import, opts)
  local namespace, disks = import.metadata.namespace, #opts.sums
  local status = import.status
  assert(status.importStatus == "virtualMachineRunning", status.importStatus)
  check_pulls(site, import, opts.sums)
  for kind, wanted in pairs { VirtualMachine = 1, VirtualMachineImage = disks,
    PersistentVolumeClaim = disks } do
    local found = count(site, kind, namespace)
    assert(found == wanted, ("%d %s, not %d"):format(found, kind, wanted))
  end
  assert(#(status.recorded or {}) == 0, json.encode(status.recorded))
  assert(#(import.metadata.finalizers or {}) == 0, "a finalizer is left")
  lab.wait_for("no lease is left at the vSphere", function()
    return opts.sim:get("/state").openLeases == 0
  end, 10)
  if opts.scratch then
    local files = lab.files(opts.scratch)
    assert(#files == 0, "left in scratch: " .. table.concat(files, ", "))
  end
end

--- ending.sums(folder, disks) -> list of SHA-512                        [waits]
-- Of the disks that these scenario entries stand for.
function M.sums(folder, disks)
  local sums = {}
  for i, disk in ipairs(disks) do
    sums[i] = lab.original(folder, disk)
  end
  return sums
end

--- ending.at_random(seconds) -> string                                  [waits]
-- Sleeps up to so many seconds; how long, for messages.
function M.at_random(seconds)
  local moment = math.random() * seconds
  task.sleep(moment)
  return ("%.3f"):format(moment)
end

return M
