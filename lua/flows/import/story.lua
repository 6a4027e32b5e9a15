--- flows.import.story: what is said of one import: lines of the log, and Events.
--
-- For flows.import.status, which says each thing when the store has it. What was said
-- already is no news (kube.journal).

local conditions = require "kube.conditions"
local journal = require "kube.journal"

local methods = {}
local mt = { __name = "flows.import.story", __index = methods }

local M = {}

--- story:attempt() -> int: the one that is being made, from 1 on
function methods:attempt()
  local status = self.import.status
  return (status and status.attempt or 0) + 1
end

-- Fields of a line, besides those of the import.
local function fields_of(self, reason, attempt)
  return {
    reason = reason,
    state = self.import.status and self.import.status.importStatus or "",
    step = self.step,
    attempt = attempt or self:attempt(),
    scriptGeneration = self.env.script_generation,
  }
end

--- story:line(level, reason, message, disk?)
-- In the log alone, each time it happens.
--
--   level  "info": as it should be | "warn": waited for, or tried again | "error": the
--          end, or it goes on when somebody changes something
--   disk   string  the name of the one it is about
function methods:line(level, reason, message, disk)
  local fields = fields_of(self, reason)
  fields.disk = disk
  self.log[level](self.log, message, fields)
end

--- story:removed(kind, name, disk?)
-- A line: what the import had made is there no more.
function methods:removed(kind, name, disk)
  self:line("info", "Removed", ("%s %s, which the import had made, is removed"):format(
    kind, name), disk)
end

--- story:tell(level, reason, message, attempt, opts)
-- What a condition says, once in the log, and with opts.event as an Event.
--
--   level           of the log; of a Warning no less than warn
--   attempt         int     the one it is about: the status may have gone on since
--   opts.event      "Normal" | "Warning"
--   opts.level      instead of `level`
--   opts.traceback  string  where a programming mistake was made
function methods:tell(level, reason, message, attempt, opts)
  opts = opts or {}
  level = opts.level or level == "info" and opts.event == "Warning" and "warn" or level
  local fields = fields_of(self, reason, attempt)
  fields.traceback = opts.traceback
  local chapter = ("%s/%d"):format(fields.state, fields.attempt)
  if self.journal:is_new(self.import, chapter, reason, message) then
    self.log[level](self.log, message, fields)
  end
  if opts.event and self.env.event then
    self.env.event(self.import, opts.event, reason, message)
  end
end

local function is_news(condition, before)
  return (condition.message or "") ~= "" and (not before
    or before.status ~= condition.status or before.message ~= condition.message)
end

--- story:tell_disks(before, after)
-- What has changed in the conditions of status.diskImportStatus.
function methods:tell_disks(before, after)
  local old = {}
  for _, entry in ipairs(before or {}) do
    old[entry.diskName] = entry.diskConditions
  end
  for _, entry in ipairs(after or {}) do
    for _, c in ipairs(entry.diskConditions or {}) do
      if is_news(c, conditions.find(old[entry.diskName], c.type)) then
        local good = c.status == "True" and not c.type:find("Failed$")
        self:line(good and "info" or "warn", c.reason, c.message, entry.diskName)
      end
    end
  end
end

--- story.new(import, env) -> story
--
--   env.journal  kube.journal, optional
--   story.step   string, to be set: which step is taken
function M.new(import, env)
  local lines = env.journal or journal.new(false)
  return setmetatable({ import = import, env = env, journal = lines,
    log = lines:of(import) }, mt)
end

return M
