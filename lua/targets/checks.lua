--- targets.checks: what an import needs of a Harvester cluster and can be looked up
-- before the source is touched: networks, storage classes, and room for the claims.
--
-- The right to look them up is optional: without it a finding says what was not checked;
-- of room nothing is said then.

local errors = require "host.error"
local finding = require "base.finding"
local object_id = require "base.object_id"
local room = require "targets.room"
local time = require "host.time"

local methods = {}
local mt = { __name = "targets.checks", __index = methods }

local M = {}

local LONGHORN = "driver.longhorn.io"
local DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
local REMEMBERED = 2 -- seconds: an import asks for the class of each disk in one breath

-- Roles of earlier versions allow to list NetworkAttachmentDefinitions, not to get one.
local function network_exists(self, namespace, name)
  local kind = "NetworkAttachmentDefinition"
  local there, err = self.client:get(kind, namespace, name)
  if there or err.kind ~= "denied" then
    return there and true, err
  end
  local found
  found, err = self.client:list(kind, namespace, {
    field_selector = "metadata.name=" .. name,
  })
  if not found then
    return nil, err
  end
  return #found > 0
end

--- checks:network_is_gone(network) -> boolean                           [waits]
-- An object that the controller may not look up is taken to be there.
function methods:network_is_gone(network)
  local namespace, name = object_id.split(network)
  local there, err = network_exists(self, namespace, name)
  if not there and err and err.kind ~= "notfound" and err.kind ~= "denied" then
    error(err)
  end
  return not there and not (err and err.kind == "denied")
end

local function check_network(self, network)
  local namespace, name = object_id.split(network)
  local there, err = network_exists(self, namespace, name)
  if there then
    return nil
  elseif not err or err.kind == "notfound" then
    return finding.new("Blocks", "NetworkNotFound", network,
      ("the network %s does not exist here"):format(network),
      "create it, or map to another one")
  elseif err.kind == "denied" then
    return finding.new("Informs", "NetworkNotChecked", network,
      "whether the network exists was not checked: " .. err.message,
      "allow the controller to get network-attachment-definitions")
  end
  error(err)
end

local function default_class(self)
  local classes, err = self.client:list("StorageClass")
  if not classes then
    return nil, err
  end
  for _, class in ipairs(classes) do
    if (class.metadata.annotations or {})[DEFAULT_CLASS] == "true" then
      return class
    end
  end
  return nil, errors.final(errors.new("notfound",
    "the cluster has no default StorageClass: set spec.storageClass"))
end

local function named_class(self, name)
  local class, err = self.client:get("StorageClass", nil, name)
  if not class and err.kind == "notfound" then
    err = errors.final(errors.new("notfound",
      ("StorageClass %s does not exist"):format(name)))
  end
  return class, err
end

-- One that was not there is looked for again at once.
local function find_class(self, name)
  local key, now = name or "", time.monotonic()
  local seen = self.classes[key]
  if seen and now < seen.ends_at then
    return seen.class
  end
  local class, err
  if name then
    class, err = named_class(self, name)
  else
    class, err = default_class(self)
  end
  self.classes[key] = class and { class = class, ends_at = now + self.remembered }
  return class, err
end

-- How Harvester stores an image of that class.
local function backend_of(class)
  local engine = class.parameters and class.parameters.dataEngine or "v1"
  return class.provisioner == LONGHORN and engine == "v1" and "backingimage" or "cdi"
end

--- checks:backend(storage_class) -> "backingimage" | "cdi" | nil, err   [waits]
-- How Harvester stores an image of that class; nil class: the default one.
--
--   err  notfound: there is no such class; denied: the right to look is missing
--
-- Source: Harvester's image controller: Longhorn's v1 engine has backing images.
function methods:backend(name)
  local class, err = find_class(self, name)
  if not class then
    return nil, err
  end
  return backend_of(class)
end

--- checks:has_class(name) -> boolean                                    [waits]
-- One that may not be looked up is taken not to be there.
function methods:has_class(name)
  local class, err = find_class(self, name)
  if not class and err.kind ~= "notfound" and err.kind ~= "denied" then
    error(err)
  end
  return class ~= nil
end

--- checks:room(plan) -> findings                                        [waits]
-- Of what the claims need and the cluster has.
function methods:room(plan)
  local known = {}
  return room.findings(self.client, plan, function(name)
    local key = name or ""
    known[key] = known[key] or { find_class(self, name) }
    local class = known[key][1]
    return class, class and backend_of(class)
  end)
end

local function check_class(self, disk)
  local backend, err = self:backend(disk.storage_class)
  if backend then
    return nil
  elseif err.kind == "notfound" then
    return finding.new("Blocks", "StorageClassNotFound", "disk " .. disk.id, err.message,
      "set spec.storageClass to one that exists")
  elseif err.kind == "denied" then
    return finding.new("Informs", "StorageClassNotChecked", "disk " .. disk.id,
      "the StorageClass was not checked, and is taken to be Longhorn's: " .. err.message,
      "allow the controller to get and list storageclasses")
  end
  error(err)
end

-- The findings of check(item), once for each value of key(item).
local function each(items, key, check, found)
  local seen = {}
  for _, item in ipairs(items) do
    local value = key(item)
    if value and not seen[value] then
      seen[value] = true
      found[#found + 1] = check(item)
    end
  end
end

--- checks:run(plan) -> findings                                         [waits]
function methods:run(plan)
  local found = {}
  each(plan.nics, function(nic)
    return nic.network
  end, function(nic)
    return check_network(self, nic.network)
  end, found)
  each(plan.disks, function(disk)
    return disk.storage_class or ""
  end, function(disk)
    return check_class(self, disk)
  end, found)
  local more = self:room(plan)
  return table.move(more, 1, #more, #found + 1, found)
end

--- checks.new(client, remembered) -> checks
--
--   client      kube.client
--   remembered  seconds in which a StorageClass is not asked for again (default 2)
function M.new(client, remembered)
  return setmetatable({
    client = client,
    remembered = remembered or REMEMBERED,
    classes = {},
  }, mt)
end

return M
