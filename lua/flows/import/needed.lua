--- flows.import.needed: what the plan names in the cluster, and somebody has taken away.
--
-- Networks and storage classes are of others. Nothing can be made without them, and no
-- attempt brings them back: whoever misses them waits as for somebody who cannot be
-- reached (outage.lua), with since when, the next try and a bound, and counts nothing.
-- The API server refuses in its own words, or in a webhook's; so any refusal is looked
-- into, and none of them is read.

local errors = require "host.error"

local M = {}

local LOOKED_INTO = { invalid = true, notfound = true, denied = true }
local QUOTA = "exceeded quota" -- apiserver, plugin/pkg/admission/resourcequota
local RETRY_MOST = 30          -- seconds: whoever has brought it back looks on

local function gone(reason, message)
  return errors.new("notfound", message, { outage = reason, retry_most = RETRY_MOST })
end

-- The source's name of a NIC's network.
local function name_of(import, nic)
  for _, other in ipairs((import.status.machine or {}).nics or {}) do
    if other.id == nic.id then
      return other.name
    end
  end
  return nic.name
end

local function missing_network(import, ctx)
  local plan = import.status.plan
  local nic = ctx.target:missing_network(plan)
  return nic and gone("NetworkGone", ("the network %s, for \"%s\" of %s, does not exist "
    .. "any more: create the NetworkAttachmentDefinition again"):format(nic.network,
    name_of(import, nic), plan.name))
end

local function class_gone(plan, disk)
  return gone("StorageClassGone", disk.storage_class
    and ("the StorageClass %s, for \"%s\" of %s, does not exist any more: create it"
      .. " again")
      :format(disk.storage_class, disk.display_name or disk.name, plan.name)
    or "the cluster has no default StorageClass any more: make one the default again")
end

local function missing_class(import, ctx)
  local plan, seen = import.status.plan, {}
  for _, disk in ipairs(plan.disks) do
    local name = disk.storage_class or ""
    local backend, err = seen[name], nil
    if not backend then
      backend, err = ctx.target:backend(disk.storage_class)
      seen[name] = backend
    end
    if not backend then
      return err.kind == "notfound" and class_gone(plan, disk) or err
    end
  end
end

--- needed.check_networks(import, ctx)                                   [waits]
-- Throws an err that is waited for when one that the plan names is not there.
function M.check_networks(import, ctx)
  local err = missing_network(import, ctx)
  if err then
    error(err)
  end
end

local function check_all(import, ctx)
  local err = missing_network(import, ctx) or missing_class(import, ctx)
  if err then
    error(err)
  end
end

--- needed.put(import, ctx, manifest) -> object                          [waits]
-- As target:put. A refusal that somebody else has to cure first is waited for.
function M.put(import, ctx, manifest)
  local made, err = ctx.target:put(manifest, import)
  if made then
    return made
  elseif err.kind == "denied" and err.message:find(QUOTA, 1, true) then
    err.outage, err.retry_most = "QuotaExceeded", RETRY_MOST
  elseif LOOKED_INTO[err.kind] then
    check_all(import, ctx)
  end
  error(err)
end

--- needed.backend(import, ctx, disk) -> "backingimage" | "cdi"          [waits]
-- As target:backend, of a disk of the plan.
function M.backend(import, ctx, disk)
  local backend, err = ctx.target:backend(disk.storage_class)
  if not backend then
    error(err.kind == "notfound" and class_gone(import.status.plan, disk) or err)
  end
  return backend
end

return M
