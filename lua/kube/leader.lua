--- kube.leader: one replica at a time, by a Lease; and the fence.
--
-- A Lease alone does not fence: a process that was stopped wakes up believing it leads.
-- So `may_write` looks at the clock that also runs while we do not (CLOCK_BOOTTIME), at
-- the very moment of each call: past the renew deadline nothing is changed any more.
-- The deadline is over before anybody takes over (a duration after they saw a renewal),
-- and duration and look together are less than 15 s.

local errors = require "host.error"
local log = require "host.log"
local task = require "host.task"
local time = require "host.time"

local methods = {}
local mt = { __name = "kube.leader", __index = methods }

local M = {}

local KIND = "Lease"
local LAST_CHANCE = 0.5 -- seconds to renew for who has been asleep past the deadline

local TIMING = {
  duration = 13, -- seconds that others wait before they take over
  deadline = 10, -- seconds after a renewal in which we may act
  renew = 2,     -- seconds between two renewals
  look = 1,      -- seconds between two looks at another's lease
}

local function now_micro()
  return time.rfc3339_micro(time.now())
end

-- A lease counts as alive as long as we see it change: clocks of others do not matter.
local function is_alive(self, lease)
  local spec = lease.spec or {}
  local mark = ("%s/%s/%s"):format(spec.holderIdentity or "", spec.renewTime or "",
    lease.metadata.uid)
  local now = self.boottime()
  if mark ~= self.seen then
    self.seen = mark
    self.ends_at = now + (spec.leaseDurationSeconds or self.timing.duration)
  end
  return (spec.holderIdentity or "") ~= "" and now < self.ends_at
end

-- Seconds; sooner when the lease ends before.
local function until_look(self)
  local look = self.timing.look
  local left = self.ends_at and self.ends_at - self.boottime() or look
  return left > 0 and math.min(left, look) or look
end

local function remember(self, lease, asked_at)
  self.version = lease.metadata.resourceVersion
  self.renewed_at = asked_at
  return true
end

local function our_spec(self, transitions)
  local now = now_micro()
  return {
    holderIdentity = self.identity,
    leaseDurationSeconds = self.timing.duration,
    acquireTime = now,
    renewTime = now,
    leaseTransitions = transitions,
  }
end

local function create(self, asked_at)
  local lease, err = self.client:create(KIND, {
    apiVersion = "coordination.k8s.io/v1",
    kind = KIND,
    metadata = { namespace = self.namespace, name = self.name,
      annotations = self.annotations },
    spec = our_spec(self, 0),
  })
  return lease and remember(self, lease, asked_at), err
end

local function take_over(self, lease, asked_at)
  local transitions = lease.spec and lease.spec.leaseTransitions or 0
  local taken, err = self.client:patch(KIND, self.namespace, self.name, {
    metadata = { resourceVersion = lease.metadata.resourceVersion,
      annotations = self.annotations },
    spec = our_spec(self, transitions + 1),
  })
  return taken and remember(self, taken, asked_at), err
end

-- True; nil, nil, lease: another holds it; nil, err.
local function acquire(self)
  local asked_at = self.boottime()
  local lease, err = self.client:get(KIND, self.namespace, self.name)
  if not lease then
    if err.kind == "notfound" then
      return create(self, asked_at)
    end
    return nil, err
  elseif is_alive(self, lease) and lease.spec.holderIdentity ~= self.identity then
    return nil, nil, lease
  end
  return take_over(self, lease, asked_at)
end

local function not_leading(message)
  return errors.new("conflict", message, { reason = "NotLeader" })
end

-- Changes the lease if it is ours. nil, err with reason NotLeader: it is not any more.
local function patch_ours(self, spec)
  local function patch()
    local asked_at = self.boottime()
    local lease, err = self.client:patch(KIND, self.namespace, self.name, {
      metadata = { resourceVersion = self.version },
      spec = spec,
    })
    return lease and remember(self, lease, asked_at), err
  end
  local ok, err = patch()
  if ok or err.kind ~= "conflict" and err.kind ~= "notfound" then
    return ok, err
  end
  -- Another has taken it; or somebody put a label on it, or our own renewal has arrived
  -- though its answer did not.
  local lease, problem = self.client:get(KIND, self.namespace, self.name)
  local holder = lease and lease.spec and lease.spec.holderIdentity
  if holder == self.identity then
    self.version = lease.metadata.resourceVersion
    return patch()
  elseif not lease and problem.kind ~= "notfound" then
    return nil, problem
  end
  self.renewed_at = nil
  return nil, not_leading(not lease and "the lease was deleted"
    or "the lease is held by " .. (holder ~= "" and holder or "nobody"))
end

local function renew(self)
  return patch_ours(self, { renewTime = now_micro() })
end

-- Renews until that has failed for too long, or somebody else holds the lease: why. Nil:
-- there is nothing left to lead.
local function keep(self, work)
  local last, deadline = "no answer", self.timing.deadline
  while true do
    task.sleep(self.timing.renew)
    if work:done() then
      return nil
    end
    local renewing <close> = task.spawn("renews the Lease", renew, self)
    local left = self.renewed_at + deadline - self.boottime()
    local ended, ok, err = renewing:join(math.max(left, LAST_CHANCE))
    local renewed = ended and ok -- one that has not ended is none, as one that has failed
    if ended and not ok and err.reason == "NotLeader" then
      return err.message
    end
    last = ended and not ok and err.message or last
    if not renewed and not self:may_write() then
      return ("the lease was not renewed for %g s: %s"):format(deadline, last)
    end
  end
end

-- Lets the next one take over at once.
local function release(self)
  if not self:may_write() then
    return
  end
  local ok, err = patch_ours(self, {
    holderIdentity = "",
    leaseDurationSeconds = 1,
    renewTime = now_micro(),
  })
  self.renewed_at = nil
  if ok then
    log.info("the lease was given back", { lease = self.name })
  else
    log.warn("giving the lease back: " .. err.message)
  end
end

-- The work that was led says its goodbyes under the lease; then the lease is given back.
local function resign(self, work)
  while not work:cancel(self.timing.renew) and self:may_write() do
    renew(self)
  end
  release(self)
end

--- leader:may_write() -> time | nil, err
-- The fence. Does not wait.
--
--   time  seconds of time.boottime() until which we may
--   err   conflict with reason NotLeader
function methods:may_write()
  local ends_at = self.renewed_at and self.renewed_at + self.timing.deadline
  if ends_at and self.boottime() < ends_at then
    return ends_at
  end
  return nil, not_leading("this replica does not lead (any more)")
end

-- Leads until the lease is lost.
local function lead_once(self, lead)
  local work = task.spawn("leads", lead)
  local resigning <close> = setmetatable({}, { __close = function()
    task.goodbye("gives the Lease back", resign, self, work)
  end })
  assert(resigning)
  local why = keep(self, work)
  if not why then
    local ok, err = work:join()
    log.error("what was led has ended" .. (ok and "" or ": " .. errors.of(err).message))
    return
  end
  self.renewed_at = nil
  log.warn("not leading any more: " .. why)
  work:cancel()
end

--- leader:run(lead)                                                     [waits]
-- Whenever this replica leads, lead() runs as a task; it is cancelled, and its goodbyes
-- waited for, when the lease is lost. Cancelling waits for them too, then gives the lease
-- back: who cancels must leave opts.client open.
function methods:run(lead)
  local said
  while true do
    local ok, err, other = acquire(self)
    if ok then
      log.info("leading", { lease = self.name, identity = self.identity })
      lead_once(self, lead)
      said = nil
    elseif not err then
      self.on_other(other.metadata.annotations or {})
    elseif err.kind ~= "conflict" and said ~= err.message then
      said = err.message
      log.warn("acquiring the lease: " .. err.message)
    end
    task.sleep(until_look(self))
  end
end

--- leader.new(opts) -> leader
--
--   opts.client               kube.client without a fence, and with a deadline of 5 s
--   opts.namespace, opts.name of the Lease
--   opts.identity             string, of this replica
--   opts.annotations          table, on the Lease while we hold it
--   opts.on_other             function (annotations), optional: another holds the Lease,
--                             on which it has put these; called at each look
--   opts.boottime             function () -> seconds (default time.boottime)
--   opts.timing               {duration, deadline, renew, look}, seconds, for specs
function M.new(opts)
  return setmetatable({
    client = opts.client,
    namespace = opts.namespace,
    name = opts.name,
    identity = opts.identity,
    annotations = opts.annotations,
    on_other = opts.on_other or function() end,
    boottime = opts.boottime or time.boottime,
    timing = opts.timing or TIMING,
  }, mt)
end

return M
