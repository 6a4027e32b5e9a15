--- targets.scratch: how much of scratch is whose, where it has a limit.
--
-- A disk on its way is promised its capacity; what lies there besides counts as it is.
-- Who finds too little left waits, or does without; who needs more than there is
-- altogether may try, alone: most disks hold less. What grows past the limit ends the
-- transfer that began last. A part stays free, for streams that do not compress.

local errors = require "host.error"
local file = require "host.file"
local object_id = require "base.object_id"
local task = require "host.task"

local LOOK_EVERY = 1 -- seconds
local MIB = 1 << 20
local NOTHING = MIB -- that leftovers may take

local methods = {}
local mt = { __name = "targets.scratch", __index = methods }

local M = {}

-- Calls f(NAMESPACE/FILE, bytes that it takes) for all that lies in scratch.
local function each_file(self, f)
  for _, namespace in ipairs(file.list(self.dir) or {}) do
    for _, name in ipairs(file.list(self.dir .. "/" .. namespace) or {}) do
      local path = namespace .. "/" .. name
      local stat = file.stat(self.dir .. "/" .. path)
      f(path, stat and stat.blocks_bytes or 0)
    end
  end
end

-- As the files of a disk begin.
local function base_of(plan, disk)
  return object_id.of(plan.namespace, disk.name) .. "."
end

local function bases_of(plan, disks)
  local bases = {}
  for _, disk in ipairs(disks) do
    bases[base_of(plan, disk)] = disk.capacity_bytes
  end
  return bases
end

local function is_of(bases, path)
  for base in pairs(bases) do
    if path:sub(1, #base) == base then
      return true
    end
  end
  return false
end

-- Bytes that are promised to, or held by, others than these disks.
local function of_others(self, own)
  local sum = 0
  for base, bytes in pairs(self.promised) do
    sum = sum + (own[base] and 0 or bytes)
  end
  each_file(self, function(path, bytes)
    if not is_of(own, path) and not is_of(self.promised, path) then
      sum = sum + bytes
    end
  end)
  return sum
end

--- scratch:free(plan) -> bytes | nil                                    [waits]
-- That are left for the disks of a plan; nil: there is no limit.
function methods:free(plan)
  if not self.most then
    return nil
  end
  return math.max(self.most - of_others(self, bases_of(plan, plan.disks)), 0)
end

local function promise_of(self, bases)
  for base, bytes in pairs(bases) do
    self.promised[base] = bytes
  end
  return setmetatable({}, { __close = function()
    for base in pairs(bases) do
      self.promised[base] = nil
    end
  end })
end

--- scratch:promise(plan, disks) -> promise, to be closed | nil, why     [waits]
-- Room for these disks of the plan until it is closed; then they count as they are.
function methods:promise(plan, disks)
  local bases = bases_of(plan, disks)
  if not self.most then
    return promise_of(self, {})
  end
  local permit <close> = assert(self.gate:acquire())
  assert(permit)
  local others, needed = of_others(self, bases_of(plan, plan.disks)), 0
  for _, disk in ipairs(plan.disks) do
    needed = needed + disk.capacity_bytes
  end
  if others > NOTHING and others + needed > self.most then
    return nil, ("scratch: others hold, or count on, %d MiB of %d (--scratch-limit), the "
      .. "disks may need %d"):format(others // MIB, self.most // MIB, needed // MIB)
  end
  return promise_of(self, bases)
end

local function is_passed(self)
  local sum = 0
  each_file(self, function(_, bytes)
    sum = sum + bytes
  end)
  return sum > self.most
end

local bounded = {}
local bounded_mt = { __name = "bounded transfer", __index = bounded }

local function watch(self)
  local scratch = self.scratch
  repeat
    task.sleep(scratch.look_every)
  until scratch.running[#scratch.running] == self and is_passed(scratch)
  self.passed = true
  self.transfer:close()
end

function bounded:wait()
  local watcher <close> = task.spawn("watches scratch", watch, self)
  assert(watcher)
  local result, err = self.transfer:wait()
  if result or not self.passed then
    return result, err
  end
  self.remove()
  return nil, errors.new("nospace", ("scratch holds all of %d MiB that it may "
    .. "(--scratch-limit)"):format(self.scratch.most // MIB))
end

function bounded:progress()
  return self.transfer:progress()
end

function bounded:close()
  local running = self.scratch.running
  for i = #running, 1, -1 do
    if running[i] == self then
      table.remove(running, i)
    end
  end
  self.transfer:close()
end

bounded_mt.__close = bounded.close

--- scratch:bound(transfer, remove) -> transfer
-- As it is where there is no limit, else one that ends with nospace at the limit.
--
--   transfer  of host.disk or disk.fetch
--   remove    function (): what it has written goes                     [waits]
function methods:bound(transfer, remove)
  if not self.most then
    return transfer
  end
  local one = setmetatable({ scratch = self, transfer = transfer, remove = remove },
    bounded_mt)
  table.insert(self.running, one)
  return one
end

--- scratch.new(dir, opts) -> scratch
--
--   opts.scratch_limit  bytes    that may lie in `dir`; nil: as many as there are
--   opts.look_every     seconds  between two looks at what grows (default 1)
function M.new(dir, opts)
  return setmetatable({
    dir = dir,
    most = opts.scratch_limit and opts.scratch_limit // 8 * 7,
    look_every = opts.look_every or LOOK_EVERY,
    gate = task.semaphore(1),
    promised = {}, -- as a disk's files begin -> bytes
    running = {},  -- the youngest last
  }, mt)
end

return M
