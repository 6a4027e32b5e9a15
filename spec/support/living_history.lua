--- support.living_history: the histories of a support.living server and of its import into
-- a directory, as support.history wants a subject.

local file = require "host.file"
local history = require "support.history"
local json = require "host.json"
local lab = require "support.lab"
local living = require "support.living"
local outcome = require "support.outcome"
local program = require "support.program"
local task = require "host.task"
local time = require "host.time"

local M = {}

local FIRST_LASTS = 30 -- seconds that an import is thought to take before one has ended
local RUN = 600        -- seconds that an import may take
local LOOK = 0.05      -- seconds between two looks for a whole disk
local OTHER = 120      -- seconds that what happens meanwhile may take
local CHANGES = { "on", "work", "work", "work", "off", "write", "grow", "remove", "add",
  "snapshot", "revert" }

-- Why an import may hand nothing over: what happened to the server meanwhile, or what the
-- proxy did. Any other word is the lab's fault, or the program's.
local HURT = "hurt by a history"
local REASONS = {
  { "has run since", "was on, or its disks have changed, since they were fetched" },
  { "is on", "is on at its source, and was off when" },
  { "is on", "is running again at its source" },
  { "has run meanwhile", "they are not of one moment" },
  { "has run meanwhile", "while they were fetched: all of its disks are fetched again" },
  { "has other volumes", "has other volumes than when it was inspected" },
  { "is not off", "server %S+ is [%w-]+, not off" },
  { "a volume is busy", "current status is: %l+ing" },
  { "a volume is busy", "the volume is %l+ing, so no snapshot can be made" },
  { "the server is busy", "Nova is doing something with the server" },
  { "the server is busy", "409: Cannot '" },
  { "refused by the proxy", HURT },
}

-- What goes wrong at the proxy of an import that is to meet a failure: a download that
-- breaks off, a refusal, an outage that passes, an answer that is lost.
local FAULTS = {
  function(random) return { match = "GET /image/.*/file", times = 3,
    cut = random(1, 2 ^ 29 | 0) } end,
  function(random) return { match = "POST /volume/.*/snapshots", status = 400, times = 1,
    skip = random(0, 1) } end,
  function(random) return { match = "POST /volume/v3/[^/]*/volumes$", status = 400, times = 3 } end,
  function(random) return { match = "POST /volume/.*/action", status = 503, times = 2 } end,
  function(random) return { match = "POST /volume/.*", lost = true, skip = random(0, 4) } end,
  function(random) return { match = "GET /volume/v3/[^/]*/volumes/[0-9a-f]{8}-", status = 400,
    skip = random(0, 20) } end,
  function(random) return { match = "GET /compute/.*", status = 403,
    skip = random(0, 20) } end,
  function(random) return { match = "DELETE /", status = 503, times = 2 } end,
}

-- Only an interrupted import leaves something; the run to its end takes it away.
local function check_clean(cloud, out)
  local ok, import = pcall(lab.read_object, out, "VirtualMachineImport", "vm")
  local name = ok and "vm-import-" .. import.metadata.uid
  for _, thing in ipairs(name and cloud:inventory() or {}) do
    assert(not thing:find(name, 1, true), "the import has left " .. thing)
  end
end

-- The bytes that each disk held at a moment.
local function texts_of(moment)
  local texts = {}
  for i, disk in ipairs(moment.disks) do
    texts[i] = ("%s %d %d"):format(disk.name, disk.generation, disk.size)
  end
  return texts
end

--- living_history.new(cloud, name, has_root) -> subject, to be closed   [waits]
-- Arguments as of living.new.
function M.new(cloud, name, has_root)
  local server = living.new(cloud, name, has_root)
  local home = lab.folder()
  local self = { operations = {}, reasons = REASONS, lasts = FIRST_LASTS }
  local out = home.path .. "/out"
  local args = cloud:args(home.path, { machine = server.id, spec = { maxRetries = 0 } })
  for i, what in ipairs(CHANGES) do
    self.operations[i] = { what, function()
      return living.operations[what](server)
    end }
  end

  function self.begin()
    server.random = self.random
    if self.ended then
      check_clean(cloud, out)
    end
    assert(file.remove(out, { recursive = true, missing_ok = true }))
    assert(server:off())
    assert(server:guest("begin"))
  end

  local function has_whole_disk()
    for _, entry in ipairs(file.list(out .. "/default") or {}) do
      if entry:find("%.raw$") then
        return true
      end
    end
  end

  -- Half of the interruptions come when a first disk is whole: what becomes of it, when the
  -- server is on before the next run, is what they are for.
  local function wait_to_interrupt(running)
    local early = self.random() < 0.5
    local spare = self.random()
    if early then
      task.sleep(spare * self.lasts)
      return
    end
    while not running:done() and not has_whole_disk() do
      task.sleep(LOOK)
    end
    task.sleep(spare)
  end

  local function meanwhile()
    task.sleep(self.random() * self.lasts)
    history.one_of(self.random, self.operations)[2]()
  end

  function self.run(how)
    if how == "fault" then
      local fault = history.one_of(self.random, FAULTS)(self.random)
      fault.name, fault.body = name, json.encode { message = HURT }
      cloud:fault(fault)
    end
    self.ended = false
    local began = time.monotonic()
    local running <close> = program.start(home.path, args)
    local other = self.random(3) == 1 and task.spawn(meanwhile) or nil
    if how == "INT" or how == "KILL" then
      wait_to_interrupt(running)
      if not running:done() then
        running:signal(how)
      end
    end
    local result = running:wait(RUN)
    cloud:calm(name)
    self.ended = not how
    if result.status == 0 and not how then
      self.lasts = (self.lasts + time.monotonic() - began) / 2
    end
    if other then
      assert(other:join(OTHER))
    end
    return result
  end

  function self.moments()
    local path = ("%s/nova/disks/%s.guest"):format(cloud.folder, server.id)
    local journal, list = json.decode(assert(file.read(path))).journal, {}
    for i = #journal, 1, -1 do
      list[#list + 1] = { off = journal[i].off, disks = function()
        return texts_of(journal[i])
      end }
    end
    return list
  end

  function self.handed()
    local list, status = {}, outcome.status(out)
    for i, disk in ipairs(status.diskImportStatus) do
      local id = status.plan.disks[i].id
      list[i] = assert(server:guest("read", disk.diskLocalPath,
        id == "root" and server.id or id))
    end
    return list
  end

  function self.close()
    server:close()
    getmetatable(home).__close(home)
  end

  return self
end

return M
