--- controller.environment: what flows get in a cluster (flows.environment).

local definitions = require "controller.definitions"
local host_log = require "host.log"
local names = require "controller.names"
local object_id = require "base.object_id"
local permits = require "controller.permits"
local projections = require "controller.projections"
local task = require "host.task"
local time = require "host.time"

local methods = {}
local mt = { __name = "environment", __index = methods }

local M = {}

local PLANNED_AT_ONCE = 8 -- of one source

local function reserve_name(self, import, plan, take)
  local meta = import.metadata
  local name = object_id.of(plan.namespace, plan.name)
  if not take then
    return self.names:is_free(meta.uid, name)
  end
  return self.names:take(meta.uid, object_id.of(meta.namespace, meta.name), name)
end

local function take_place(self, import)
  return self.places:take(import.metadata.uid, projections.source_of(import),
    { kind = "VirtualMachineImport", namespace = import.metadata.namespace,
      name = import.metadata.name })
end

-- Puts our CustomResourceDefinitions right again, if we may; one at a time.
local function repair_definitions(self)
  if self.repairing then
    return
  end
  self.repairing = true
  task.spawn("repairs the definitions", function()
    local ok, err = definitions.ensure(self.client)
    self.repairing = false
    if not ok then
      host_log.warn("putting the CustomResourceDefinitions right: " .. err.message)
    end
  end)
end

-- What every flow gets (flows.environment), besides what is of one generation.
local function of_all(self, opts)
  return {
    store = opts.client,
    target = opts.target,
    now = time.now,
    options = opts.options,
    observer = opts.observer,
    journal = opts.journal,
    take_place = function(import)
      return take_place(self, import)
    end,
    leave_place = function(import)
      if self.places:leave(import.metadata.uid) then
        opts.wake(self.places:next())
      end
    end,
    slow_place = function(import, slow)
      if self.places:pace(import.metadata.uid, slow) then
        opts.wake(self.places:next())
      end
    end,
    reserve_name = function(import, plan, take)
      return reserve_name(self, import, plan, take)
    end,
    plan_permit = function(import, timeout)
      return self.planning:permit(projections.source_of(import), timeout)
    end,
    is_final = function(err)
      return err.kind == "unsupported"
    end,
    event = function(object, type, reason, note)
      opts.events:emit(object, type, reason, note)
    end,
    repair_definitions = function()
      repair_definitions(self)
    end,
  }
end

--- environment:of(generation) -> env, of a step that begins with this generation
--
--   generation  of site.scripts
function methods:of(generation)
  local code = generation.code
  return setmetatable({
    hook = generation.hook,
    script_generation = generation.hash,
    open_source = function(ref, how)
      return self.sessions:open(ref, { fresh = how and how.fresh, code = code })
    end,
    supports = function(kind)
      return code:require("providers").of(kind) ~= nil
    end,
  }, { __index = self.all })
end

--- environment.new(opts) -> environment
--
--   opts.client, .target, .sessions, .events, .options, .observer, .journal
--                       as the manager's
--   opts.wake           function (keys): of imports that a place is free for
--   environment.places  permits.places: to be told what status says of imports
--   environment.names   controller.names: the same
--   environment.all     what every flow gets, besides what is of one generation
function M.new(opts)
  local self = setmetatable({
    client = opts.client,
    sessions = opts.sessions,
    names = names.new(),
    places = permits.places(opts.options.max_imports, opts.options.max_per_source),
    planning = permits.planning(PLANNED_AT_ONCE),
  }, mt)
  self.all = of_all(self, opts)
  return self
end

return M
