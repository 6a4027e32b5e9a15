--- Fuzz: a recorded plan, and what objects of others say in status and annotations.
-- The first byte says which of both the JSON behind it is. Types are the API server's to
-- check where a definition names them; a plan may come from a file, and of any form.

local conditions = require "kube.conditions"
local errors = require "host.error"
local json = require "host.json"
local marks = require "base.marks"
local projections = require "controller.projections"
local recorded = require "policy.recorded"
local states = require "targets.states"

local IMPORT = { metadata = { name = "a", namespace = "b" }, spec = {} }

-- Sound to plan with: then it makes a machine that can be sent.
local function try_plan(plan)
  if type(plan) ~= "table" or recorded.problem(plan) then
    return
  end
  assert(json.encode(recorded.virtual_machine(plan)))
  IMPORT.status = { plan = plan, importStatus = "sourceReady" }
  projections.VirtualMachineImport(IMPORT)
end

local function text_at(texts, name)
  return type(texts[name]) == "string" and texts[name] or nil
end

local function condition(texts, name)
  return { type = name, status = text_at(texts, name .. "Status") or "False",
    message = text_at(texts, name) }
end

-- An object of any of their kinds, whose texts are of others.
local function object_of(texts)
  local said = json.array({})
  for i, name in ipairs { "Imported", "RetryLimitExceeded", "Running", "Bound", "Ready",
    "Failure" } do
    said[i] = condition(texts, name)
  end
  return {
    metadata = { name = "a", namespace = "b", uid = text_at(texts, "uid") or "u",
      creationTimestamp = text_at(texts, "time"), labels = { [marks.IMPORTED] = "true" },
      annotations = { [marks.LOOK_AGAIN] = text_at(texts, "again"),
        [marks.IMPORT] = text_at(texts, "import") } },
    spec = { backend = text_at(texts, "backend"), runStrategy = text_at(texts, "run"),
      template = { spec = { volumes = { { persistentVolumeClaim = {
        claimName = text_at(texts, "claim") or "c" } } } } } },
    status = { conditions = said, progress = text_at(texts, "progress"),
      phase = text_at(texts, "phase"), checksum = text_at(texts, "checksum"),
      printableStatus = text_at(texts, "state"), diskFileStatusMap = { x = {
        state = text_at(texts, "file"), lastStateTransitionTime = text_at(texts, "time") } } },
  }
end

local function try_object(texts)
  local object = object_of(texts)
  local client = { get = function()
    return object
  end }
  for _, read in ipairs { states.image, states.whole_since, states.copy, states.machine } do
    local state = read(client, "b", "a")
    assert(state == nil or json.encode(state))
  end
  states.is_made_from(client, "b", "a", json.array({ { diskName = text_at(texts, "disk") } }))
  projections.VirtualMachineImage(object)
  projections.VirtualMachine(object)
  projections.source(object)
  local list = conditions.set(object.status.conditions, condition(texts, "Ready"), "now")
  for _, one in ipairs(list) do
    assert(not one.message or json.encode(one.message))
  end
end

return function(_, bytes)
  local value, err = json.decode(bytes:sub(2))
  if type(value) ~= "table" then
    return assert(value ~= nil or errors.of(err).kind ~= "internal")
  elseif (bytes:byte(1) or 0) % 2 == 0 then
    return try_plan(value)
  end
  return try_object(value)
end
