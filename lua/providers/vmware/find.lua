--- providers.vmware.find: the virtual machine that somebody means.
--
-- By name and folder, inventory path, instance or BIOS UUID, or reference; always within
-- the source's datacenter. What is ambiguous is refused, never guessed.

local errors = require "host.error"
local inventory = require "providers.vmware.inventory"
local names = require "providers.vmware.names"
local properties = require "providers.vmware.properties"
local session_of = require "providers.vmware.session"
local xml = require "host.xml"

local UUID = "^" .. ("%x"):rep(8) .. "%-" .. (("%x"):rep(4) .. "%-"):rep(3)
  .. ("%x"):rep(12) .. "$"
local PATHS = { VirtualMachine = { "name", "parent", "parentVApp" } }

local M = {}

local function starts_with(parts, head)
  if #parts < #head then
    return false
  end
  return names.same_path(table.move(parts, 1, #head, 1, {}), head)
end

local function rest(parts, from)
  return table.move(parts, from, #parts, 1, {})
end

-- The folders below <dc>/vm that a typed path can mean, each a list of parts.
local function readings(dc, typed)
  local head = names.split(dc.path)
  local found = {}
  for _, parts in ipairs { names.split(typed), inventory.parts(typed) } do
    found[#found + 1] = parts
    if starts_with(parts, head) then
      parts = rest(parts, #head + 1)
    elseif names.same(dc.name, parts[1] or "") then
      parts = rest(parts, 2)
    end
    if parts[1] == "vm" then
      parts = rest(parts, 2)
    end
    found[#found + 1] = parts
  end
  return found
end

local function matches(parts, list)
  for _, candidate in ipairs(list) do
    if names.same_path(parts, candidate) then
      return true
    end
  end
  return false
end

-- All machines of the datacenter: {id, name, path, folder = parts below <dc>/vm}.
local function all(session, dc)
  local objects, err = properties.list(session, dc.ref, { "VirtualMachine" }, PATHS)
  local paths
  if objects then
    paths, err = inventory.paths(session, objects)
  end
  if not paths then
    return nil, err
  end
  local head = #names.split(dc.path) + 2 -- its own parts and "vm"
  local list = {}
  for i, object in ipairs(objects) do
    local path = paths[object.ref.value]
    local parts = names.split(path)
    list[i] = {
      id = object.ref.value, path = path, name = parts[#parts] or "",
      folder = table.move(parts, head, #parts - 1, 1, {}),
    }
  end
  return list
end

local function refuse(kind, message, entries)
  local candidates = {}
  for i, entry in ipairs(entries) do
    candidates[i] = entry.path
  end
  table.sort(candidates)
  if #candidates > 0 then
    message = message .. ": " .. table.concat(candidates, ", ")
  end
  return nil, errors.final(errors.new(kind, message, { candidates = candidates }))
end

-- The id of the one machine that a search has found, or why it is not one.
local function settle(found, list, dc, ref)
  if #found == 1 then
    return found[1].id
  end
  if #found > 1 then
    return refuse("invalid", ("virtualMachineName %q means several virtual machines; "
      .. "set folder, or use a path"):format(ref.name), found)
  end
  local where = ("datacenter %s"):format(dc.path)
  if (ref.folder or "") ~= "" then
    where = ("folder %q of %s"):format(ref.folder, where)
  end
  local near = names.near(list, ref.name:match("[^/]*$"))
  return refuse("notfound", ("there is no virtual machine %q in %s%s"):format(
    ref.name, where, #near > 0 and "; similar" or ""), near)
end

-- Compares the whole list; slow in a big inventory, but knows every spelling.
local function by_comparison(session, dc, ref)
  local list, err = all(session, dc)
  if not list then
    return nil, err
  end
  local folders = (ref.folder or "") ~= "" and readings(dc, ref.folder) or nil
  local whole = ref.name:find("/", 1, true) and readings(dc, ref.name) or {}
  local found = {}
  for _, vm in ipairs(list) do
    local parts = table.move(vm.folder, 1, #vm.folder, 1, {})
    parts[#parts + 1] = vm.name
    if (names.same(vm.name, ref.name) and (not folders or matches(vm.folder, folders)))
      or matches(parts, whole) then
      found[#found + 1] = vm
    end
  end
  return settle(found, list, dc, ref)
end

-- The machine at exactly this path, as upstream looks it up; nil when there is none.
local function by_path(session, dc, ref)
  local folder = ref.folder or ""
  if (ref.name .. folder):find("[\\%%]") or ref.name:find("/", 1, true) then
    return nil
  end
  local path = ("%s/vm/%s/%s"):format(dc.path, folder, ref.name):gsub("/+", "/")
  local reply, err = session:call("FindByInventoryPath", {
    _this = session.content.searchIndex, { "inventoryPath", path },
  })
  if not reply then
    return nil, err
  end
  local vm = session_of.reference(xml.child(reply, "returnval"))
  return vm and vm.type == "VirtualMachine" and vm.value or nil
end

-- All references with a UUID. A BIOS UUID is copied with a machine: it can be several's.
local function uuid_references(session, dc, uuid, instance)
  local args = {
    _this = session.content.searchIndex,
    { "datacenter", dc.ref },
    { "uuid", uuid:lower() },
    { "vmSearch", true },
    { "instanceUuid", instance },
  }
  local reply, err = session:call("FindAllByUuid", args)
  if not reply and err.code then -- not every server has that method
    reply, err = session:call("FindByUuid", args)
  end
  if not reply then
    return nil, err
  end
  local refs = {}
  for _, node in ipairs(xml.children(reply, "returnval")) do
    refs[#refs + 1] = session_of.reference(node)
  end
  return refs
end

-- References -> the one that lies in the datacenter; nil when none exists.
local function settle_refs(session, dc, ref, refs)
  local objects, err = properties.get(session, refs, PATHS)
  local paths
  if objects then
    paths, err = inventory.paths(session, objects)
  end
  if not paths then
    if err.kind == "gone" then
      return nil
    end
    return nil, err
  end
  local inside, outside = {}, {}
  for _, object in ipairs(objects) do
    local path = paths[object.ref.value]
    local list = path:sub(1, #dc.path + 1) == dc.path .. "/" and inside or outside
    list[#list + 1] = { id = object.ref.value, path = path }
  end
  if #inside == 1 then
    return inside[1].id
  end
  if #inside > 1 then
    return refuse("invalid", ("virtualMachineName %q means several virtual machines")
      :format(ref.name), inside)
  end
  if #outside > 0 then
    return refuse("notfound", ("virtualMachineName %q is not in datacenter %s")
      :format(ref.name, dc.path), outside)
  end
  return nil
end

-- By instance UUID, else by BIOS UUID; nil when `ref.name` has not that form.
local function by_uuid(session, dc, ref)
  if not ref.name:find(UUID) then
    return nil
  end
  for _, instance in ipairs { true, false } do
    local refs, err = uuid_references(session, dc, ref.name, instance)
    if not refs then
      return nil, err
    end
    local id, why = settle_refs(session, dc, ref, refs)
    if id or why then
      return id, why
    end
  end
  return nil
end

local function by_value(session, dc, ref, value)
  if not value then
    return nil
  end
  return settle_refs(session, dc, ref, { { type = "VirtualMachine", value = value } })
end

local function by_reference(session, dc, ref)
  return by_value(session, dc, ref, ref.name:match("^VirtualMachine:(.+)$"))
end

-- A bare "vm-42" (on ESXi "42") may also be a name: asked after by_path.
local function by_bare_reference(session, dc, ref)
  return by_value(session, dc, ref,
    ref.name:match("^vm%-%d+$") or ref.name:match("^%d+$"))
end

-- Each returns id, or nil, err, or nil: not found this way. The last one always decides.
local STEPS = { by_uuid, by_reference, by_path, by_bare_reference, by_comparison }

--- find.machine(session, dc, ref) -> id | nil, err                      [waits]
-- The virtual machine that an import names.
--
--   ref.name    string  name; "/DC0/vm/Prod/web"; instance or BIOS UUID; "vm-42" or
--                       "VirtualMachine:vm-42"
--   ref.folder  string  folder below the datacenter's VM folder, or its inventory path;
--                       "" or nil: at the top, or else the only one of that name
--   id          string  value of its reference
--   err  notfound  none; err.candidates: paths of similar ones
--        invalid   several; err.candidates: their paths
function M.machine(session, dc, ref)
  ref = {
    name = (ref.name or ""):match("^%s*(.-)%s*$"),
    folder = (ref.folder or ""):match("^%s*(.-)%s*$"):gsub("^/+$", ""),
  }
  if ref.name == "" then
    return refuse("invalid", "virtualMachineName is empty", {})
  end
  for _, step in ipairs(STEPS) do
    local id, err = step(session, dc, ref)
    if id or err then
      return id, err
    end
  end
end

return M
