--- targets.room: whether the claims of a plan have room, where the cluster says so: by
-- quota, Longhorn's disks, CSIStorageCapacity.
--
-- What may not be read, or is not there, is passed over: nothing can be said of it then.
--
-- Source: Kubernetes' quota evaluator of PersistentVolumeClaims; Longhorn's replica
-- scheduler (IsSchedulableToDisk); KEP-1472.

local conditions = require "kube.conditions"
local finding = require "base.finding"
local quantity = require "base.quantity"

local M = {}

local LONGHORN, LONGHORN_SYSTEM = "driver.longhorn.io", "longhorn-system"
local OF_CLASS = ".storageclass.storage.k8s.io/"
local MIB = 1024 * 1024
local REPLICAS, OVER_PROVISIONING = 3, 100 -- Longhorn's defaults

local function mib(bytes)
  return ("%d MiB"):format(bytes // MIB)
end

-- All of a kind, or an empty list: it may not be read, or is not known here. Throws what
-- may pass.
local function all(client, kind, namespace)
  local objects, err = client:list(kind, namespace)
  if not objects and err.kind ~= "denied" and err.kind ~= "notfound" then
    error(err)
  end
  return objects or {}
end

local function claim_bytes(disk)
  return (disk.capacity_bytes + MIB - 1) // MIB * MIB
end

-- What the claims of these disks take of each resource of a quota. Under CDI an image has
-- a claim of its own, of the class, and the disk is another one; Longhorn's images have
-- classes of their own.
local function demand(disks)
  local needs = {}
  local function add(resource, amount)
    needs[resource] = (needs[resource] or 0) + amount
  end
  for _, disk in ipairs(disks) do
    local times = disk.backend == "cdi" and 2 or 1
    local bytes = claim_bytes(disk) * times
    add("requests.storage", bytes)
    add("persistentvolumeclaims", times)
    add("count/persistentvolumeclaims", times)
    if disk.backend == "cdi" then
      add(disk.class .. OF_CLASS .. "requests.storage", bytes)
      add(disk.class .. OF_CLASS .. "persistentvolumeclaims", times)
    end
  end
  return needs
end

local function amount_text(resource, amount)
  local is_bytes = resource:find("requests.storage", 1, true)
  return is_bytes and mib(amount) or ("%d"):format(amount)
end

local function quota_finding(quota, resource, needed)
  local status = quota.status or {}
  local hard = quantity.parse((status.hard or quota.spec.hard or {})[resource])
  local used = quantity.parse((status.used or {})[resource]) or 0
  if not hard or used + needed <= hard then
    return nil
  end
  local function text(amount)
    return amount_text(resource, amount)
  end
  local name = quota.metadata.namespace .. "/" .. quota.metadata.name
  return finding.new("Blocks", "QuotaExceeded", "quota " .. name,
    ("ResourceQuota %s allows %s of %s, of which %s are used; the claims of this machine "
    .. "need %s"):format(name, text(hard), resource, text(used), text(needed)),
    ("raise it by %s, or free as much"):format(text(used + needed - hard)))
end

-- One with scopes is of other objects.
local function is_of_claims(quota)
  return #(quota.spec.scopes or {}) == 0 and not quota.spec.scopeSelector
end

local function check_quotas(client, namespace, disks, found)
  local needs, resources = demand(disks), {}
  for resource in pairs(needs) do
    resources[#resources + 1] = resource
  end
  table.sort(resources)
  for _, quota in ipairs(all(client, "ResourceQuota", namespace)) do
    for _, resource in ipairs(is_of_claims(quota) and resources or {}) do
      found[#found + 1] = quota_finding(quota, resource, needs[resource])
    end
  end
end

-- Every tag of the comma list `wanted` is among `tags`.
local function has_tags(tags, wanted)
  local known = {}
  for _, tag in ipairs(tags or {}) do
    known[tag] = true
  end
  for tag in (wanted or ""):gmatch("[^,%s]+") do
    if not known[tag] then
      return false
    end
  end
  return true
end

local function is_schedulable(object)
  local ready = conditions.find(object.conditions, "Ready")
  return not ready or ready.status == "True"
end

-- Bytes that may still be promised on this disk.
local function room_on(disk, state, percent)
  local most = (state.storageMaximum or 0) - (disk.storageReserved or 0)
  return math.max(0, most * percent // 100 - (state.storageScheduled or 0))
end

-- Room on the disks that replicas of the class may be put on: in all, and the largest.
local function longhorn_room(nodes, parameters, percent)
  local sum, largest = 0, 0
  local kind = parameters.dataEngine == "v2" and "block" or "filesystem"
  for _, node in ipairs(nodes) do
    local spec, status = node.spec or {}, node.status or {}
    local usable = spec.allowScheduling and is_schedulable(status)
      and has_tags(spec.tags, parameters.nodeSelector)
    for name, disk in pairs(usable and spec.disks or {}) do
      local state = (status.diskStatus or {})[name]
      if state and disk.allowScheduling and (disk.diskType or "filesystem") == kind
        and is_schedulable(state) and has_tags(disk.tags, parameters.diskSelector) then
        local room = room_on(disk, state, percent)
        sum, largest = sum + room, math.max(largest, room)
      end
    end
  end
  return sum, largest
end

-- Largest claim and sum of the disks.
local function sizes(disks)
  local sum, largest = 0, 0
  for _, disk in ipairs(disks) do
    local bytes = claim_bytes(disk)
    sum, largest = sum + bytes, math.max(largest, bytes)
  end
  return sum, largest
end

-- Nil: not known.
local function over_provisioning(client)
  for _, setting in ipairs(all(client, "LonghornSetting", LONGHORN_SYSTEM)) do
    if setting.metadata.name == "storage-over-provisioning-percentage" then
      return math.tointeger(tonumber(setting.value))
    end
  end
end

local function no_room(severity, class, text, ...)
  return finding.new(severity, "NoRoomOnClass", "class " .. class.metadata.name,
    text:format(...), "make room there, or set spec.storageClass to another class")
end

local function check_longhorn(client, class, disks, found)
  local nodes = all(client, "LonghornNode", LONGHORN_SYSTEM)
  if #nodes == 0 then
    return
  end
  local parameters, percent = class.parameters or {}, over_provisioning(client)
  local room, place = longhorn_room(nodes, parameters,
    percent or OVER_PROVISIONING)
  local needed, largest = sizes(disks)
  local replicas = math.tointeger(tonumber(parameters.numberOfReplicas)) or REPLICAS
  if needed > room or largest > place then
    found[#found + 1] = no_room(percent and "Blocks" or "Warns", class,
      "the disks need %s, the largest of them %s; Longhorn has room for %s on the disks "
      .. "that class %s may use, %s on the one with most", mib(needed), mib(largest),
      mib(room), class.metadata.name, mib(place))
  elseif needed * replicas > room then
    found[#found + 1] = no_room("Warns", class,
      "%d replicas of the disks need %s; Longhorn has room for %s on the disks that "
      .. "class %s may use: volumes will be degraded", replicas,
      mib(needed * replicas), mib(room), class.metadata.name)
  end
end

-- What drivers say of a class: the sum of its places, and the largest volume in one.
local function driver_room(client, name)
  local sum, most
  for _, capacity in ipairs(all(client, "CSIStorageCapacity")) do
    local bytes = capacity.storageClassName == name and quantity.parse(capacity.capacity)
    if bytes then
      local volume = quantity.parse(capacity.maximumVolumeSize) or bytes
      sum, most = (sum or 0) + bytes, math.max(most or 0, math.min(bytes, volume))
    end
  end
  return sum, most
end

-- Places may be of the same storage: their sum is a guess.
local function check_capacity(client, class, disks, found)
  local sum, most = driver_room(client, class.metadata.name)
  local needed, largest = sizes(disks)
  if sum and (largest > most or needed > sum) then
    found[#found + 1] = no_room(largest > most and "Blocks" or "Warns", class,
      "the disks need %s, the largest of them %s; class %s has %s, in one place %s "
      .. "(CSIStorageCapacity)", mib(needed), mib(largest), class.metadata.name, mib(sum),
      mib(most))
  end
end

--- room.findings(client, plan, class_of) -> findings                    [waits]
--
--   class_of  function (name | nil) -> StorageClass, backend; or nil: not known
function M.findings(client, plan, class_of)
  local disks, classes, found = {}, {}, {}
  for i, disk in ipairs(plan.disks) do
    local class, backend = class_of(disk.storage_class)
    local name = class and class.metadata.name
    disks[i] = { capacity_bytes = disk.capacity_bytes, class = name, backend = backend }
    if class then
      classes[name] = classes[name] or { class = class }
      table.insert(classes[name], disks[i])
      classes[#classes + 1] = #classes[name] == 1 and classes[name] or nil
    end
  end
  check_quotas(client, plan.namespace, disks, found)
  for _, group in ipairs(classes) do
    local check = group.class.provisioner == LONGHORN and check_longhorn or check_capacity
    check(client, group.class, group, found)
  end
  return found
end

return M
