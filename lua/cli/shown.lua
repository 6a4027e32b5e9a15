--- cli.shown: what whoever runs `import` is told on the way: the observer of its flows.
--
-- Disks have the names that their source gives them. Who ends the command before an
-- import has ended is told what stays and how to go on.

local findings = require "flows.import.findings"
local progress = require "cli.progress"

local methods = {}
local mt = { __name = "cli.shown", __index = methods }

local M = {}

local function name_of(import, disk)
  local machine = import.status and import.status.machine
  for _, source in ipairs(machine and machine.disks or {}) do
    if source.id == disk.id and (source.name or "") ~= "" then
      return source.name
    end
  end
  return disk.name
end

local function say(self, import, format, ...)
  self.bars:say(("%s: " .. format):format(import.metadata.name, ...))
end

--- shown:working(import, message)
-- Once, however often it is written.
function methods:working(import, message)
  self.latest = import.status
  local name = import.metadata.name
  if message ~= "" and message ~= self.last[name] then
    self.last[name] = message
    say(self, import, "%s", message)
  end
end

--- shown:findings(import)
-- Those in its status that were not said yet, the worst first; what blocks is the end of
-- the import, and said with it.
function methods:findings(import)
  for _, finding in ipairs(import.status and import.status.findings or {}) do
    local line = findings.line(finding)
    if finding.severity ~= "Blocks" and not self.said[line] then
      self.said[line] = true
      self.bars:finding(finding)
    end
  end
end

--- shown:disk_started(import, disk, transfer)
function methods:disk_started(import, disk, transfer)
  self.bars:add(name_of(import, disk), transfer, disk.capacity_bytes)
end

--- shown:disk_ended(import, disk, transfer, result, err)
function methods:disk_ended(import, disk, transfer, result, err)
  local seconds, name = self.bars:remove(transfer), name_of(import, disk)
  if not result then
    say(self, import, "%s: %s", name, err.message)
    return
  end
  say(self, import, "%s: whole, %s, received %s in %s", name,
    progress.bytes_text(result.capacity), progress.bytes_text(result.received),
    progress.time_text(seconds))
  if result.sha512 then
    say(self, import, "%s: sha512 %s", name, result.sha512)
  end
end

--- shown:begun(import): from now on who ends the command leaves it half done.
function methods:begun(import)
  self.current = import
end

--- shown:ended(): it has come to its end.
function methods:ended()
  self.current, self.latest = nil, nil
end

-- A file has its name only when it is whole. Nothing may wait here.
local function count_whole(self, plan)
  local whole = 0
  for _, disk in ipairs(plan.disks) do
    local there = io.open(self.path(plan, disk))
    if there then
      there:close()
      whole = whole + 1
    end
  end
  return whole
end

local function kept(self, plan)
  local whole = plan and count_whole(self, plan) or 0
  if whole == 0 then
    return "no disk of it is whole yet"
  end
  return ("%d of its %d disks are whole, and kept"):format(whole, #plan.disks)
end

-- Ctrl-C or SIGTERM cancels the task; who fails says so himself.
function methods:close(problem)
  local import = self.current
  if import and not problem then
    say(self, import, "interrupted: %s. To go on, leave the machine off at the source "
      .. "and run the same command again.",
      kept(self, (self.latest or import.status or {}).plan))
  end
end

mt.__close = methods.close

--- shown.new(bars, path) -> shown, to be closed
--
--   bars  cli.progress
--   path  function(plan, disk) -> path of its raw image
function M.new(bars, path)
  return setmetatable({ bars = bars, path = path, last = {}, said = {} }, mt)
end

return M
