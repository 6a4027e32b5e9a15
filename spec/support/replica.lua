--- replica: one of several that want to lead: run as a process of its own, so that it can
-- be killed or stopped. While it leads it writes its name into the ConfigMap "journal",
-- again and again and without looking at what stands there; only the fence holds it back.
--
--   vm-import-controller script spec/support/replica.lua NAMESPACE IDENTITY [GOODBYE]
--
--   GOODBYE  seconds that it needs for its goodbye

local client = require "kube.client"
local config = require "kube.config"
local kinds = require "base.kinds"
local leader = require "kube.leader"
local task = require "host.task"

local namespace, identity, goodbye = ...
local WRITES_EVERY = 0.02 -- seconds

local cluster = assert(config.load())
local election = leader.new({
  client = assert(client.new({ config = cluster, kinds = kinds, deadline = 5 })),
  namespace = namespace,
  name = "journal",
  identity = identity,
})
local api = assert(client.new({
  config = cluster,
  kinds = kinds,
  fence = function()
    return election:may_write()
  end,
}))

local writes = 0

local function write(what)
  writes = writes + 1
  return api:patch("ConfigMap", namespace, "journal", {
    data = { last = what, count = tostring(writes) },
  })
end

-- Also in tasks of its own that nobody cancels: whatever is left running is fenced.
task.spawn(function()
  while true do
    task.sleep(WRITES_EVERY)
    if election.renewed_at then
      write(identity)
    end
  end
end)

election:run(function()
  local guard <close> = setmetatable({}, { __close = function()
    task.goodbye(function()
      for _ = 1, (tonumber(goodbye) or 0) * 10 do
        task.sleep(0.1)
        assert(write(identity .. " says goodbye"))
      end
    end)
  end })
  assert(guard)
  while true do
    write(identity)
    task.sleep(WRITES_EVERY)
  end
end)
