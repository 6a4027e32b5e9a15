--- providers.vmware.stamp: what tells that the guest of a machine may have written.
--
-- Two witnesses that know exactly: the content id of each disk's file, which vSphere
-- promises to be another one whenever a read of the disk could give something else, and
-- the newest event of the machine being started. Where both can be read they decide.
-- `config.changeVersion` does not count then: it moves with every note and label that a
-- backup writes, and would throw sound disks away. Where one of them is missing (old
-- servers, raw devices, an account without events) everything that might have moved
-- counts: rather a disk is read twice than two states are mixed.

local digest = require "host.digest"
local errors = require "host.error"
local properties = require "providers.vmware.properties"
local soap = require "providers.vmware.soap"
local xml = require "host.xml"

local M = {}

local PATHS = { "config.changeVersion", "config.hardware.device", "runtime.bootTime" }

-- A machine that is started, resumed, or started again by HA leaves one of these.
local STARTED = { "VmPoweredOnEvent", "VmStartingEvent", "VmResumingEvent",
  "DrsVmPoweredOnEvent" }

local function child(node, name)
  return node and xml.child_text(node, name) or ""
end

-- A line per disk, and whether all of them say what they hold.
local function disk_lines(devices)
  local lines, told = {}, true
  for _, node in ipairs(devices) do
    if xml.type(node) == "VirtualDisk" then
      local backing = xml.child(node, "backing")
      local content = child(backing, "contentId")
      local size = child(node, "capacityInBytes")
      local place = content == "" and child(backing, "fileName") or ""
      lines[#lines + 1] = table.concat({ child(node, "key"),
        size ~= "" and size or child(node, "capacityInKB"), child(backing, "uuid"),
        content, place }, " ")
      told = told and content ~= ""
    end
  end
  table.sort(lines)
  return lines, told
end

-- The newest of these events, as text; "" if there was none.
local function newest(events)
  local key, text = -1, ""
  for _, event in ipairs(events) do
    local number = tonumber(xml.child_text(event, "key")) or 0
    if number > key then
      key, text = number, number .. " " .. child(event, "createdTime")
    end
  end
  return text
end

-- When it was started last, as its events have it; nil where they cannot be read.
local function last_start(session, ref)
  local manager = session.content.eventManager
  if not manager then
    return nil
  end
  local filter = { { "entity", { { "entity", ref }, { "recursion", "self" } } } }
  for _, name in ipairs(STARTED) do
    filter[#filter + 1] = { "eventTypeId", name }
  end
  local reply, err = session:call("QueryEvents", { _this = manager,
    { "filter", filter } })
  if reply then
    return newest(xml.children(reply, "returnval"))
  end
  return nil, soap.passing(err) and err or nil
end

local function text(props, path)
  return props[path] and props[path].text or ""
end

--- stamp.of(session, id) -> text | nil, err                             [waits]
-- Another one whenever the guest may have written; the only thing to do with it is to
-- compare it. Opaque, and short.
--
--   id   string  value of the machine's reference
--   err  gone    the machine does not exist any more
--        denied  the account may not read its disks
-- Source: contentId of disk backings, VirtualMachineConfigInfo.changeVersion,
-- EventManager.QueryEvents: vSphere Web Services API.
function M.of(session, id)
  local ref = { type = "VirtualMachine", value = id }
  local props, err = properties.one(session, ref, PATHS)
  if not props then
    return nil, err
  end
  local devices = props["config.hardware.device"]
  if not devices then
    return nil, errors.new("denied", "the account may not read the disks of the machine, "
      .. "or vSphere does not have it now (inaccessible)")
  end
  local lines, told = disk_lines(devices)
  local started, why = last_start(session, ref)
  if why then
    return nil, why
  end
  lines[#lines + 1] = started or ""
  if not (told and started) then
    lines[#lines + 1] = text(props, "config.changeVersion")
    lines[#lines + 1] = text(props, "runtime.bootTime")
  end
  return digest.sha256(table.concat(lines, "\n")):sub(1, 32)
end

return M
