--- kube.leader: one replica at a time, by a Lease; and the fence.
--
-- A Lease alone does not fence: a process that was stopped wakes up believing it leads.
-- So `may_write` looks at the clock that also runs while we do not (CLOCK_BOOTTIME), at
-- the very moment of each call: past the renew deadline nothing is changed any more.

local errors = require "host.error"
local log = require "host.log"
local task = require "host.task"
local time = require "host.time"

local methods = {}
local mt = { __name = "kube.leader", __index = methods }

local M = {}

local KIND = "Lease"
local DURATION = 15  -- seconds that others wait before they take over
local DEADLINE = 10  -- seconds after a renewal in which we may act
local EVERY = 2      -- seconds between two looks or renewals

local function now_micro()
  return time.rfc3339_micro(time.now())
end

-- A lease counts as alive as long as we see it change: clocks of others do not matter.
local function is_alive(self, lease)
  local spec = lease.spec or {}
  local mark = (spec.holderIdentity or "") .. "/" .. (spec.renewTime or "")
  if mark ~= self.seen then
    self.seen, self.seen_at = mark, time.boottime()
  end
  return (spec.holderIdentity or "") ~= ""
    and time.boottime() - self.seen_at < (spec.leaseDurationSeconds or DURATION)
end

local function remember(self, lease, asked_at)
  self.version = lease.metadata.resourceVersion
  self.renewed_at = asked_at
  return true
end

local function create(self, asked_at)
  local lease, err = self.client:create(KIND, {
    apiVersion = "coordination.k8s.io/v1",
    kind = KIND,
    metadata = { namespace = self.namespace, name = self.name,
      annotations = self.annotations },
    spec = {
      holderIdentity = self.identity,
      leaseDurationSeconds = DURATION,
      acquireTime = now_micro(),
      renewTime = now_micro(),
      leaseTransitions = 0,
    },
  })
  return lease and remember(self, lease, asked_at), err
end

local function take_over(self, lease, asked_at)
  local taken, err = self.client:patch(KIND, self.namespace, self.name, {
    metadata = { resourceVersion = lease.metadata.resourceVersion,
      annotations = self.annotations },
    spec = {
      holderIdentity = self.identity,
      leaseDurationSeconds = DURATION,
      acquireTime = now_micro(),
      renewTime = now_micro(),
      leaseTransitions = (lease.spec and lease.spec.leaseTransitions or 0) + 1,
    },
  })
  return taken and remember(self, taken, asked_at), err
end

local function acquire(self)
  local asked_at = time.boottime()
  local lease, err = self.client:get(KIND, self.namespace, self.name)
  if not lease then
    if err.kind == "notfound" then
      return create(self, asked_at)
    end
    return nil, err
  elseif is_alive(self, lease) then
    return nil
  end
  return take_over(self, lease, asked_at)
end

local function renew(self)
  local asked_at = time.boottime()
  local lease, err = self.client:patch(KIND, self.namespace, self.name, {
    metadata = { resourceVersion = self.version },
    spec = { renewTime = now_micro() },
  })
  return lease and remember(self, lease, asked_at), err
end

-- Renews until that has failed for too long, or somebody else holds the lease.
local function keep(self)
  while true do
    task.sleep(EVERY)
    local ok, err = renew(self)
    if not ok and (err.kind == "conflict" or not self:may_write()) then
      return err
    end
  end
end

-- Lets the next one take over at once.
local function release(self)
  self.renewed_at = nil
  self.client:patch(KIND, self.namespace, self.name, {
    metadata = { resourceVersion = self.version },
    spec = { holderIdentity = "", leaseDurationSeconds = 1 },
  })
end

--- leader:may_write() -> true | nil, err
-- The fence. Does not wait.
function methods:may_write()
  if self.renewed_at and time.boottime() - self.renewed_at < DEADLINE then
    return true
  end
  return nil, errors.new("conflict", "this replica does not lead (any more)",
    { reason = "NotLeader" })
end

--- leader:run(lead)                                                     [waits]
-- Whenever this replica leads, lead() runs as a task; it is cancelled, and its goodbyes
-- waited for, when the lease is lost. Cancelling gives the lease back.
function methods:run(lead)
  local said
  while true do
    local ok, err = acquire(self)
    if ok then
      log.info("leading", { lease = self.name, identity = self.identity })
      self:lead_once(lead)
      said = nil
    elseif err and err.kind ~= "conflict" and said ~= err.message then
      said = err.message
      log.warn("acquiring the lease: " .. err.message)
    end
    task.sleep(EVERY)
  end
end

-- Leads until the lease is lost.
function methods:lead_once(lead)
  local given <close> = setmetatable({}, { __close = function()
    if self:may_write() then
      task.goodbye(release, self)
    end
    self.renewed_at = nil
  end })
  assert(given)
  local work <close> = task.spawn(lead)
  local err = keep(self)
  self.renewed_at = nil
  log.warn("not leading any more: " .. err.message)
  work:cancel()
end

--- leader.new(opts) -> leader
--
--   opts.client               kube.client without a fence, and with a short deadline
--   opts.namespace, opts.name of the Lease
--   opts.identity             string, of this replica
--   opts.annotations          table, on the Lease while we hold it
function M.new(opts)
  return setmetatable({
    client = opts.client,
    namespace = opts.namespace,
    name = opts.name,
    identity = opts.identity,
    annotations = opts.annotations,
  }, mt)
end

return M
