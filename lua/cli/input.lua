--- cli.input: the objects of a YAML file, as a user of Harvester writes them.

local digest = require "host.digest"
local errors = require "host.error"
local file = require "host.file"
local kinds = require "base.kinds"
local secret_text = require("controller.secrets").text
local shape = require "cli.shape"
local yaml = require "host.yaml"

local M = {}

local GROUP_VERSION = "migration.harvesterhci.io/v1beta1"

local function invalid(what, fmt, ...)
  return errors.new("invalid", what .. ": " .. fmt:format(...))
end

-- Key -> text of a Secret, whichever way it was written.
local function secret_data(object, what)
  local data = {}
  local problem = shape.strings_problem(object.data, "data")
    or shape.strings_problem(object.stringData, "stringData")
  if problem then
    error(invalid(what, "Secret %s: %s", object.metadata.name, problem))
  end
  for key, value in pairs(object.data or {}) do
    local text, err = digest.base64_decode(value)
    if not text then
      error(invalid(what, "Secret %s: data.%s is not base64 (%s); plain text goes into "
        .. "stringData", object.metadata.name, key, err.message))
    end
    data[key] = secret_text(text)
  end
  for key, value in pairs(object.stringData or {}) do
    data[key] = secret_text(value)
  end
  return data
end

-- Whether it is a kind of ours; those of scripts in force are.
local function is_ours(kind)
  for _, source in ipairs(kinds.sources) do
    if source.kind == kind then
      return true
    end
  end
  return kind == "VirtualMachineImport"
end

local function expected()
  local names = { "Secret" }
  for _, source in ipairs(kinds.sources) do
    names[#names + 1] = source.kind
  end
  return table.concat(names, ", ") .. " and VirtualMachineImport"
end

local function check(object, number, what)
  if type(object) ~= "table" or type(object.kind) ~= "string" then
    error(invalid(what, "document %d has no kind", number))
  end
  local metadata = object.metadata
  if type(metadata) ~= "table" or type(metadata.name) ~= "string" then
    error(invalid(what, "document %d, a %s, has no metadata.name", number, object.kind))
  end
  if is_ours(object.kind) and object.apiVersion ~= GROUP_VERSION then
    error(invalid(what, "%s %s: apiVersion is %s, must be %s", object.kind, metadata.name,
      tostring(object.apiVersion), GROUP_VERSION))
  end
  metadata.namespace = metadata.namespace or "default"
  local problem = shape.problem(object)
  if problem then
    error(invalid(what, "%s %s: %s", object.kind, metadata.name, problem))
  end
end

local function add(found, object, number, what)
  if type(object) == "table" and object.kind == "List" then
    if type(object.items) ~= "table" then
      error(invalid(what, "document %d, a List, has no list of items", number))
    end
    for _, item in ipairs(object.items) do
      add(found, item, number, what)
    end
    return
  end
  check(object, number, what)
  if object.kind == "Secret" then
    found.secrets[object.metadata.namespace .. "/" .. object.metadata.name] =
      secret_data(object, what)
  elseif object.kind == "VirtualMachineImport" then
    found.imports[#found.imports + 1] = object
  elseif is_ours(object.kind) then
    found.sources[#found.sources + 1] = object
  else
    error(invalid(what, "document %d is a %s; expected are %s", number, object.kind,
      expected()))
  end
end

--- input.read(path) -> {secrets, sources, imports}                      [waits]
-- Throws an err that names file and line.
--
--   path     string  a YAML file of one or more documents; "-" is stdin
--   secrets  table   "namespace/name" -> {key = text}
--   sources  list    VmwareSource ... as written, with a namespace
--   imports  list    VirtualMachineImport
function M.read(path)
  local what = path == "-" and "stdin" or path
  local text = assert(file.read(path == "-" and "/dev/stdin" or path))
  local documents = assert(yaml.parse(text, { what = what }))
  local found = { secrets = {}, sources = {}, imports = {} }
  for number, object in ipairs(documents) do
    add(found, object, number, what)
  end
  if #found.imports == 0 then
    error(invalid(what, "holds no VirtualMachineImport"))
  end
  return found
end

--- input.secret_reader(secrets) -> function (credentials, namespace) -> {data} | nil, err
-- What sessions and flows read Secrets with.
function M.secret_reader(secrets)
  return function(credentials, namespace)
    local name = (credentials.namespace or namespace) .. "/" .. credentials.name
    if not secrets[name] then
      return nil, errors.new("notfound", ("Secret %s is not in the file"):format(name))
    end
    return { data = secrets[name] }
  end
end

return M
