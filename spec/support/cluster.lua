--- support.cluster: an in-memory store with kube.client's calls, for specs.
--
-- As strict as an API server where flows depend on it: versions, status apart from the
-- rest, generation, finalizers; and as Harvester's webhook, which is asked before the
-- server says AlreadyExists.

local errors = require "host.error"
local json = require "host.json"
local merge_patch = require "kube.merge_patch"
local requests = require "kube.requests"

local methods = {}
local mt = { __index = methods }

local M = {}

local function copy(value)
  return (assert(json.decode(json.encode(value))))
end

local function key_of(kind, namespace, name)
  return kind .. "/" .. (namespace or "") .. "/" .. name
end

local function store(self, object)
  self.version = self.version + 1
  object.metadata.resourceVersion = tostring(self.version)
  local meta = object.metadata
  self.objects[key_of(object.kind, meta.namespace, meta.name)] = object
  self.writes[#self.writes + 1] = copy(object)
  return copy(object)
end

function methods:get(kind, namespace, name)
  local object = self.objects[key_of(kind, namespace, name)]
  if not object then
    return nil, errors.new("notfound", key_of(kind, namespace, name) .. " does not exist")
  end
  return copy(object)
end

function methods:list(kind, namespace)
  local items = {}
  for _, object in pairs(self.objects) do
    if object.kind == kind and (not namespace or object.metadata.namespace == namespace) then
      items[#items + 1] = copy(object)
    end
  end
  table.sort(items, function(a, b)
    return a.metadata.name < b.metadata.name
  end)
  return items
end

-- Source: Harvester 1.8.2, CheckDisplayName of pkg/image/common/validator.go, and what
-- the API server makes of a denial (ToStatusErr).
local function denied_image(self, new)
  for _, other in pairs(self.objects) do
    if other.kind == new.kind and other.metadata.namespace == new.metadata.namespace
      and other.spec.displayName == new.spec.displayName then
      return requests.failure("POST /apis/harvesterhci.io/v1beta1/namespaces/"
        .. new.metadata.namespace .. "/virtualmachineimages", {
          status = 409, headers = {}, body = json.encode({ kind = "Status", code = 409,
            reason = "Conflict", message = 'admission webhook "validator.harvesterhci.io" '
              .. "denied the request: A resource with the same name exists" }) })
    end
  end
end

function methods:create(kind, object, opts)
  local new = copy(object)
  new.kind = kind
  local denied = kind == "VirtualMachineImage" and denied_image(self, new)
  if denied then
    return nil, denied
  end
  if self.objects[key_of(kind, new.metadata.namespace, new.metadata.name)] then
    return nil, errors.new("conflict", "exists", { status = 409, reason = "AlreadyExists" })
  end
  if opts and opts.dry_run then
    return new
  end
  new.metadata.uid = new.metadata.uid or ("uid-%d"):format(self.version)
  new.metadata.generation = 1
  return store(self, new)
end

function methods:patch(kind, namespace, name, patch, opts)
  local before, err = self:get(kind, namespace, name)
  if not before then
    return nil, err
  end
  if self.before_patch then
    self.before_patch(before, patch)
    before = self:get(kind, namespace, name)
  end
  local version = patch.metadata and patch.metadata.resourceVersion
  if version and version ~= before.metadata.resourceVersion then
    return nil, errors.new("conflict", "changed meanwhile", { reason = "Conflict" })
  end
  local after
  if opts and opts.status then
    after = merge_patch.apply(before, { status = patch.status })
  else
    after = merge_patch.apply(before, patch)
    after.status = before.status
    if json.encode(after.spec or {}) ~= json.encode(before.spec or {}) then
      after.metadata.generation = before.metadata.generation + 1
    end
  end
  if after.metadata.deletionTimestamp and #(after.metadata.finalizers or {}) == 0 then
    self.objects[key_of(kind, namespace, name)] = nil
    return after
  end
  return store(self, copy(after))
end

function methods:delete(kind, namespace, name)
  local object = self.objects[key_of(kind, namespace, name)]
  if not object then
    return nil, errors.new("notfound", "does not exist")
  end
  if #(object.metadata.finalizers or {}) > 0 then
    object.metadata.deletionTimestamp = "2026-01-01T00:00:00Z"
    store(self, object)
  else
    self.objects[key_of(kind, namespace, name)] = nil
  end
  return true
end

M.create = methods.create -- of a store whose own was replaced

--- cluster.new() -> store
--
--   store.writes        list of what was written, in order
--   store.before_patch  function (object, patch), optional: another writer's chance
function M.new()
  return setmetatable({ objects = {}, writes = {}, version = 1 }, mt)
end

return M
