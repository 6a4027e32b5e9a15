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

  it("asks for the power only where there is something to power off", function()
    local right = "<privId>VirtualMachine.Interact.PowerOff</privId>"
    for props, asks in pairs { [OFF] = false, [on()] = true } do
      local body
      found(props, {}, function(text)
        body = text
        return vsphere.reply("HasPrivilegeOnEntity")
      end)
      assert.truthy(body:find("<privId>VApp.Export</privId>", 1, true), body)
      assert.equal(asks, body:find(right, 1, true) ~= nil)
    end
  end)

  it("asks for no privileges of a server that cannot tell, or whose session has no key",
    function()
      for _, answers in ipairs {
        { Login = vsphere.reply("Login") },
        { RetrieveServiceContent = vsphere.data("service_content", {
          ['<authorizationManager type="AuthorizationManager">AuthorizationManager'] =
            '<authorizationManager type="AuthorizationManager">' }) },
      } do
        answers.RetrievePropertiesEx = vsphere.objects { { type = "VirtualMachine",
          value = "vm-79", props = OFF } }
        answers.HasPrivilegeOnEntity = vsphere.reply("HasPrivilegeOnEntity",
          "<returnval>false</returnval>")
        local session, fake = vsphere.logged_in(answers)
        assert.same({}, preflight.findings(session, "vm-79", {}))
        assert.is_nil(fake.count.HasPrivilegeOnEntity)
      end
    end)

  it("fails where it cannot be asked", function()
    local session = vsphere.logged_in { HasPrivilegeOnEntity = { status = 503, body = "" },
      RetrievePropertiesEx = vsphere.objects { { type = "VirtualMachine", value = "vm-79",
        props = OFF } } }
    local list, err = preflight.findings(session, "vm-79", {})
    assert.is_nil(list)
    assert.equal(503, err.status)
  end)
end)

describe("preflight.findings, of a file in a drive", function()
  local function drive(kind, file, connected)
    return ([[<VirtualDevice xsi:type="Virtual%s"><key>3000</key><deviceInfo><label>%s 1
      </label></deviceInfo><backing xsi:type="Virtual%sBackingInfo"><fileName>%s</fileName>
      <datastore type="Datastore">datastore-11</datastore></backing><connectable>
      <startConnected>%s</startConnected></connectable></VirtualDevice>]]):format(
      kind:match("^%u%l+"), kind:find("Iso") and "CD/DVD drive" or "Floppy drive", kind,
      file, connected)
  end

  local function objects(type, value, props)
    return vsphere.objects { { type = type, value = value, props = props } }
  end

  -- The findings where that drive is in the machine; info: of the task that looks.
  local function found_in(device, info, search)
    local session, fake = vsphere.logged_in {
      RetrievePropertiesEx = function(body)
        if body:find('type="Task"', 1, true) then
          return objects("Task", "task-7", { info = { raw = info } })
        elseif body:find('type="Datastore"', 1, true) then
          return objects("Datastore", "datastore-11", { browser = {
            type = "HostDatastoreBrowser", value = "datastoreBrowser-11" } })
        end
        return objects("VirtualMachine", "vm-79", { ["runtime.powerState"] = "poweredOff",
          ["config.hardware.device"] = { raw = device } })
      end,
      SearchDatastore_Task = search or vsphere.reply("SearchDatastore_Task",
        '<returnval type="Task">task-7</returnval>'),
    }
    local list = assert(preflight.findings(session, "vm-79", {}, { poll = 0.001,
      task_timeout = 1 }))
    return list, fake
  end

  local ISO = drive("CdromIso", "[ds1] iso/tools.iso", true)
  local NOTHING = "<state>success</state><result></result>"

  it("blocks on one that is gone, and names drive and file", function()
    local list, fake = found_in(ISO, NOTHING)
    assert.equal(1, #list)
    assert.same({ "MediaMissing", "Blocks", "CD/DVD drive 1" },
      { list[1].code, list[1].severity, list[1].subject:match("^%S+ %S+ %S+") })
    assert.truthy(list[1].message:find("the file [ds1] iso/tools.iso does not", 1, true))
    local asked = fake.calls[#fake.calls - 1].body
    assert.truthy(asked:find("<datastorePath>[ds1] iso</datastorePath>", 1, true), asked)
    assert.truthy(asked:find("<matchPattern>tools.iso</matchPattern>", 1, true), asked)
    assert.truthy(asked:find('<_this type="HostDatastoreBrowser">datastoreBrowser-11</', 1,
      true), asked)
  end)

  it("minds no drive without a file", function()
    local list, fake = found_in([[<VirtualDevice xsi:type="VirtualCdrom"><key>3000</key>
      </VirtualDevice>]], NOTHING)
    assert.same({}, list)
    assert.is_nil(fake.count.SearchDatastore_Task)
  end)

  it("blocks on one whose folder is gone too", function()
    local list = found_in(ISO, [[<name>SearchDatastore_Task</name><state>error</state><error>
      <fault xsi:type="FileNotFound"><file>[ds1] iso</file></fault></error>]])
    assert.equal("MediaMissing", list[1].code)
  end)

  it("warns where the drive is not connected, and knows floppies", function()
    local list = found_in(drive("FloppyImage", "[ds1] boot.flp", false), NOTHING)
    assert.same({ "MediaMissing", "Warns" }, { list[1].code, list[1].severity })
  end)

  it("says nothing of one that is there, or is none of a datastore", function()
    assert.same({}, (found_in(ISO, [[<state>success</state><result><file><path>tools.iso</path>
      </file></result>]])))
    local list, fake = found_in(drive("CdromIso", "[] /usr/lib/vmware/isoimages/linux.iso",
      true), NOTHING)
    assert.same({}, list)
    assert.is_nil(fake.count.SearchDatastore_Task)
  end)

  it("says that it could not look, where it may not", function()
    local list = found_in(ISO, NOTHING, vsphere.fault("NoPermission", "",
      "<privilegeId>Datastore.Browse</privilegeId>"))
    assert.same({ "MediaNotChecked", "Informs" }, { list[1].code, list[1].severity })
    assert.same({}, (found_in(ISO, NOTHING, vsphere.fault("NotSupported", ""))))
  end)
end)
