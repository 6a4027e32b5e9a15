--- controller.secret_watch: the Secrets that sources name are watched, each by its name:
-- never all of them, to which nothing gives us a right.

local informer = require "kube.informer"
local projections = require "controller.projections"
local task = require "host.task"

local methods = {}
local mt = { __name = "secret_watch", __index = methods }

local M = {}

local function watch(self, id)
  local namespace, name = id:match("^(.-)/(.+)$")
  local watched = informer.new({
    client = self.client, kind = "Secret", namespace = namespace, name = name,
    project = projections.Secret,
    changed = function()
      self.each_source(function(key, value)
        if value.secret == id then
          self.changed(key)
        end
      end)
    end,
  })
  return task.spawn("informer of a Secret", watched.run, watched)
end

--- secret_watch:refresh()
-- After a source has come, changed or gone: watches what sources name now, and that only.
function methods:refresh()
  local wanted = {}
  self.each_source(function(_, value)
    if value.secret then
      wanted[value.secret] = true
      self.tasks[value.secret] = self.tasks[value.secret] or watch(self, value.secret)
    end
  end)
  for id, watching in pairs(self.tasks) do
    if not wanted[id] then
      self.tasks[id] = nil
      watching:cancel(0)
    end
  end
end

--- secret_watch:close()
function methods:close()
  for _, watching in pairs(self.tasks) do
    watching:cancel(0)
  end
end

--- secret_watch.new(opts) -> secret_watch, to be closed
--
--   opts.client       kube.client
--   opts.each_source  function (f)    f(key, value) for each source that there is;
--                                     value.secret: "NAMESPACE/NAME" of it, or nil
--   opts.changed      function (key)  the Secret of this source has changed
function M.new(opts)
  return setmetatable({
    client = opts.client,
    each_source = opts.each_source,
    changed = opts.changed,
    tasks = {},
  }, mt)
end

return M
