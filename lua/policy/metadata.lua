--- policy.metadata: labels, annotations and description of the imported machine.
--
-- What a machine made in Harvester's own UI carries, and what its UI and vm-import-ui
-- read. Source: Harvester's UI extension (mixins/harvester-vm), doccaz/vm-import-ui.

local json = require "host.json"

local machine_rules = require "policy.site.machine_rules"
local marks = require "base.marks"
local name = require "policy.name"
local quantity = require "base.quantity"
local texts = require "base.text"

local GIB = 1024 * quantity.MIB
local DESCRIPTION_MAX = 1024 -- bytes; it is a caption, and status has room for little

local M = {}

M.DESCRIPTION = "field.cattle.io/description"

--- metadata.description(input) -> text | nil
-- The source's notes, at most 1 KiB, whose lines are fit to be seen (base.text).
function M.description(input)
  local text = input.machine.description
  if not text or text:find("^%s*$") then
    return nil
  end
  return texts.lines(text, DESCRIPTION_MAX)
end

--- metadata.check_description(value) -> text | nil, message
function M.check_description(value)
  if value == nil or value == "" then
    return nil
  end
  if type(value) ~= "string" or not utf8.len(value) then
    return nil, "a text in UTF-8 is expected"
  end
  return value
end

--- metadata.labels(input, plan) -> {[key] = value}
function M.labels(_, plan)
  return {
    ["harvesterhci.io/creator"] = "harvester",
    ["harvesterhci.io/os"] = plan.os,
    [marks.IMPORTED] = "true",
  }
end

--- metadata.check_labels(value) -> value | nil, message
function M.check_labels(value)
  if type(value) ~= "table" then
    return nil, "a table is expected"
  end
  for key, item in pairs(value) do
    if not name.is_label_key(key) then
      return nil, ("\"%s\" is not the key of a label"):format(tostring(key))
    end
    if not name.is_label_value(item) then
      return nil, ("%s: \"%s\" is not the value of a label"):format(key, tostring(item))
    end
  end
  return value
end

local function total_gib(disks)
  local bytes = 0
  for _, disk in ipairs(disks) do
    bytes = bytes + math.max(disk.capacity_bytes, 0)
  end
  return (bytes + GIB - 1) // GIB
end

local function list_of(items, describe)
  local list = json.array({})
  for i, item in ipairs(items) do
    list[i] = describe(item)
  end
  return json.encode(list)
end

local function disk_text(disk)
  return ("%s (%s)"):format(disk.name, quantity.storage(math.max(disk.capacity_bytes, 0)))
end

local function network_text(nic)
  local network = nic.network or {}
  return network.name or network.id or ""
end

--- metadata.annotations(input) -> {[key] = value}
-- Besides these, the machine gets the ones that later decisions make: description and
-- volume claim templates.
function M.annotations(input)
  local machine = input.machine
  local original = "migration.harvesterhci.io/original-"
  return {
    ["network.harvesterhci.io/ips"] = "[]",
    [original .. "cpu"] = ("%d"):format(machine.cpu.sockets * machine.cpu.cores),
    [original .. "memory-mb"] = ("%d"):format(quantity.mib(machine.memory_bytes)),
    [original .. "disk-size-gb"] = ("%d"):format(total_gib(machine.disks)),
    [original .. "disks"] = list_of(machine.disks, disk_text),
    [original .. "networks"] = list_of(machine.nics, network_text),
    ["migration.harvesterhci.io/default-nic-model"] =
      input.spec.defaultNetworkInterfaceModel,
  }
end

--- metadata.of_plan(plan) -> {[key] = value}
-- The annotations a machine has of its plan: those decided, and its description.
function M.of_plan(plan)
  local annotations = { [M.DESCRIPTION] = plan.description }
  for key, value in pairs(plan.annotations) do
    annotations[key] = annotations[key] or value
  end
  return annotations
end

--- metadata.check_annotations(value, input) -> value | nil, message
-- None that commands the cluster (machine_rules), unless input.site.code.
function M.check_annotations(value, input)
  if type(value) ~= "table" then
    return nil, "a table is expected"
  end
  for key, item in pairs(value) do
    if not name.is_label_key(key) then
      return nil, ("\"%s\" is not the key of an annotation"):format(tostring(key))
    end
    if type(item) ~= "string" or not utf8.len(item) then
      return nil, ("%s: a text in UTF-8 is expected"):format(key)
    end
  end
  local key = not (input.site or {}).code
    and machine_rules.annotation(value, M.annotations(input))
  if key then
    return nil, ("annotation %s is more than a script may set without --allow-code")
      :format(key)
  end
  return value
end

return M
