--- cli.controller: the controller of a cluster; what runs without a subcommand.

local command = require "cli.command"
local config = require "kube.config"
local endpoints = require "cli.endpoints"
local env = require "host.env"
local errors = require "host.error"
local file = require "host.file"
local images = require "host.images"
local monitor = require "controller.monitor"
local outage = require "flows.import.outage"
local process = require "host.process"
local references = require "controller.references"
local replica = require "controller.replica"
local scripts = require "site.scripts"
local site_of = require "cli.site"
local time = require "host.time"

local M = {}

M.usage = [[
usage: vm-import-controller [OPTION ...]

Runs the controller, in a pod or against the cluster of KUBECONFIG.

      --listen HOST:PORT          images are served here                (default :8080)
      --metrics-listen HOST:PORT  health and metrics                    (default :8081)
      --debug-tasks               and /debug/tasks there: what every task is doing
      --scratch DIR               (default /tmp/vm-import-controller)
      --scratch-limit SIZE        of the volume there, 200Gi say: disks that find no room
                                  below it wait, or are passed on    (default: no limit)
      --no-scratch                no disk waits here: what cannot be passed on while it is
                                  read is refused in preflight
      --strict-tls                refuse a source's certificate that nothing vouches for,
                                  instead of pinning the first one met
      --deny-endpoints LIST       where no source, redirect or catalogue may lead:
                                  addresses, ranges (10.52.0.0/16), loopback, link-local,
                                  and cluster: the API server and the Services; or none
                                                   (default loopback,link-local,cluster)
      --cross-namespace MODE      whether a source's Secret, or an import's source, may be
                                  in another namespace: admitted (while deploy/policy.yaml
                                  stands, which asks for the rights of whoever writes it),
                                  allow, deny                          (default admitted)
      --scripts DIR               the site's scripts, instead of those in the ConfigMap
                                  vm-import-scripts of our namespace
      --allowed-namespaces LIST   where scripts may have machines made besides the
                                  import's namespace: a,b
      --allow-code                take scripts, too, that are code of ours: flows.*,
                                  policy.*, providers.*; whoever may write the ConfigMap
                                  then has all of our rights
      --max-imports N             that move disks at once                    (default 8)
      --max-per-source N          of them from one source                    (default 4)
      --idle-timeout SECONDS      a source may send nothing                 (default 60)
      --least-rate BYTES          a disk must bring in a second, on average over 15
                                  minutes; 0: as slow as it likes          (default 1024)
      --give-up-after DURATION    a source, or the cluster, that cannot be reached is
                                  waited for; spec.giveUpAfter goes first  (default 24h)
      --verify-images=false       do not compare the SHA-512 of what was sent with that of
                                  the image that Longhorn made of it
      --verify MODE               what becomes of a disk of which the source says no
                                  checksum: report, or require one        (default report)
      --require-confinement[=WHAT]  start qemu-img and site scripts only where the kernel
                                  confines them: all (seccomp and Landlock), or seccomp;
                                  without it a warning is all               (default: no)

Environment: KUBECONFIG; SVC_ADDRESS, the host (or host:port) under which the cluster
reaches the images; POD_IP, under which other replicas send downloads to this one while
it leads; DEBUG=true.
]]

local OPTIONS = {
  listen = { value = "HOST:PORT" },
  ["metrics-listen"] = { value = "HOST:PORT" },
  ["debug-tasks"] = {},
  scratch = { value = "DIR" },
  ["scratch-limit"] = { value = "SIZE" },
  ["no-scratch"] = {},
  ["strict-tls"] = {},
  ["deny-endpoints"] = endpoints.option,
  ["cross-namespace"] = { value = "MODE" },
  scripts = { value = "DIR" },
  ["allow-code"] = {},
  ["allowed-namespaces"] = { value = "LIST" },
  ["max-imports"] = { value = "N" },
  ["max-per-source"] = { value = "N" },
  ["idle-timeout"] = { value = "SECONDS", number = true },
  ["least-rate"] = { value = "BYTES" },
  ["give-up-after"] = { value = "DURATION" },
  ["verify-images"] = { value = "BOOL" },
  verify = { value = "MODE" },
  ["require-confinement"] = { value = "WHAT", alone = "all" },
  help = { short = "h" },
}

local SERVICE = "harvester-vm-import-controller"

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

-- As flags of the earlier controller are written: --verify-images=false.
local function boolean(values, name, default)
  local value = values[name] or tostring(default)
  if value ~= "true" and value ~= "false" then
    error(errors.new("invalid", ("--%s %s: must be true or false"):format(name, value)))
  end
  return value == "true"
end

-- Seconds, or nil: it was not given.
local function duration(values, name)
  local text = values[name]
  local seconds = text and outage.seconds(text)
  if text and not seconds then
    error(errors.new("invalid", ("--%s %s: must be a duration such as 90m or 24h"):format(
      name, text)))
  end
  return seconds
end

-- What reads hostile files is started only where the kernel has what this says.
local function require_confinement(values)
  if values["require-confinement"] then
    local what = command.one_of(values, "require-confinement", { "all", "seccomp" })
    process.require_confinement({ seccomp = true, landlock = what == "all" })
  end
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

local function observe(values, scratch)
  local host, port = parse_listen(values["metrics-listen"] or ":8081")
  return monitor.serve({ host = host, port = port, debug_tasks = values["debug-tasks"],
    scratch = scratch, clock = time.monotonic })
end

-- Where other replicas send those who download from us, or nil.
local function own_url(port)
  local address = env.get("POD_IP")
  if not address or address == "" then
    return nil
  end
  return ("http://%s:%d"):format(address:find(":", 1, true) and "[" .. address .. "]"
    or address, port)
end

local function run_controller(values)
  local host, port = parse_listen(values.listen or ":8080")
  require_confinement(values)
  local cluster = assert(config.load())
  endpoints.deny(values["deny-endpoints"],
    { url = cluster.url, service = env.get("KUBERNETES_SERVICE_HOST") })
  local scratch = values.scratch or "/tmp/vm-import-controller"
  if not values["no-scratch"] then
    -- Where anybody may make a folder of that name before us.
    assert(file.mkdir(scratch, { parents = true, private = not values.scratch }))
  end
  local server <close> = assert(images.serve({ host = host, port = port,
    sha512 = boolean(values, "verify-images", true) }))
  local site <close> = scripts.new({ allow_code = values["allow-code"] })
  site_of.use(site, values.scripts, "controller")
  replica.run({
    cluster = cluster,
    server = server,
    base_url = base_url(cluster.namespace, server:port()),
    own_url = own_url(server:port()),
    observer = observe(values, scratch),
    scripts = site,
    watch_scripts = not values.scripts,
    options = {
      scratch = scratch,
      no_scratch = values["no-scratch"],
      scratch_limit = command.size(values, "scratch-limit"),
      strict_tls = values["strict-tls"] or false,
      cross_namespace = command.one_of(values, "cross-namespace", references.modes),
      max_imports = count(values, "max-imports", 8),
      max_per_source = count(values, "max-per-source", 4),
      site = command.site(values),
      idle_timeout = values["idle-timeout"] or 60,
      least_rate = command.least_rate(values),
      verify = command.one_of(values, "verify", { "report", "require" }),
      give_up_after = duration(values, "give-up-after"),
    },
  })
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
