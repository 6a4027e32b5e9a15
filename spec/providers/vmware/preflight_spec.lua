local preflight = require "providers.vmware.preflight"
local vsphere = require "support.vsphere"

-- The findings for a machine with these properties, by code.
local function found(props, spec, granted)
  local session = vsphere.logged_in {
    RetrievePropertiesEx = vsphere.objects {
      { type = "VirtualMachine", value = "vm-79", props = props },
    },
    HasPrivilegeOnEntity = granted,
  }
  local by_code = {}
  for _, finding in ipairs(assert(preflight.findings(session, "vm-79", spec or {}))) do
    by_code[finding.code] = finding
  end
  return by_code
end

local function on(more)
  local props = { ["runtime.powerState"] = "poweredOn",
    ["guest.toolsRunningStatus"] = "guestToolsRunning" }
  for path, value in pairs(more or {}) do
    props[path] = value
  end
  return props
end

local OFF = { ["runtime.powerState"] = "poweredOff" }

describe("preflight.findings", function()
  it("has nothing against a machine that is off, or runs with tools", function()
    assert.same({}, found(OFF))
    assert.same({}, found(on()))
  end)

  it("blocks on a running machine without tools, and names the field", function()
    local props = on { ["guest.toolsRunningStatus"] = "guestToolsNotRunning" }
    local finding = found(props).ToolsNotRunning
    assert.equal("Blocks", finding.severity)
    assert.truthy(finding.action:find("forcePowerOff", 1, true))
    assert.same({}, found(props, { forcePowerOff = true }))
  end)

  it("blocks on a suspended machine", function()
    assert.equal("Blocks", found({ ["runtime.powerState"] = "suspended" })
      .Suspended.severity)
  end)

  it("blocks on a question, with its words", function()
    local finding = found(on { ["runtime.question"] = { raw =
      "<id>1</id><text>Was it moved or copied?</text>" } }).QuestionPending
    assert.truthy(finding.message:find("moved or copied", 1, true))
  end)

  it("minds a disabled ExportVm only when the machine is off", function()
    local disabled = { raw = "<string>ExportVm</string>" }
    assert.equal("Blocks", found({ ["runtime.powerState"] = "poweredOff",
      disabledMethod = disabled }).ExportDisabled.severity)
    assert.same({}, found(on { disabledMethod = disabled }))
    assert.truthy(found(on { disabledMethod = {
      raw = "<string>PowerOffVM_Task</string>" } }).PowerOffDisabled)
  end)

  it("blocks on a machine whose host is away", function()
    local props = on { ["runtime.connectionState"] = "inaccessible" }
    local finding = found(props).NotConnected
    assert.truthy(finding.message:find("inaccessible", 1, true))
  end)

  it("names the privilege that is missing", function()
    local answer = vsphere.reply("HasPrivilegeOnEntity",
      "<returnval>false</returnval><returnval>true</returnval>")
    assert.truthy(found(on(), {}, answer).MissingPrivilege.message:find("VApp.Export", 1,
      true))
    answer = vsphere.reply("HasPrivilegeOnEntity", "<returnval>true</returnval>")
    assert.same({}, found(OFF, {}, answer))
  end)
end)
