--- targets.directory: disks become sparse raw files, machines become manifests.
--
-- DIR/NAMESPACE/DISK.raw, and KIND.NAME.yaml beside them. A file has its name only when
-- it is whole: the transfer sees to that. Nothing runs here, so nothing is waited for.

local disk_image = require "host.disk"
local file = require "host.file"
local merge_patch = require "kube.merge_patch"
local yaml = require "host.yaml"

local methods = {}
local mt = { __name = "targets.directory", __index = methods }

local M = {}

local IMPORT_UID = "migration.harvesterhci.io/import-uid"

local function folder(self, plan)
  return self.dir .. "/" .. plan.namespace
end

local function manifest_path(self, manifest)
  return ("%s/%s/%s.%s.yaml"):format(self.dir, manifest.metadata.namespace,
    manifest.kind:lower(), manifest.metadata.name)
end

-- The uid of the import that wrote the manifest at this path, or nil.
local function owner_of(path)
  local text = file.read(path)
  local documents = text and yaml.parse(text, { what = path })
  local metadata = documents and documents[1] and documents[1].metadata
  return metadata and (metadata.annotations or {})[IMPORT_UID] or nil, text ~= nil
end

local function check_machine(self, plan, import)
  local owner, there = owner_of(manifest_path(self, plan.virtual_machine))
  if there and owner ~= import.metadata.uid then
    return {
      code = "VirtualMachineExists", severity = "Blocks", subject = plan.name,
      message = ("%s already holds a VirtualMachine %s/%s that is not of this import")
        :format(self.dir, plan.namespace, plan.name),
      action = "set spec.targetName, or use another folder",
    }
  end
end

local function check_space(self, plan)
  local space = file.statfs(self.dir)
  local needed = 0
  for _, disk in ipairs(plan.disks) do
    needed = needed + disk.capacity_bytes
  end
  if space and space.free_bytes < needed then
    return {
      code = "SpaceMayRunOut", severity = "Warns", subject = self.dir,
      message = ("%d MiB are free; the disks hold up to %d MiB, zeros take none"):format(
        space.free_bytes // 2 ^ 20, needed // 2 ^ 20),
      action = "make room if the disks are well filled",
    }
  end
end

--- target:check(plan, import) -> findings                               [waits]
-- What stands in the way here: somebody else's machine of that name, too little space.
function methods:check(plan, import)
  local found = {}
  found[#found + 1] = check_machine(self, plan, import)
  found[#found + 1] = check_space(self, plan)
  return found
end

--- target:disk_path(plan, disk) -> path
function methods:disk_path(plan, disk)
  return ("%s/%s.raw"):format(folder(self, plan), disk.name)
end

--- target:disk_state(plan, disk) -> "whole" | nil                       [waits]
function methods:disk_state(plan, disk)
  local stat = file.stat(self:disk_path(plan, disk))
  if stat and stat.kind == "file" and stat.size == disk.capacity_bytes then
    return "whole"
  end
  return nil
end

--- target:put_disk(plan, disk, stream) -> transfer | nil, err           [waits]
-- Starts it; transfer:wait() returns when the file is whole and durable.
--
--   stream  as a provider's export:stream() returns it
function methods:put_disk(plan, disk, stream)
  local ok, err = file.mkdir(folder(self, plan), { parents = true })
  if not ok then
    return nil, err
  end
  return disk_image.transfer({
    source = {
      url = stream.url,
      headers = stream.headers,
      tls = stream.tls,
      connect_to = stream.connect_to,
    },
    format = stream.format,
    size = stream.size,
    output = self:disk_path(plan, disk),
    capacity = disk.capacity_bytes,
    digests = { "sha1", "sha256" },
    sha512 = self.sha512,
  })
end

--- target:remove_disk(plan, disk)                                       [waits]
-- Gives up what is there of it; the disk was found wrong or out of date.
function methods:remove_disk(plan, disk)
  assert(file.remove(self:disk_path(plan, disk), { missing_ok = true }))
end

--- target:image_url(route) -> url | nil
-- Where the image server will serve it; nil: nobody said where that is.
function methods:image_url(route)
  return self.serve_url and self.serve_url .. route
end

--- target:put_machine(manifests, import)                                [waits]
-- Writes the manifests. Again writes the same.
--
--   manifests  list of Kubernetes objects, the VirtualMachine last
function methods:put_machine(manifests, import)
  for _, manifest in ipairs(manifests) do
    local metadata = merge_patch.apply(manifest.metadata, {
      annotations = { [IMPORT_UID] = import.metadata.uid },
    })
    local owned = merge_patch.apply(manifest, { metadata = metadata })
    assert(file.mkdir(self.dir .. "/" .. metadata.namespace, { parents = true }))
    assert(file.write(manifest_path(self, owned), yaml.dump(owned)))
  end
end

--- target:remove(plan)                                                  [waits]
-- Takes away every file of an import that did not end well; whole disks stay for the
-- next attempt.
function methods:remove(plan)
  for _, disk in ipairs(plan.disks) do
    assert(file.remove(self:disk_path(plan, disk) .. ".part", { missing_ok = true }))
  end
end

--- directory.new(dir, opts) -> target
--
--   dir             string   an existing folder
--   opts.serve_url  string   where `serve` will answer; nil: no images are written
--   opts.sha512     boolean  compute it of each disk's raw result (default false)
function M.new(dir, opts)
  return setmetatable({
    dir = dir,
    can = { images = false, run = false },
    serve_url = opts.serve_url and opts.serve_url:gsub("/+$", "") or nil,
    sha512 = opts.sha512 or false,
  }, mt)
end

return M
