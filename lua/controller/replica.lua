--- controller.replica: one of several of this controller. It leads, or stands by and
-- sends those who download images to the one that does.

local client = require "kube.client"
local definitions = require "controller.definitions"
local digest = require "host.digest"
local env = require "host.env"
local errors = require "host.error"
local events = require "kube.events"
local http = require "host.http"
local kinds = require "base.kinds"
local leader = require "kube.leader"
local log = require "host.log"
local meter = require "kube.meter"
local manager = require "controller.manager"
local task = require "host.task"

local M = {}

--- replica.lease: name of the Lease, in our namespace.
M.lease = "vm-import-controller"

--- replica.images_at: annotation of the Lease: the URL where its holder has the images.
M.images_at = "migration.harvesterhci.io/images"

local CONTROLLER = "migration.harvesterhci.io/vm-import-controller"
local AGAIN = 5 -- seconds between two terms that ended by themselves

-- Only what a replica would have written is followed.
local function address(annotations)
  local url = annotations[M.images_at] or ""
  if url:find("^http://[%w.%-]+:%d+$") or url:find("^http://%[[%x:.]+%]:%d+$") then
    return url
  end
end

-- Another leads: downloads go there.
local function follow(self, annotations)
  local url = address(annotations)
  if self.following and self.leader_url == url then
    return
  end
  self.following, self.leader_url = true, url
  self.server:stand_by(url)
  self.observer:ready(url ~= nil,
    "standing by: another replica leads, and does not say where it is")
end

-- One term as the leader.
local function lead(self)
  assert(definitions.ensure(self.world.client))
  local running = manager.new(self.world)
  running:run()
end

-- Terms, until the lease is lost.
local function lead_on(self)
  self.following = false
  self.server:lead()
  self.observer:ready(false, "the imports are being read")
  local lost <close> = setmetatable({}, { __close = function()
    pcall(self.server.stand_by, self.server) -- closed already when the process ends
    self.observer:ready(false, "standing by: the lease was lost or given back")
  end })
  assert(lost)
  while true do
    -- A task: the next term begins when all of this one has said goodbye.
    local term <close> = task.spawn("term of the leader", lead, self)
    local ok, err = term:join()
    if not ok then
      log.error(errors.of(err).message)
      task.sleep(AGAIN)
    end
  end
end

-- The environment of the manager.
local function world_of(self, opts, api, election, identity)
  return {
    client = api,
    scripts = opts.scripts,
    namespace = opts.watch_scripts and opts.cluster.namespace or nil,
    server = self.server,
    base_url = opts.base_url,
    events = events.new({ client = api, controller = CONTROLLER, instance = identity }),
    fence = function()
      return election:may_write()
    end,
    observer = self.observer,
    on_synced = function()
      self.observer:ready(true, nil, true)
    end,
    options = opts.options,
  }
end

--- replica.run(opts)                                                    [waits]
-- Until its task is cancelled.
--
--   opts.cluster        kube.config
--   opts.server         host.images server
--   opts.base_url       string  where the cluster reaches the images
--   opts.own_url        string  where other replicas send downloads; nil: nowhere
--   opts.observer       controller.monitor
--   opts.scripts        scripts
--   opts.watch_scripts  boolean  they are those of the ConfigMap in our namespace
--   opts.options        as manager.new has them
function M.run(opts)
  local self = { server = opts.server, observer = opts.observer }
  local identity = ("%s-%s"):format(env.get("HOSTNAME") or "vm-import-controller",
    digest.random(4))
  local election = leader.new({
    -- Not closed here: goodbyes (the lease given back) still need it.
    client = assert(client.new({ config = opts.cluster, kinds = kinds, deadline = 5 })),
    namespace = opts.cluster.namespace,
    name = M.lease,
    identity = identity,
    annotations = { [M.images_at] = opts.own_url or "" },
    on_other = function(annotations)
      follow(self, annotations)
    end,
  })
  self.observer:ready(false, "standing by: no replica leads yet")
  local counted = meter.new()
  self.observer:follow_meter(counted)
  local api = assert(client.new({
    config = opts.cluster,
    kinds = kinds,
    meter = counted,
    fence = function()
      return election:may_write()
    end,
    on_request = function(method, _, status)
      self.observer:request(method, status)
    end,
  }))
  self.world = world_of(self, opts, api, election, identity)
  log.info("starting", { version = env.version(), api = http.shown(opts.cluster.url),
    namespace = opts.cluster.namespace,
    images = opts.base_url })
  election:run(function()
    lead_on(self)
  end)
end

return M
