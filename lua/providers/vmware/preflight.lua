--- providers.vmware.preflight: what stands in the way of an export at this moment.
--
-- Reads the machine's state afresh and changes nothing. All findings at once.

local errors = require "host.error"
local finding = require "base.finding"
local media = require "providers.vmware.media"
local properties = require "providers.vmware.properties"
local xml = require "host.xml"

local PROPERTIES = {
  "config.hardware.device", "disabledMethod", "guest.toolsRunningStatus",
  "runtime.connectionState", "runtime.powerState", "runtime.question",
}
local EXPORT_PRIVILEGE = "VApp.Export"
local POWER_PRIVILEGE = "VirtualMachine.Interact.PowerOff"

local M = {}

-- The state as a plain table.
local function read(session, id)
  local props, err = properties.one(session,
    { type = "VirtualMachine", value = id }, PROPERTIES)
  if not props then
    return nil, err
  end
  local function text(path)
    return props[path] and props[path].text or nil
  end
  local disabled = {}
  for _, node in ipairs(props.disabledMethod or {}) do
    disabled[node.text] = true
  end
  local question = props["runtime.question"]
  return {
    power = text("runtime.powerState"),
    connection = text("runtime.connectionState"),
    tools = text("guest.toolsRunningStatus") == "guestToolsRunning",
    question = question and (xml.child_text(question, "text") or "unreadable"),
    disabled = disabled,
    media = media.of(props["config.hardware.device"]),
  }
end

local function check_power(state, spec, say)
  if state.power == "poweredOn" and not state.tools and not spec.forcePowerOff then
    say("ToolsNotRunning", "Blocks", "the machine is powered on and VMware Tools "
      .. "are not running, so it cannot be shut down cleanly",
      "shut it down, start VMware Tools, or set spec.forcePowerOff: true")
  elseif state.power == "suspended" then
    say("Suspended", "Blocks", "the machine is suspended; what it has in memory cannot "
      .. "be imported", "power it on and shut it down, or discard its suspended state")
  elseif state.power == "poweredOn" and state.disabled.PowerOffVM_Task then
    say("PowerOffDisabled", "Blocks", "vSphere does not allow to power the machine off "
      .. "now", "end what holds the machine, or shut it down yourself")
  end
end

local function check_state(state, say)
  if state.connection and state.connection ~= "connected" then
    say("NotConnected", "Blocks", "vSphere says the machine is " .. state.connection,
      "bring its host and datastores back")
  end
  if state.question then
    say("QuestionPending", "Blocks", "the machine waits for an answer to: "
      .. state.question, "answer it in vSphere")
  end
  -- While it runs, ExportVm is disabled because it runs.
  if state.power == "poweredOff" and state.disabled.ExportVm then
    say("ExportDisabled", "Blocks", "vSphere does not allow to export the machine now; "
      .. "another task or a backup product holds it",
      "wait for that task, or remove the lock")
  end
end

-- Privileges, where the server can tell; ESXi and simulators may not.
local function check_privileges(session, id, state, say)
  local manager = session.content.authorizationManager
  if not manager or not session.key then
    return true
  end
  local wanted = { EXPORT_PRIVILEGE }
  if state.power ~= "poweredOff" then
    wanted[2] = POWER_PRIVILEGE
  end
  local args = {
    _this = manager,
    { "entity", { type = "VirtualMachine", value = id } },
    { "sessionId", session.key },
  }
  for _, privilege in ipairs(wanted) do
    args[#args + 1] = { "privId", privilege }
  end
  local reply, err = session:call("HasPrivilegeOnEntity", args)
  if not reply then
    if err.code then
      return true
    end
    return nil, err
  end
  for i, node in ipairs(xml.children(reply, "returnval")) do
    if node.text == "false" and wanted[i] then
      say("MissingPrivilege", "Blocks", ("the account lacks the privilege %s on the "
        .. "machine"):format(wanted[i]), "grant it in vSphere")
    end
  end
  return true
end

-- One that is out of reach now has been said to be, by its host.
local function check_media(session, state, opts, say)
  for _, medium in ipairs(state.connection == "inaccessible" and {} or state.media) do
    local there, err = media.is_there(session, medium, opts)
    if err and err.kind ~= "denied" then
      return nil, err
    elseif err then
      say(medium.drive, "MediaNotChecked", "Informs", ("whether the file %s exists was "
        .. "not looked up, and vSphere exports no machine that lacks one: %s"):format(
        medium.file, err.message), "grant Datastore.Browse in vSphere, or detach it")
    elseif there == false then
      say(medium.drive, "MediaMissing", medium.connected and "Blocks" or "Warns",
        ("the file %s does not exist any more, and vSphere exports no machine that lacks "
        .. "one"):format(medium.file), "bring it back, or detach it in vSphere")
    end
  end
  return true
end

--- preflight.findings(session, id, spec, opts) -> findings | nil, err   [waits]
--
--   id        string  value of the machine's reference
--   spec      table   the import's spec; forcePowerOff is looked at
--   opts      table   poll, task_timeout seconds, of a look into a datastore
--   findings  list    {code, severity, subject, message, action}
--   err       gone    the machine does not exist any more
function M.findings(session, id, spec, opts)
  local state, err = read(session, id)
  if not state then
    return nil, errors.wrap(err, "looking at the machine's state")
  end
  local findings = {}
  local function say_of(subject, code, severity, message, action)
    findings[#findings + 1] = finding.new(severity, code, subject, message, action)
  end
  local function say(...)
    say_of("machine", ...)
  end
  check_power(state, spec, say)
  check_state(state, say)
  local ok, why = check_privileges(session, id, state, say)
  if ok then
    ok, why = check_media(session, state, opts, say_of)
  end
  if not ok then
    return nil, why
  end
  return findings
end

return M
