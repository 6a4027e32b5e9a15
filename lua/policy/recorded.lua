--- policy.recorded: a plan in the form in which the status keeps it, nothing twice.
--
-- Most of a VirtualMachine repeats what the plan says of its disks and NICs. Such parts
-- are left out where they are the same to the letter, and written again when the machine
-- is needed; what a site's script has made of a part is kept as it is. So nothing is
-- decided a second time, whatever scripts are in force by then.

local json = require "host.json"

local devices = require "policy.devices"
local invalid = require "policy.invalid"
local metadata = require "policy.metadata"
local shape = require "base.shape"
local values = require "base.values"

local M = {}

local TEMPLATE = { "spec", "template", "spec" }
local DEVICES = { "spec", "template", "spec", "domain", "devices" }
local ANNOTATIONS = { "metadata", "annotations" }

-- Entries that may be left out: name, its table, and the fields as the plan has
-- them. They are a form that lies in clusters: a new way of writing one is a new part.
local PARTS = {
  { name = "annotations", at = ANNOTATIONS, fields = metadata.of_plan },
  { name = "claims", at = ANNOTATIONS, fields = devices.templates },
  { name = "disks", at = DEVICES, fields = function(plan)
    return { disks = devices.disks(plan) }
  end },
  { name = "interfaces", at = DEVICES, fields = function(plan)
    return { interfaces = devices.interfaces(plan) }
  end },
  { name = "networks", at = TEMPLATE, fields = function(plan)
    return { networks = devices.networks(plan) }
  end },
  { name = "volumes", at = TEMPLATE, fields = function(plan)
    return { volumes = devices.volumes(plan) }
  end },
}

local TEXTS = { [shape.EACH] = "string" }

local MACHINE = {
  [shape.NEEDED] = { "metadata", "spec" },
  apiVersion = "string",
  kind = "string",
  metadata = {
    name = "string", namespace = "string", labels = TEXTS, annotations = TEXTS,
  },
  spec = { [shape.NEEDED] = { "template" }, template = { [shape.NEEDED] = { "spec" },
    spec = { domain = { devices = "object" } } } },
}

-- What later steps, and the parts that were left out, make of a plan.
local PLAN = {
  [shape.NEEDED] = { "name", "namespace", "disks" },
  name = "string",
  namespace = "string",
  description = "string",
  annotations = TEXTS,
  power_state = "string",
  cloud_init = { user_data = "string", network_data = "string" },
  disks = { {
    [shape.NEEDED] = { "id", "name", "capacity_bytes" },
    id = "string", name = "string", display_name = "string",
    capacity_bytes = "integer", bus = "string", boot_order = "integer", serial = "string",
    storage_class = "string",
  } },
  nics = { {
    id = "string", name = "string", network = "string", binding = "string",
    model = "string", mac = "string", state = "string",
  } },
  manifest = {
    [shape.NEEDED] = { "object", "left_out" },
    object = MACHINE,
    left_out = { "string" },
  },
  virtual_machine = MACHINE,
}

-- Where parts were left out.
local REBUILT = {
  [shape.NEEDED] = { "nics", "annotations" },
  nics = { { [shape.NEEDED] = { "name", "binding" } } },
}

-- The table at `path`, or nil; `make`: those on the way are made.
local function walk(object, path, make)
  for _, key in ipairs(path) do
    if type(object) ~= "table" then
      return nil
    elseif make and object[key] == nil then
      object[key] = {}
    end
    object = object[key]
  end
  return type(object) == "table" and object or nil
end

-- Takes the part's fields out of the machine if they are the plan's own.
local function take_out(machine, part, plan)
  local place, fields = walk(machine, part.at), part.fields(plan)
  for key, value in pairs(fields) do
    if not place or not values.same(place[key], value) then
      return false
    end
  end
  for key in pairs(fields) do
    place[key] = nil
  end
  return next(fields) ~= nil
end

--- recorded.of(plan) -> plan to be recorded
-- Instead of virtual_machine it has manifest: {object, left_out}.
function M.of(plan)
  local result = {}
  for key, value in pairs(plan) do
    result[key] = value
  end
  local object, left_out = values.copy(plan.virtual_machine), json.array({})
  for _, part in ipairs(PARTS) do
    if take_out(object, part, plan) then
      left_out[#left_out + 1] = part.name
    end
  end
  result.virtual_machine = nil
  result.manifest = { object = object, left_out = left_out }
  return result
end

local function put_in(machine, part, plan)
  local place = walk(machine, part.at, true)
  for key, value in pairs(part.fields(plan)) do
    place[key] = value
  end
end

local function is_part(name)
  for _, part in ipairs(PARTS) do
    if part.name == name then
      return true
    end
  end
  return false
end

--- recorded.problem(plan) -> text | nil
-- Why a plan cannot be carried out: it is not of the form that was recorded.
function M.problem(plan)
  local problem = shape.problem(plan, PLAN, "status.plan")
  local manifest = plan.manifest
  if problem then
    return problem
  elseif not manifest then
    return not plan.virtual_machine and "status.plan.manifest: is missing" or nil
  end
  for _, name in ipairs(manifest.left_out) do
    if not is_part(name) then
      return ("status.plan leaves out %s, which this version does not know: a newer one "
        .. "has made it"):format(name)
    end
  end
  return #manifest.left_out > 0 and shape.problem(plan, REBUILT, "status.plan") or nil
end

--- recorded.virtual_machine(plan) -> the KubeVirt VirtualMachine, the caller's own
-- `plan` as it was recorded: by recorded.of, or whole, by an earlier version. Throws an
-- err (invalid) where recorded.problem() says why.
function M.virtual_machine(plan)
  local problem, manifest = M.problem(plan), plan.manifest
  if problem then
    error(invalid("%s", problem))
  elseif not manifest then
    return values.copy(plan.virtual_machine)
  end
  local machine, left_out = values.copy(manifest.object), {}
  for _, name in ipairs(manifest.left_out) do
    left_out[name] = true
  end
  for _, part in ipairs(PARTS) do
    if left_out[part.name] then
      put_in(machine, part, plan)
    end
  end
  return machine
end

return M
