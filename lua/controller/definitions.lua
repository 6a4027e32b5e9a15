--- controller.definitions: our CustomResourceDefinitions, added and upgraded as far as
-- we may.
--
-- Never downgraded: an annotation carries our version. Files are in crds/, beside lua/.

local conditions = require "kube.conditions"
local ensure = require "kube.ensure"
local errors = require "host.error"
local file = require "host.file"
local log = require "host.log"
local shipped = require "base.shipped"
local task = require "host.task"
local time = require "host.time"
local yaml = require "host.yaml"

local M = {}

local KIND = "CustomResourceDefinition"
local ESTABLISHED_WITHIN = 30 -- seconds
local VERSION = "migration.harvesterhci.io/crd-version"

local function version_of(object)
  return tonumber((object.metadata.annotations or {})[VERSION]) or 0
end

-- Does the schema `there` know every property of ours? An earlier controller writes its
-- own schema over ours and leaves our annotation.
local function knows(there, ours)
  for name, property in pairs(ours.properties or {}) do
    local other = (there.properties or {})[name]
    if not other or not knows(other, property) then
      return false
    end
  end
  return not ours.items or there.items ~= nil and knows(there.items, ours.items)
end

local function schema_of(object)
  local version = object.spec.versions[1] or {}
  return version.schema and version.schema.openAPIV3Schema or {}
end

local function is_good(there, ours)
  local version, wanted = version_of(there), version_of(ours)
  return version > wanted
    or version == wanted and knows(schema_of(there), schema_of(ours))
end

local function upgrade(client, name, there, ours)
  log.info("upgrading a CustomResourceDefinition", { name = name,
    from = version_of(there), to = version_of(ours) })
  return client:patch(KIND, nil, name, {
    metadata = {
      resourceVersion = there.metadata.resourceVersion,
      annotations = { [VERSION] = tostring(version_of(ours)) },
    },
    spec = { versions = ours.spec.versions, names = ours.spec.names },
  })
end

-- A new kind is served a moment after it was made.
local function wait_established(client, name)
  local deadline = time.monotonic() + ESTABLISHED_WITHIN
  while time.monotonic() < deadline do
    local there = client:get(KIND, nil, name)
    if there and conditions.is_true((there.status or {}).conditions, "Established") then
      return true
    end
    task.sleep(0.2)
  end
  return true -- the informer waits on
end

local function anybodys()
  return true
end

local function ensure_one(client, ours)
  local name = ours.metadata.name
  local there, made = ensure.object(client, ours, anybodys)
  if not there then
    return nil, made
  elseif made then
    log.info("added a CustomResourceDefinition", { name = name })
    return wait_established(client, name)
  end
  return is_good(there, ours) or upgrade(client, name, there, ours)
end

--- definitions.ensure(client) -> true | nil, err                        [waits]
-- Adds what is missing, upgrades what is older or has lost fields. Without the right to
-- they are taken to be there.
--
--   err  one could not be added or upgraded
function M.ensure(client)
  local folder = shipped.path("crds")
  local names = assert(file.list(folder))
  for _, file_name in ipairs(names) do
    if file_name:find("%.yaml$") then
      local path = folder .. "/" .. file_name
      local ours = assert(yaml.parse(assert(file.read(path)), { what = path }))[1]
      local ok, err = ensure_one(client, ours)
      if not ok and err.kind == "denied" then
        log.warn("CustomResourceDefinitions are left as they are: " .. err.message)
        return true
      elseif not ok and err.kind ~= "conflict" then
        return nil, errors.wrap(err, "CustomResourceDefinition " .. ours.metadata.name)
      end
    end
  end
  return true
end

return M
