--- kube.journal: what the log says of objects, each thing once.
--
-- An object is looked at again and again, and what was said of it is no news. Words that
-- differ in numbers alone (a progress, the time of the next try) are the same words. When
-- the object's `chapter` is another one, its state or attempt, all is said again.

local errors = require "host.error"
local host_log = require "host.log"
local log = require "base.log"

local methods = {}
local mt = { __name = "kube.journal", __index = methods }

local M = {}

local MOST = 100 -- different things of one chapter that are remembered

local function nothing()
end

local NOWHERE = { debug = nothing, info = nothing, warn = nothing, error = nothing }

local function id_of(kind, namespace, name)
  return ("%s/%s/%s"):format(kind, namespace or "", name)
end

local function page_of(self, object, chapter)
  local meta = object.metadata
  local id = id_of(object.kind, meta.namespace, meta.name)
  local page = self.pages[id]
  chapter = (meta.uid or "") .. "/" .. chapter
  if not page or page.chapter ~= chapter or page.count >= MOST then
    page = { chapter = chapter, said = {}, count = 0 }
    self.pages[id] = page
  end
  return page
end

--- journal:is_new(object, chapter, reason, message, of?) -> boolean
-- Whether that was not said of the object yet, in this chapter. From now on it was.
--
--   chapter  string
--   of       string  which part of the object: a disk
function methods:is_new(object, chapter, reason, message, of)
  local page = page_of(self, object, chapter)
  local words = table.concat({ reason, of or "", (message:gsub("%d+", "#")) }, "\0")
  if page.said[words] then
    return false
  end
  page.said[words], page.count = true, page.count + 1
  return true
end

--- journal:of(object) -> log: whose lines are about that object
function methods:of(object)
  local meta = object.metadata
  return log.new(self.sink, log.subject(object.kind, meta.namespace, meta.name, meta.uid))
end

--- journal:forget(key)
-- There is no such object any more.
--
--   key  {kind, namespace, name}
function methods:forget(key)
  self.pages[id_of(key.kind, key.namespace, key.name)] = nil
end

--- journal.new(sink?) -> journal
--
--   sink  as base.log's (default host.log); false: nothing is written
function M.new(sink)
  return setmetatable({
    sink = sink or sink == nil and host_log or NOWHERE,
    pages = {},
  }, mt)
end

--- journal.explained(problem) -> err
-- An err of what was thrown. Where a programming mistake was made stands in its
-- traceback, if this is called where it was caught (xpcall).
function M.explained(problem)
  local err = errors.of(problem)
  if type(problem) ~= "table" then
    err.traceback = debug.traceback()
  end
  return err
end

return M
