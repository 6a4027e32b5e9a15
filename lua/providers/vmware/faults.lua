--- providers.vmware.faults: what vSphere says when it refuses, as an err. Pure.
--
-- A fault is known by its xsi:type. Its element may be named after a base class
-- (<InvalidStateFault xsi:type="InvalidPowerState">) and its text may be empty.

local errors = require "host.error"
local xml = require "host.xml"

-- Type of fault -> kind of err; all others are `http`.
local KINDS = {
  NotAuthenticated = "denied",
  InvalidLogin = "denied",
  NoPermission = "denied",
  PasswordExpired = "denied",
  RestrictedByAdministrator = "denied",
  ManagedObjectNotFound = "gone",
  NotFound = "notfound",
  TaskInProgress = "busy",
  FileLocked = "busy",
  ResourceInUse = "busy",
  ConcurrentAccess = "busy",
  Timedout = "timeout",
  RequestCanceled = "cancelled",
  InvalidState = "busy",
  InvalidPowerState = "busy",
  InvalidVmState = "busy",
  ToolsUnavailable = "busy",
  QuestionPending = "busy",
  MethodDisabled = "busy",
  RestrictedVersion = "unsupported",
  NotSupported = "unsupported",
  NotImplemented = "unsupported",
  MethodNotFound = "unsupported",
  FileNotFound = "notfound",
  CannotAccessFile = "notfound",
  FileFault = "notfound",
  InvalidDatastorePath = "notfound",
  ConnectedIso = "notfound",
  OvfConnectedDeviceIso = "notfound",
  InvalidProperty = "invalid",
  InvalidArgument = "invalid",
  InvalidType = "invalid",
  NoDiskSpace = "nospace",
  NoConnection = "connect",
  HostNotConnected = "connect",
  HostNotReachable = "connect",
  HostCommunication = "connect",
}

-- What a fault without words means.
local WORDS = {
  NotAuthenticated = "the session is not logged in",
  InvalidLogin = "the user name or the password is wrong",
  NoPermission = "the account may not do this",
  InvalidPowerState = "the machine's power state does not allow it",
  TaskInProgress = "another task has the machine",
  ToolsUnavailable = "VMware Tools are not running in the guest",
  FileNotFound = "a file of the machine is not there",
  CannotAccessFile = "a file of the machine cannot be read",
  RestrictedVersion = "the server's licence allows only reading its API",
}

-- Fields of a fault's element that become fields of err.
local FIELDS = {
  existingState = "existing",
  privilegeId = "privilege",
  name = "property",
  file = "file",            -- of a FileFault
  datastorePath = "file",   -- of an InvalidDatastorePath
  filename = "file",        -- of a ConnectedIso
}

local M = {}

-- The sentence of a fault. Simulators send bare type names; those are no sentence.
local function sentence(code, text)
  text = (text or ""):match("^%s*(.-)%s*$")
  if not text:find("%s") then
    text = WORDS[code] or ("the server answered with the fault " .. code)
  end
  return text
end

-- The server's own explanation, where it gives one.
local function explanation(node)
  for _, message in ipairs(node and xml.children(node, "faultMessage") or {}) do
    local text = xml.child_text(message, "message")
    if text and text:find("%s") then
      return text
    end
  end
  return nil
end

local function fault(what, node, code, text)
  local fields = { code = code }
  for name, field in pairs(FIELDS) do
    fields[field] = fields[field] or node and xml.child_text(node, name) or nil
  end
  local message = what .. ": " .. sentence(code, text)
  if fields.privilege and code == "NoPermission" then
    message = message .. " (privilege " .. fields.privilege .. ")"
  elseif fields.existing then
    message = message .. " (it is " .. fields.existing .. ")"
  end
  local more = explanation(node)
  if more and not message:find(more, 1, true) then
    message = message .. ": " .. more
  end
  local err = errors.new(KINDS[code] or "http", message, fields)
  if err.kind == "unsupported" then
    err = errors.final(err)
  end
  return err
end

-- The type of a fault's element, else what its name says.
local function code_of(node)
  return xml.type(node) or (node.name:gsub("Fault$", ""))
end

--- faults.of_reply(method, fault) -> err
-- The err of a <soapenv:Fault> element.
function M.of_reply(method, node)
  local detail = xml.child(node, "detail")
  local inner = detail and detail[1]
  local text = xml.child_text(node, "faultstring")
  if inner then
    return fault(method, inner, code_of(inner), text)
  end
  local code = xml.child_text(node, "faultcode") or "unknown"
  return fault(method, nil, code:gsub("^.*:", ""), text)
end

--- faults.of_method(what, node) -> err
-- The err of a LocalizedMethodFault, as tasks, leases and missing properties have it.
function M.of_method(what, node)
  local inner = xml.child(node, "fault")
  local code = inner and code_of(inner) or "unknown"
  return fault(what, inner, code, xml.child_text(node, "localizedMessage"))
end

--- faults.inside(method, reply) -> err | nil
-- The NotAuthenticated that a RetrievePropertiesEx hides in a reply of status 200, as
-- the reason why properties are missing.
function M.inside(method, reply)
  if not method:find("RetrieveProperties", 1, true) then
    return nil
  end
  local result = xml.child(reply, "returnval")
  for _, object in ipairs(result and xml.children(result, "objects") or {}) do
    for _, missing in ipairs(xml.children(object, "missingSet")) do
      local node = xml.child(missing, "fault")
      local inner = node and xml.child(node, "fault")
      if inner and code_of(inner) == "NotAuthenticated" then
        return M.of_method(method, node)
      end
    end
  end
  return nil
end

return M
