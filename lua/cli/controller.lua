--- cli.controller: the controller of a cluster; what runs without a subcommand.

local client = require "kube.client"
local command = require "cli.command"
local config = require "kube.config"
local crds = require "crds"
local digest = require "host.digest"
local env = require "host.env"
local errors = require "host.error"
local events = require "kube.events"
local file = require "host.file"
local images = require "host.images"
local kinds = require "kinds"
local leader = require "kube.leader"
local log = require "host.log"
local manager = require "manager"
local observed = require "observed"
local scripts = require "scripts"
local site_of = require "cli.site"
local task = require "host.task"
local time = require "host.time"

local M = {}

M.usage = [[
usage: vm-import-controller [OPTION ...]

Runs the controller, in a pod or against the cluster of KUBECONFIG.

      --listen HOST:PORT          images are served here                (default :8080)
      --metrics-listen HOST:PORT  health and metrics                    (default :8081)
      --scratch DIR               (default /tmp/vm-import-controller)
      --strict-tls                refuse a source's certificate that nothing vouches for,
                                  instead of pinning the first one met
      --scripts DIR               the site's scripts, instead of those in the ConfigMap
                                  vm-import-scripts of our namespace
      --max-imports N             that move disks at once                    (default 8)
      --max-per-source N          of them from one source                    (default 4)

Environment: KUBECONFIG; SVC_ADDRESS, the host (or host:port) under which the cluster
reaches the images; DEBUG=true.
]]

local OPTIONS = {
  listen = { value = "HOST:PORT" },
  ["metrics-listen"] = { value = "HOST:PORT" },
  scratch = { value = "DIR" },
  ["strict-tls"] = {},
  scripts = { value = "DIR" },
  ["max-imports"] = { value = "N" },
  ["max-per-source"] = { value = "N" },
  help = { short = "h" },
}

local SERVICE = "harvester-vm-import-controller"
local LEASE = "vm-import-controller"
local CONTROLLER = "migration.harvesterhci.io/vm-import-controller"

-- host or nil, port of "HOST:PORT", ":PORT" or "[V6]:PORT".
local function parse_listen(text)
  local host, port = text:match("^%[?([^%]]-)%]?:(%d+)$")
  port = math.tointeger(tonumber(port))
  if not port or port > 65535 then
    error(errors.new("invalid", ("%s is not HOST:PORT"):format(text)))
  end
  return host ~= "" and host or nil, port
end

local function count(values, name, default)
  local n = math.tointeger(tonumber(values[name] or default))
  if not n or n < 1 then
    error(errors.new("invalid",
      ("--%s %s: must be 1 or more"):format(name, values[name])))
  end
  return n
end

-- Where the cluster finds the images: the Service's name is fixed, upstream's.
local function base_url(namespace, port)
  local address = env.get("SVC_ADDRESS")
  if not address or address == "" then
    address = ("%s.%s.svc"):format(SERVICE, namespace)
  end
  if not address:find(":%d+$") then
    address = address .. ":" .. port
  end
  return "http://" .. address
end

local function connect(cluster, fence, on_request)
  return assert(client.new({
    config = cluster,
    kinds = kinds,
    fence = fence,
    on_request = on_request,
  }))
end

local function observe(values, scratch)
  local host, port = parse_listen(values["metrics-listen"] or ":8081")
  return observed.serve({ host = host, port = port, scratch = scratch,
    clock = time.monotonic })
end

-- One term as the leader.
local function lead(world)
  assert(crds.ensure(world.client))
  local running = manager.new(world)
  running:run()
end

local function run_controller(values)
  local host, port = parse_listen(values.listen or ":8080")
  local cluster = assert(config.load())
  local scratch = values.scratch or "/tmp/vm-import-controller"
  assert(file.mkdir(scratch, { parents = true }))
  local server <close> = assert(images.serve({ host = host, port = port }))
  local identity = ("%s-%s"):format(env.get("HOSTNAME") or "vm-import-controller",
    digest.random(4))

  -- Not closed here: goodbyes (the lease given back) still need them.
  local lease_client = assert(client.new({ config = cluster, kinds = kinds,
    deadline = 5 }))
  local election = leader.new({
    client = lease_client,
    namespace = cluster.namespace,
    name = LEASE,
    identity = identity,
  })
  local function fence()
    return election:may_write()
  end
  local seen = observe(values, scratch)
  seen:ready(false, "standing by: another replica leads, or none yet")
  local api = connect(cluster, fence, function(method, _, status)
    seen:request(method, status)
  end)
  local site <close> = scripts.new()
  site_of.use(site, values.scripts, "controller")
  local world = {
    client = api,
    scripts = site,
    namespace = not values.scripts and cluster.namespace or nil,
    server = server,
    base_url = base_url(cluster.namespace, server:port()),
    events = events.new({ client = api, controller = CONTROLLER, instance = identity }),
    fence = fence,
    observer = seen,
    on_synced = function()
      seen:ready(true, nil, true)
    end,
    options = {
      scratch = scratch,
      strict_tls = values["strict-tls"] or false,
      max_imports = count(values, "max-imports", 8),
      max_per_source = count(values, "max-per-source", 4),
    },
  }
  log.info("starting", { version = env.version(), api = cluster.url,
    images = world.base_url })
  election:run(function()
    local lost <close> = setmetatable({}, { __close = function()
      seen:ready(false, "standing by: the lease was lost or given back")
    end })
    assert(lost)
    while true do
      -- A task: the next term begins when all of this one has said goodbye.
      local term <close> = task.spawn(lead, world)
      local ok, err = term:join()
      if not ok then
        log.error(errors.of(err).message)
        task.sleep(5)
      end
    end
  end)
end

--- controller.run(args) -> exit code                                    [waits]
function M.run(args)
  return command.run({
    usage = M.usage,
    options = OPTIONS,
    work = run_controller,
  }, args)
end

return M
