--- policy.site.machine_rules: what a site's script may put into a VirtualMachine. Pure.
--
-- The machine itself: its hardware, where it runs, its own disks, texts for its guest.
-- Not what reaches beyond it: Secrets, files and devices of the node, other claims, other
-- containers in its pod. Named is what is allowed; a field that KubeVirt adds is not.
--
-- Source: KubeVirt API v1; which of its annotations change the pod.

local M = {}

local ANY = true

-- Texts alone; secretRef and networkDataSecretRef read Secrets.
local CLOUD_INIT = { userData = ANY, userDataBase64 = ANY, networkData = ANY,
  networkDataBase64 = ANY }

local DEVICES = {
  disks = { { name = ANY, bootOrder = ANY, serial = ANY, cache = ANY, io = ANY,
    tag = ANY, blockSize = ANY, dedicatedIOThread = ANY, errorPolicy = ANY,
    disk = ANY, cdrom = ANY } },
  interfaces = { { name = ANY, bootOrder = ANY, macAddress = ANY, model = ANY,
    ports = ANY, pciAddress = ANY, tag = ANY, state = ANY, acpiIndex = ANY,
    dhcpOptions = ANY, bridge = ANY, masquerade = ANY } },
  inputs = ANY, tpm = ANY, rng = ANY, watchdog = ANY, sound = ANY, video = ANY,
  autoattachPodInterface = ANY, autoattachGraphicsDevice = ANY,
  autoattachSerialConsole = ANY, autoattachMemBalloon = ANY, autoattachInputDevice = ANY,
  blockMultiQueue = ANY, networkInterfaceMultiqueue = ANY, useVirtioTransitional = ANY,
  disableHotplug = ANY, panicDevices = ANY,
}

local AMOUNTS = { cpu = ANY, memory = ANY }

local DOMAIN = {
  chassis = ANY, clock = ANY, cpu = ANY, devices = DEVICES, features = ANY,
  firmware = { bootloader = ANY, uuid = ANY, serial = ANY },
  ioThreads = ANY, ioThreadsPolicy = ANY, machine = { type = ANY }, memory = ANY,
  resources = { requests = AMOUNTS, limits = AMOUNTS, overcommitGuestOverhead = ANY },
}

local MACHINE = {
  apiVersion = ANY,
  kind = ANY,
  metadata = { name = ANY, namespace = ANY, labels = ANY, annotations = ANY },
  spec = { runStrategy = ANY, running = ANY, template = {
    metadata = { labels = ANY, annotations = ANY },
    spec = {
      affinity = ANY, architecture = ANY, dnsConfig = ANY, dnsPolicy = ANY,
      domain = DOMAIN, evictionStrategy = ANY, hostname = ANY,
      networks = { { name = ANY, pod = ANY, multus = ANY } },
      nodeSelector = ANY, startStrategy = ANY, subdomain = ANY,
      terminationGracePeriodSeconds = ANY, tolerations = ANY,
      topologySpreadConstraints = ANY,
      volumes = { { name = ANY, persistentVolumeClaim = { claimName = ANY },
        cloudInitNoCloud = CLOUD_INIT, cloudInitConfigDrive = CLOUD_INIT,
        emptyDisk = ANY } },
    },
  } },
}

-- Annotations of these are commands to KubeVirt, Harvester, CDI or the cluster; others
-- are the site's own.
local COMMANDS = { "k8s%.io", "kubernetes%.io", "kubevirt%.io", "harvesterhci%.io",
  "cattle%.io", "cncf%.io", "longhorn%.io", "istio%.io", "openshift%.io" }

-- For people alone.
local TEXTS = { ["field.cattle.io/description"] = true }

-- The first field that no rule names, as a path; nil: all are.
local function stray(value, rule, path)
  if rule == ANY or type(value) ~= "table" then
    return nil
  end
  for key, item in pairs(value) do
    local inner = rule[1] or rule[key]
    local at = rule[1] and ("%s[%s]"):format(path, key) or path .. "." .. tostring(key)
    local found = inner == nil and at or stray(item, inner, at)
    if found then
      return found
    end
  end
end

local function is_command(key)
  local domain = type(key) == "string" and key:match("^([^/]+)/") or ""
  for _, known in ipairs(COMMANDS) do
    if ("." .. domain):find("%." .. known .. "$") then
      return not TEXTS[key]
    end
  end
  return false
end

--- machine_rules.annotation(given, builtin) -> key | nil
-- The first annotation that says something to the cluster which is not built in.
--
--   given, builtin  {[key] = value}
function M.annotation(given, builtin)
  for key, value in pairs(given or {}) do
    if is_command(key) and value ~= builtin[key] then
      return key
    end
  end
end

-- What a pod inherits is all built in.
local function of_pod(given, builtin)
  for key, value in pairs(given or {}) do
    if value ~= builtin[key] then
      return key
    end
  end
end

-- A claim that is not one of the machine's own disks.
local function strange_claim(volumes, plan)
  local own = {}
  for _, disk in ipairs(plan.disks) do
    own[disk.name] = true
  end
  for _, volume in pairs(volumes or {}) do
    local claim = volume.persistentVolumeClaim
    if claim and not own[claim.claimName] then
      return tostring(claim.claimName)
    end
  end
end

--- machine_rules.problem(value, builtin, plan) -> message | nil
-- What a VirtualMachine has that only code of the controller may put there.
--
--   value    table  the VirtualMachine, with spec.template.spec.volumes
--   builtin  table  the one that the plan makes without a script
--   plan     as policy.plan has it
function M.problem(value, builtin, plan)
  local field = stray(value, MACHINE, "virtual_machine")
  if field then
    return field .. " is more than a script may set"
  end
  local template = value.spec.template
  local key = M.annotation(value.metadata.annotations, builtin.metadata.annotations)
    or of_pod((template.metadata or {}).annotations,
      builtin.spec.template.metadata.annotations)
  if key then
    return ("annotation %s is more than a script may set"):format(key)
  end
  local claim = strange_claim(template.spec.volumes, plan)
  return claim and ("claim %s is none of the machine's disks"):format(claim) or nil
end

return M
