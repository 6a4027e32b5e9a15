--- controller.added_sources: the kinds of source that scripts add, watched as long as
-- they do.
--
-- A kind that the cluster does not have, or does not let us read, is reported and waited
-- for; all else goes on.

local log = require "host.log"
local task = require "host.task"

local methods = {}
local mt = { __name = "added_sources", __index = methods }

local M = {}

local SOON = 2 -- seconds in which a kind is there, if nothing is wrong

-- Says what is wrong with a kind, and later that it is not any more.
local function report(self, kind, informer)
  local ok, err = informer:wait_synced(SOON)
  if not ok then
    local note = ("%s is not to be had yet: %s; apply its CustomResourceDefinition and "
      .. "the role that lets the controller read it"):format(kind, err.message)
    log.warn(note)
    self.say("Warning", "SourceKindMissing", note)
    informer:wait_synced()
  end
  self.say("Normal", "SourceKindServed", kind .. " is watched")
end

local function start(self, kind)
  local informer = self.watch(kind)
  self.informers[kind] = informer
  self.tasks[kind] = { task.spawn("informer of " .. kind, informer.run, informer),
    task.spawn("reports " .. kind, report, self, kind, informer) }
end

local function stop(self, kind)
  for _, running in ipairs(self.tasks[kind]) do
    running:cancel(0)
  end
  self.tasks[kind] = nil
  self.informers[kind] = nil
end

--- added:use(sources)
-- Watches these and no others. Does not wait.
--
--   sources  list of {kind, plural, ...}
function methods:use(sources)
  local wanted = {}
  for _, source in ipairs(sources) do
    wanted[source.kind] = true
    if not self.tasks[source.kind] then
      start(self, source.kind)
    end
  end
  for kind in pairs(self.tasks) do
    if not wanted[kind] then
      stop(self, kind)
    end
  end
end

--- added:close()
function methods:close()
  self:use({})
end

--- added_sources.new(opts) -> added
--
--   opts.informers  table, kind -> informer, kept up to date
--   opts.watch      function (kind) -> informer
--   opts.say        function (type, reason, note), as script_watch's
function M.new(opts)
  return setmetatable({
    informers = opts.informers,
    watch = opts.watch,
    say = opts.say,
    tasks = {},
  }, mt)
end

return M
