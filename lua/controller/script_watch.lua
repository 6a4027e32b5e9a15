--- controller.script_watch: the site's scripts of a cluster: a ConfigMap in our
-- namespace, followed.
--
-- What is in force changes in one step, and only to a set that is sound as a whole. A
-- ConfigMap that is broken when we start has no sound one before it: until it is mended
-- nothing is planned, for the built-in policy alone is not what the site wants.

local digest = require "host.digest"
local errors = require "host.error"
local informer = require "kube.informer"
local log = require "host.log"
local metrics = require "host.metrics"
local sample = require "site.sample"
local scripts = require "site.scripts"
local task = require "host.task"
local time = require "host.time"

local methods = {}
local mt = { __name = "script_watch", __index = methods }

local M = {}

--- script_watch.name: of the ConfigMap.
M.name = "vm-import-scripts"

local RELOADS = metrics.counter("vm_import_script_reloads_total",
  "Sets of site scripts that were looked at.", { "result" })
local BROKEN = metrics.gauge("vm_import_scripts_broken",
  "1 while the site's scripts, as they stand in the cluster, are not in force.")

local GENERATION = metrics.gauge("vm_import_script_generation_info",
  "1; the set of site scripts in force, by its hash.", { "generation" })
local LOADED = metrics.gauge("vm_import_script_loaded_timestamp_seconds",
  "When the set of site scripts in force was taken, seconds since 1970.")

local BROKEN_HASH = "broken" -- no generation's
local AGAIN = 5 -- seconds, after a failure that is not the scripts'

-- What is kept of the ConfigMap: {object (for Events), texts, problem, at}.
local function project(object)
  local texts, problem = {}, nil
  for key, text in pairs(object.data or {}) do
    texts[key] = text
  end
  for key, encoded in pairs(object.binaryData or {}) do
    local text, err = digest.base64_decode(encoded)
    texts[key] = text
    problem = problem or (err and ("%s: %s"):format(key, err.message))
  end
  return {
    object = { apiVersion = "v1", kind = "ConfigMap", metadata = {
      name = object.metadata.name,
      namespace = object.metadata.namespace,
      uid = object.metadata.uid,
      resourceVersion = object.metadata.resourceVersion,
    } },
    texts = texts,
    problem = problem,
    at = time.monotonic(),
  }
end

--- watch:say(type, reason, note)
-- An Event on the ConfigMap, if there is one: once for each of its versions.
function methods:say(type, reason, note)
  if self.object then
    self.events:emit(self.object, type, reason, note,
      self.object.metadata.resourceVersion)
  end
end

-- Nothing is planned by it: each plan fails with what is wrong.
local function broken(err)
  local generation = { hash = BROKEN_HASH, names = {}, ignored = {},
    code = scripts.builtin.code }
  function generation.hook(name)
    return nil, errors.new("invalid", err.message, { script = M.name, hook = name })
  end
  return generation
end

-- At the start there is nothing sound that could stay in force.
local function hold(self, err)
  if self.scripts.current == scripts.builtin and not self.loaded then
    self.scripts.current = broken(err)
  end
end

local function reject(self, err)
  RELOADS:add(1, { result = "rejected" })
  BROKEN:set(1)
  hold(self, err)
  self.rejected = true
  local now = self.scripts.current.hash
  log.error("the site's scripts are broken: " .. err.message, { in_force = now })
  self:say("Warning", "ScriptsRejected", ("%s (%s)"):format(err.message,
    now == BROKEN_HASH and "none are in force; until this is mended nothing is planned"
      or ("generation %s stays in force"):format(now)))
end

-- A hook's error about a machine that nobody has does not count, but may be a mistake.
local function try_sample(self, generation)
  local code = generation.code
  local plan, err = code:require("policy.plan").build(sample.input(code), generation.hook)
  if not plan then
    self:say("Warning", "ScriptsDoubtful", err.message .. " (of a sample machine; "
      .. "`vm-import-controller check` shows more)")
  end
end

local function show(generation)
  GENERATION:remove()
  GENERATION:set(1, { generation = generation.hash })
  LOADED:set(time.now())
end

-- Too much code is in use, or the machine is too busy: tried again soon.
local function wait_for_room(self, seen, err)
  self.waiting = seen
  BROKEN:set(1)
  hold(self, err)
  log.warn("the site's scripts are not taken yet: " .. err.message)
  self:say("Warning", "ScriptsWaiting", err.message)
end

local function announce(self, seen, generation, before)
  BROKEN:set(0)
  show(generation)
  for _, ignored in ipairs(generation.ignored) do
    self:say("Warning", "ScriptIgnored", ignored.name .. ": " .. ignored.reason)
  end
  local again = self.rejected
  self.rejected = false
  if generation.hash == before and not again then
    return
  end
  RELOADS:add(1, { result = "accepted" })
  local names = table.concat(generation.names, ", ")
  log.info("site scripts in force", { generation = generation.hash, scripts = names,
    seconds = time.monotonic() - seen.at })
  self:say("Normal", "ScriptsInForce",
    ("generation %s: %s"):format(generation.hash, names ~= "" and names or "none"))
  self.changed()
  try_sample(self, generation)
end

-- Puts what was seen last into force. Throws what is not the scripts' fault.
local function take(self, seen)
  local before = self.scripts.current.hash
  local generation, err
  self.object = seen.object or self.object
  self.waiting = nil
  if seen.problem then
    err = errors.new("invalid", seen.problem)
  else
    generation, err = self.scripts:use(seen.texts)
  end
  if generation then
    announce(self, seen, generation, before)
  elseif err.kind == "invalid" then
    reject(self, err)
  elseif err.kind == "busy" then
    wait_for_room(self, seen, err)
  else
    error(err)
  end
  self.loaded = true
end

local function gone()
  return { texts = {}, at = time.monotonic() }
end

--- watch:room()
-- Less code is in use than before. Does not wait.
function methods:room()
  self.came:notify()
end

--- watch:load()                                                         [waits]
-- Takes what there is now; before anything is planned. Throws when that is not known.
function methods:load()
  local object, err = self.client:get("ConfigMap", self.namespace, M.name)
  if object then
    take(self, project(object))
  elseif err.kind == "denied" then
    log.warn(("site scripts are not looked for: %s"):format(err.message))
  elseif err.kind == "notfound" then
    log.info(("no ConfigMap %s in namespace %s: the built-in decisions stand"):format(
      M.name, self.namespace))
  else
    error(errors.wrap(err, "reading the site's scripts"))
  end
  self.loaded = true
end

--- watch:run()                                                          [waits]
-- Follows the ConfigMap until its task is cancelled.
function methods:run()
  local seen
  local watched = informer.new({
    client = self.client, kind = "ConfigMap", namespace = self.namespace, name = M.name,
    project = project,
    changed = function(_, value)
      seen = value or gone()
      self.came:notify()
    end,
  })
  local running = task.spawn("informer of the scripts", watched.run, watched)
  local guard <close> = setmetatable({}, { __close = function()
    running:cancel(0)
  end })
  assert(guard)
  while true do
    if not seen then
      self.came:wait(self.waiting and AGAIN or nil)
    end
    local now = seen or self.waiting
    seen = nil
    local ok, err = pcall(function()
      return now and take(self, now)
    end)
    if not ok then
      log.error("the site's scripts: " .. errors.of(err).message)
      seen = seen or now
      task.sleep(AGAIN)
    end
  end
end

--- script_watch.new(opts) -> watch
--
--   opts.client     kube.client
--   opts.namespace  string       ours
--   opts.scripts    scripts      whose generation it sets
--   opts.events     kube.events
--   opts.changed    function ()  another generation is in force; must not wait
function M.new(opts)
  return setmetatable({
    client = opts.client,
    namespace = opts.namespace,
    scripts = opts.scripts,
    events = opts.events,
    changed = opts.changed,
    loaded = false,
    came = task.signal(),
  }, mt)
end

return M
