--- targets.directory: disks become sparse raw files, machines become manifests.
--
-- DIR/NAMESPACE/DISK.raw (targets.raw_files), and KIND.NAME.yaml beside them. Nothing
-- runs here, so nothing is waited for.

local file = require "host.file"
local finding = require "base.finding"
local marks = require "base.marks"
local merge_patch = require "kube.merge_patch"
local raw_files = require "targets.raw_files"
local yaml = require "host.yaml"

local methods = {}
local mt = { __name = "targets.directory", __index = methods }

local M = {}


local function manifest_path(self, manifest)
  return ("%s/%s/%s.%s.yaml"):format(self.dir, manifest.metadata.namespace,
    manifest.kind:lower(), manifest.metadata.name)
end

-- The uid of the import that wrote the manifest at this path, or nil.
local function owner_of(path)
  local text = file.read(path)
  local documents = text and yaml.parse(text, { what = path })
  local metadata = documents and documents[1] and documents[1].metadata
  return metadata and (metadata.annotations or {})[marks.IMPORT_UID] or nil, text ~= nil
end

local function check_machine(self, plan, import)
  local owner, there = owner_of(manifest_path(self, plan.virtual_machine))
  if there and owner ~= import.metadata.uid then
    return finding.blocks("VirtualMachineExists", plan.name,
      ("%s already holds a VirtualMachine %s/%s that is not of this import"):format(
        self.dir, plan.namespace, plan.name),
      "set spec.targetName, or use another folder")
  end
end

--- target:check(plan, import) -> findings                               [waits]
-- Findings: somebody else's machine of that name in the folder, too little space.
function methods:check(plan, import)
  local found = {}
  found[#found + 1] = check_machine(self, plan, import)
  found[#found + 1] = self.disks:space_finding(plan)
  return found
end

--- target:image_url(route) -> url | nil
-- Where the image server will serve it; nil: nobody said where that is.
function methods:image_url(route)
  return self.serve_url and self.serve_url .. route
end

local WRITTEN = { "virtualmachine", "virtualmachineimage", "persistentvolumeclaim" }

-- Manifests that an earlier run of the import wrote, of names that are none any more.
local function remove_others(self, namespace, written, uid)
  local folder = ("%s/%s"):format(self.dir, namespace)
  for _, name in ipairs(assert(file.list(folder))) do
    local path = folder .. "/" .. name
    for _, kind in ipairs(WRITTEN) do
      if not written[path] and name:sub(1, #kind + 1) == kind .. "."
        and owner_of(path) == uid then
        assert(file.remove(path))
      end
    end
  end
end

--- target:put_machine(manifests, import)                                [waits]
-- Writes the manifests; those that an earlier run wrote under other names go. Again
-- writes the same.
--
--   manifests  list of Kubernetes objects, the VirtualMachine last
function methods:put_machine(manifests, import)
  local written = {}
  for _, manifest in ipairs(manifests) do
    local metadata = merge_patch.apply(manifest.metadata, {
      annotations = { [marks.IMPORT_UID] = import.metadata.uid },
    })
    local owned = merge_patch.apply(manifest, { metadata = metadata })
    local path = manifest_path(self, owned)
    assert(file.mkdir(self.dir .. "/" .. metadata.namespace, { parents = true }))
    assert(file.write(path, yaml.dump(owned)))
    written[path] = true
  end
  remove_others(self, import.metadata.namespace, written, import.metadata.uid)
end

--- directory.new(dir, opts) -> target
--
--   dir             string   an existing folder
--   opts.serve_url  string   where `serve` will answer; nil: no images are written
--   opts.sha512, opts.idle_timeout, opts.least_rate  as targets.raw_files
--   target.disks    targets.raw_files
function M.new(dir, opts)
  return setmetatable({
    dir = dir,
    can = { images = false, run = false },
    serve_url = opts.serve_url and opts.serve_url:gsub("/+$", "") or nil,
    disks = raw_files.new(dir, opts),
  }, mt)
end

return M
