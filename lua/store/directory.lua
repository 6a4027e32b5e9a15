--- store.directory: our objects as YAML files, with kube.client's calls.
--
-- DIR/migration.harvesterhci.io/NAMESPACE/KIND.NAME.yaml; the group's folder cannot be
-- taken for a namespace, whose names hold no dot. A write is a temporary file, fsync,
-- rename: what is read is always a whole object. Secrets are never kept here.

local errors = require "host.error"
local file = require "host.file"
local json = require "host.json"
local merge_patch = require "kube.merge_patch"
local yaml = require "host.yaml"

local methods = {}
local mt = { __name = "store.directory", __index = methods }

local M = {}

local LABEL = "^[a-z0-9][-a-z0-9]*$"
local SUBDOMAIN = "^[a-z0-9][-a-z0-9.]*$"

-- Names become paths, so nothing but RFC 1123 goes in.
local function check_name(what, name, pattern, most)
  if type(name) == "string" and #name <= most and name:find(pattern)
    and not name:find("%.%.") and not name:find("[-.]$") then
    return true
  end
  return nil, errors.new("invalid", ("%s %q is not a valid Kubernetes name (RFC 1123: "
    .. "lower case letters, digits and '-')"):format(what, tostring(name)))
end

local function folder_of(self, kind, namespace)
  return ("%s/%s/%s"):format(self.dir, self.kinds[kind].group, namespace)
end

local function path_of(self, kind, namespace, name)
  if not self.kinds[kind] then
    error(errors.new("invalid", ("there is no kind %s here"):format(tostring(kind))))
  end
  assert(check_name("namespace", namespace, LABEL, 63))
  assert(check_name("name", name, SUBDOMAIN, 253))
  return ("%s/%s.%s.yaml"):format(folder_of(self, kind, namespace), kind:lower(), name)
end

local function read(path)
  local text, err = file.read(path)
  if not text then
    return nil, err
  end
  local documents
  documents, err = yaml.parse(text, { what = path })
  if not documents then
    return nil, errors.final(err)
  end
  local object = documents[1]
  if type(object) ~= "table" or type(object.metadata) ~= "table" then
    return nil, errors.final(errors.new("format", path .. ": holds no Kubernetes object; "
      .. "remove the file to start this import anew"))
  end
  return object
end

local function write(self, kind, object)
  local meta = object.metadata
  local path = path_of(self, kind, meta.namespace, meta.name)
  meta.resourceVersion = tostring((tonumber(meta.resourceVersion) or 0) + 1)
  assert(file.mkdir(folder_of(self, kind, meta.namespace), { parents = true }))
  assert(file.write(path, yaml.dump(object)))
  return object
end

--- store:get(kind, namespace, name) -> object | nil, err                [waits]
--
--   kind  string  e.g. "VirtualMachineImport"
--   err   notfound; io; format: the file was damaged by hand
function methods:get(kind, namespace, name)
  local object, err = read(path_of(self, kind, namespace, name))
  if not object and err.kind == "notfound" then
    return nil, errors.new("notfound",
      ("%s %s/%s does not exist"):format(kind, namespace, name))
  end
  return object, err
end

-- Adds the objects of one folder.
local function list_folder(kind, folder, objects)
  local names, err = file.list(folder)
  if not names then
    return err.kind == "notfound" or nil, err
  end
  local prefix = kind:lower() .. "."
  for _, name in ipairs(names) do
    if name:sub(1, #prefix) == prefix and name:find("%.yaml$") then
      objects[#objects + 1] = assert(read(folder .. "/" .. name))
    end
  end
  return true
end

-- The namespaces that have a folder.
local function namespaces_of(self, kind)
  local group = self.dir .. "/" .. self.kinds[kind].group
  local names, err = file.list(group)
  if not names then
    return err.kind == "notfound" and {} or nil, err
  end
  local found = {}
  for _, name in ipairs(names) do
    local stat = name:find(LABEL) and file.stat(group .. "/" .. name)
    if stat and stat.kind == "directory" then
      found[#found + 1] = name
    end
  end
  return found
end

--- store:list(kind, namespace) -> objects | nil, err                    [waits]
-- Sorted by namespace and name.
--
--   namespace  string  nil: all of them
function methods:list(kind, namespace)
  local namespaces, objects = { namespace }, {}
  if not namespace then
    local err
    namespaces, err = namespaces_of(self, kind)
    if not namespaces then
      return nil, err
    end
  end
  for _, name in ipairs(namespaces) do
    local ok, err = list_folder(kind, folder_of(self, kind, name), objects)
    if not ok then
      return nil, err
    end
  end
  return objects
end

--- store:create(kind, object) -> object | nil, err                      [waits]
-- Gives it a uid, generation 1 and creationTimestamp.
--
--   err  conflict: it exists
function methods:create(kind, object)
  local meta = object.metadata
  local there, err = self:get(kind, meta.namespace, meta.name)
  if there then
    return nil, errors.new("conflict", ("%s %s/%s exists already"):format(
      kind, meta.namespace, meta.name), { reason = "AlreadyExists" })
  elseif err.kind ~= "notfound" then
    return nil, err
  end
  local new = merge_patch.apply(object, {
    apiVersion = self.kinds[kind].api_version,
    kind = kind,
    metadata = {
      uid = self.uid(),
      generation = 1,
      resourceVersion = json.null,
      creationTimestamp = self.now(),
    },
    status = json.null,
  })
  return write(self, kind, new)
end

--- store:patch(kind, namespace, name, patch, opts) -> object | nil, err [waits]
-- A JSON merge patch. Status and the rest are changed apart, as by an API server.
--
--   patch        table    with metadata.resourceVersion: only on that version
--   opts.status  boolean  change the status, and nothing else (default false)
--   err          notfound; conflict: the version is another by now
function methods:patch(kind, namespace, name, patch, opts)
  local before, err = self:get(kind, namespace, name)
  if not before then
    return nil, err
  end
  local version = patch.metadata and patch.metadata.resourceVersion
  if version and version ~= before.metadata.resourceVersion then
    return nil, errors.new("conflict", ("%s %s/%s was changed by somebody else"):format(
      kind, namespace, name), { reason = "Conflict" })
  end
  local after
  if opts and opts.status then
    after = merge_patch.apply(before, { status = patch.status })
  else
    after = merge_patch.apply(before, patch)
    after.status = before.status
  end
  if json.encode(after) == json.encode(before) then
    return before
  end
  after.metadata = merge_patch.apply(after.metadata, {
    resourceVersion = before.metadata.resourceVersion,
    uid = before.metadata.uid,
    generation = json.encode(after.spec or {}) ~= json.encode(before.spec or {})
      and before.metadata.generation + 1 or before.metadata.generation,
  })
  return write(self, kind, after)
end

--- store:delete(kind, namespace, name) -> true | nil, err               [waits]
function methods:delete(kind, namespace, name)
  return file.remove(path_of(self, kind, namespace, name), { missing_ok = false })
end

--- directory.new(dir, opts) -> store
--
--   dir         string    an existing folder
--   opts.kinds  table     base.kinds
--   opts.uid    function  () -> a new uid
--   opts.now    function  () -> RFC 3339
function M.new(dir, opts)
  return setmetatable({
    dir = dir,
    kinds = opts.kinds,
    uid = opts.uid,
    now = opts.now,
  }, mt)
end

return M
