--- flows.import.status: writes the status of one import, which is its checkpoint, and
-- says what has happened: in a condition, an Event and the log, in the same words.
--
-- `record` returns when the store has it; `report` only promises. One writer per
-- task; writes go one after the other, so tasks of a step may share it.

local conditions = require "kube.conditions"
local entries = require "flows.import.entries"
local errors = require "host.error"
local json = require "host.json"
local marks = require "base.marks"
local merge_patch = require "kube.merge_patch"
local story = require "flows.import.story"
local task = require "host.task"
local time = require "host.time"
local values = require "base.values"

local KIND = "VirtualMachineImport"
local REPORT_FIRST, REPORT_MOST = 2, 5 -- seconds between two reports; more as it goes on
local TRIES = 5        -- of a write that meets other writers

local methods = {}
local mt = { __name = "flows.import.status", __index = methods }

local M = {}

-- For what is read without the import's name beside it.
local function named(import, message)
  return ("%s %s/%s: %s"):format(KIND, import.metadata.namespace, import.metadata.name,
    message)
end

--- status.OLD_DEFINITION: err.reason when the store does not keep fields of ours.
M.OLD_DEFINITION = "OldCustomResourceDefinition"

local function stamp(self)
  return time.rfc3339(self.env.now())
end

local function refresh(self)
  local meta = self.import.metadata
  local fresh, err = self.env.store:get(KIND, meta.namespace, meta.name)
  if not fresh then
    error(err.kind == "notfound" and errors.new("conflict", named(self.import,
      "it was deleted meanwhile")) or err)
  end
  local before = self.import.status and self.import.status.importStatus or ""
  local now = fresh.status and fresh.status.importStatus or ""
  -- What was planned, and is not carried out yet, is planned anew when the spec changes.
  local stale = now == "virtualMachineImportValid"
    and fresh.metadata.generation ~= meta.generation
  if fresh.metadata.uid ~= meta.uid or now ~= before or stale then
    error(errors.new("conflict", named(self.import, stale and "its spec was changed: "
      .. "it is planned anew" or ('somebody else has changed importStatus from "%s" to '
      .. '"%s": it goes on from there'):format(before, now))))
  end
  self.import.metadata = fresh.metadata
  self.import.spec = fresh.spec
  self.import.status = fresh.status
end

-- Fields that were sent and are not there: our CustomResourceDefinition was replaced by
-- one that does not know them. What cannot be recorded must not be done.
local function check_kept(import, sent)
  local lost = {}
  for key, value in pairs(sent or {}) do
    if value ~= json.null and (import.status or {})[key] == nil then
      lost[#lost + 1] = "status." .. key
    end
  end
  if #lost > 0 then
    table.sort(lost)
    error(errors.new("gone", ("the CustomResourceDefinition of %s is of an older "
      .. "version: it does not keep %s; apply the one of this version"):format(KIND,
      table.concat(lost, ", ")), { reason = M.OLD_DEFINITION }))
  end
end

-- Sends build(import); on a conflict with another writer reads again and rebuilds.
-- A patch that would change nothing is not sent.
local function write(self, build, opts)
  local meta = self.import.metadata
  for try = 1, TRIES do
    local patch = build(self.import)
    if not merge_patch.changes(self.import, patch) then
      return
    end
    patch.metadata = merge_patch.apply(patch.metadata or {}, {
      resourceVersion = self.import.metadata.resourceVersion,
    })
    local after, err = self.env.store:patch(KIND, meta.namespace, meta.name, patch, opts)
    if after then
      self.import.metadata = after.metadata
      self.import.status = after.status
      return check_kept(after, patch.status)
    elseif err.kind ~= "conflict" or try == TRIES then
      error(errors.wrap(err, "writing the status of import " .. meta.name))
    end
    refresh(self)
  end
end

-- The finalizer stands while something exists that we would have to remove.
local function set_finalizer(self, wanted)
  if marks.is_held(self.import) == wanted then
    return
  end
  write(self, function(import)
    local list = json.array({})
    for _, name in ipairs(import.metadata.finalizers or {}) do
      if name ~= marks.FINALIZER then
        list[#list + 1] = name
      end
    end
    if wanted then
      list[#list + 1] = marks.FINALIZER
    end
    return { metadata = { finalizers = list } }
  end)
end

--- writer:record(fields)                                                [waits]
-- Merges fields into the status; returns when the store has them.
--
--   fields  table, or function (status) -> table, which is called again on fresh
--           state when another writer came between
function methods:record(fields)
  local permit <close> = assert(self.mutex:acquire())
  assert(permit)
  local disks = self.import.status and self.import.status.diskImportStatus
  write(self, function(import)
    local new = type(fields) == "function" and fields(import.status or {}) or fields
    return { status = values.joined(self.pending, new) }
  end, { status = true })
  self.pending = {}
  self.story:tell_disks(disks, (self.import.status or {}).diskImportStatus)
end

-- Who only promised to write has nobody to throw to. That somebody else has changed the
-- import is met by the step itself, if whoever watches it has not ended that before.
local function flush(self)
  local ok, problem = pcall(self.record, self, {})
  local err = not ok and errors.of(problem)
  if err and err.kind ~= "conflict" then
    self:line("warn", "NotWritten", "reporting its progress: " .. err.message)
  end
end

--- writer:report(fields)
-- As record, without waiting: written with the next record, or within 5 s.
function methods:report(fields)
  self.pending = values.joined(self.pending, fields)
  if self.flusher and not self.flusher:done() then
    return
  end
  self.flusher = task.spawn("reports progress", function()
    task.sleep(self.every)
    self.every = math.min(self.every * 1.25, REPORT_MOST)
    if next(self.pending) then
      flush(self)
    end
  end)
end

--- writer:line(level, reason, message, disk?)
-- In the log alone, each time it happens (story:line).
function methods:line(...)
  self.story:line(...)
end

--- writer:at(step): from now on this step is taken, which the log says
function methods:at(step)
  self.story.step = step
end

--- writer:condition(type, status, reason, message, opts)                [waits]
-- Sets one of upstream's importConditions.
--
--   opts         of story:tell, or nil
--   opts.silent  boolean  whoever catches what is thrown next says it
function methods:condition(type, status, reason, message, opts)
  local changed
  self:record(function(before)
    local list
    list, changed = conditions.set(before.importConditions, {
      type = type,
      status = status,
      reason = reason,
      message = message,
    }, stamp(self), { update_time = true })
    return { importConditions = list }
  end)
  if changed and not (opts and opts.silent) then
    self.story:tell("info", reason, message, nil, opts)
  end
end

local function standard(self, before, ready, reconciling, stalled)
  local now = stamp(self)
  local list = before.conditions
  local function set(type, condition)
    list = conditions.set(list, {
      type = type,
      status = condition.status,
      reason = condition.reason,
      message = condition.message or "",
      observedGeneration = self.import.metadata.generation,
    }, now)
  end
  set("Ready", ready)
  set("Reconciling", reconciling)
  set("Stalled", stalled)
  return list
end

local NO = { status = "False", reason = "No", message = "" }

--- writer:working(reason, message, fields, opts)                        [waits]
-- Something is going on: Reconciling=True, and the fields besides. Of this one, of
-- finished, stalled and resting:
--
--   fields  table of the status, or nil
--   opts    of story:tell, or nil
function methods:working(reason, message, fields, opts)
  local observer, attempt = self.env.observer, self.story:attempt()
  if observer and observer.working then
    observer:working(self.import, message)
  end
  self:record(function(before)
    local not_ready = { status = "False", reason = reason, message = message }
    return values.joined({
      conditions = standard(self, before, not_ready,
        { status = "True", reason = reason, message = message }, NO),
    }, fields)
  end)
  self.story:tell("info", reason, message, attempt, opts)
end

--- writer:progress(message)
-- Says how far it is, without waiting.
function methods:progress(message)
  self:report({
    conditions = standard(self, self.import.status or {},
      { status = "False", reason = "Progressing", message = message },
      { status = "True", reason = "Progressing", message = message }, NO),
  })
end

--- writer:finished(reason, message, fields, opts)                       [waits]
-- A good end: Ready=True.
function methods:finished(reason, message, fields, opts)
  local attempt = self.story:attempt()
  self:record(function(before)
    return values.joined({
      conditions = standard(self, before,
        { status = "True", reason = reason, message = message }, NO, NO),
      attempt = json.null,
      nextAttemptTime = json.null,
    }, fields)
  end)
  self.story:tell("info", reason, message, attempt, opts)
end

--- writer:stalled(reason, message, fields, opts)                        [waits]
-- A bad end, until somebody changes something: Stalled=True.
function methods:stalled(reason, message, fields, opts)
  local attempt = self.story:attempt()
  self:record(function(before)
    return values.joined({
      conditions = standard(self, before,
        { status = "False", reason = reason, message = message }, NO,
        { status = "True", reason = reason, message = message }),
      nextAttemptTime = json.null,
    }, fields)
  end)
  self.story:tell("error", reason, message, attempt, opts)
end

--- writer:resting(reason, message, fields, opts)                        [waits]
-- Nothing goes on, as was asked for: not done, and nothing is wrong.
function methods:resting(reason, message, fields, opts)
  local attempt = self.story:attempt()
  self:record(function(before)
    return values.joined({
      conditions = standard(self, before,
        { status = "False", reason = reason, message = message }, NO, NO),
      nextAttemptTime = json.null,
    }, fields)
  end)
  self.story:tell("info", reason, message, attempt, opts)
end

--- writer:seen(...)                                                     [waits]
-- These conditions, which may be nil, are of the present generation of the spec.
function methods:seen(...)
  local given = table.pack(...)
  self:record(function(before)
    local list, generation = before.conditions, self.import.metadata.generation
    for i = 1, given.n do
      local c = given[i]
      list = c and conditions.set(list, { type = c.type, status = c.status,
        reason = c.reason, message = c.message, observedGeneration = generation },
        stamp(self)) or list
    end
    return { conditions = list, observedGeneration = generation }
  end)
end

--- writer:event(type, reason, note)
-- An Event, where there are any, and a line of the log; does not wait. For what no
-- condition says in these words.
--
--   type  "Normal" | "Warning"
function methods:event(type, reason, note)
  self.story:tell("info", reason, note, nil, { event = type })
end

--- writer:remember(entry, ...)                                          [waits]
-- Records what was or is about to be made remotely: {kind, name, id, diskID}. Its
-- (kind, name) is what makes it one; the finalizer comes before the first.
function methods:remember(...)
  local given = { ... }
  set_finalizer(self, true)
  self:record(function(before)
    return { recorded = entries.with(before.recorded, given) }
  end)
end

--- writer:forget(entry, ...)                                            [waits]
-- It is gone; with the last one the finalizer goes.
function methods:forget(...)
  local given = { ... }
  self:record(function(before)
    return { recorded = entries.without(before.recorded, given) }
  end)
  if #(self.import.status.recorded or {}) == 0 then
    set_finalizer(self, false)
  end
end

--- writer:release()                                                     [waits]
-- Takes the finalizer off if nothing is recorded any more.
function methods:release()
  if #(self.import.status and self.import.status.recorded or {}) == 0 then
    set_finalizer(self, false)
  end
end

function methods:close()
  if self.flusher then
    self.flusher:cancel(0)
  end
end

mt.__close = methods.close

--- status.writer(import, env) -> writer, to be closed
-- writer.story is what is said of it (flows.import.story).
-- `import` is kept fresh: its metadata and status are what the store holds.
function M.writer(import, env)
  return setmetatable({
    import = import,
    env = env,
    story = story.new(import, env),
    pending = {},
    every = REPORT_FIRST,
    mutex = task.semaphore(1),
  }, mt)
end

return M
