local faults = require "providers.vmware.faults"
local vsphere = require "support.vsphere"
local xml = require "host.xml"

local XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'

local function node(text)
  return assert(xml.parse(text, {}))
end

-- The err of a fault in a reply.
local function of_reply(type, text, inner)
  return faults.of_reply("ExportVm", xml.child(node(vsphere.fault(type, text, inner)),
    "Body")[1])
end

-- The err of a fault as a task has it.
local function of_method(inner, text)
  return faults.of_method("exporting", node(("<error %s>%s<localizedMessage>%s"
    .. "</localizedMessage></error>"):format(XSI, inner, text or "")))
end

describe("faults.of_reply", function()
  it("says what was asked and what vSphere says, without the space around it", function()
    assert.equal("ExportVm: The disk is full.",
      of_reply("NoDiskSpace", "  The disk is full.\n").message)
    assert.equal("nospace", of_reply("NoDiskSpace", "").kind)
  end)

  it("has a sentence for a fault whose text is a bare name", function()
    assert.equal("ExportVm: another task has the machine",
      of_reply("TaskInProgress", "TaskInProgress").message)
    assert.equal("ExportVm: the server answered with the fault OddFault",
      of_reply("OddFault", "OddFault").message)
    assert.equal("http", of_reply("OddFault", "").kind)
  end)

  it("names the privilege that lacks, and of no other fault", function()
    local right = "<privilegeId>VApp.Export</privilegeId>"
    assert.equal("ExportVm: the account may not do this (privilege VApp.Export)",
      of_reply("NoPermission", "", right).message)
    assert.equal("ExportVm: the session is not logged in",
      of_reply("NotAuthenticated", "", right).message)
  end)

  it("says in which state the machine is", function()
    local err = of_reply("InvalidPowerState", "It cannot be done.",
      "<existingState>poweredOn</existingState>")
    assert.equal("ExportVm: It cannot be done. (it is poweredOn)", err.message)
    assert.equal("ExportVm: the account may not do this",
      of_reply("NoPermission", "").message)
  end)

  it("ends with what is never supported, and with nothing else", function()
    assert.is_true(of_reply("NotSupported", "").final)
    assert.is_falsy(of_reply("TaskInProgress", "").final)
  end)

  it("adds vSphere's own explanation, where it is one and new", function()
    local function explained(...)
      local parts = {}
      for i, text in ipairs { ... } do
        parts[i] = ("<faultMessage><message>%s</message></faultMessage>"):format(text)
      end
      return of_reply("InvalidState", "Disk (1) is in use.", table.concat(parts)).message
    end
    assert.equal("ExportVm: Disk (1) is in use.: A snapshot is there.",
      explained("msg.id", "A snapshot is there.", "It is old."))
    assert.equal("ExportVm: Disk (1) is in use.", explained("Disk (1) is in use."))
    assert.equal("ExportVm: Disk (1) is in use.", explained("msg.id"))
  end)

  it("has the file, whichever fault names it", function()
    for type, field in pairs { FileNotFound = "file", ConnectedIso = "filename",
      InvalidDatastorePath = "datastorePath" } do
      local err = of_reply(type, "", ("<%s>[ds1] a.iso</%s>"):format(field, field))
      assert.equal("[ds1] a.iso", err.file)
      assert.equal("notfound", err.kind)
    end
  end)

  it("makes do with a fault that has no detail", function()
    local function bare(inner)
      return faults.of_reply("Login", node("<Fault>" .. inner .. "</Fault>"))
    end
    local err = bare("<faultcode>soapenv:Server.user</faultcode><faultstring>no more "
      .. "sessions</faultstring>")
    assert.equal("Server.user", err.code)
    assert.equal("Login: no more sessions", err.message)
    assert.equal("unknown", bare("<detail></detail>").code)
  end)
end)

describe("faults.of_method", function()
  it("goes by the fault's type, else by the name of its element", function()
    assert.equal("FileLocked", of_method('<fault xsi:type="FileLocked"/>').code)
    assert.equal("busy", of_method('<fault xsi:type="FileLocked"/>', "It is locked.").kind)
    assert.equal("exporting: It is locked.",
      of_method('<fault xsi:type="FileLocked"/>', "It is locked.").message)
    local reply = node("<Fault><detail><TimedoutFault/></detail></Fault>")
    assert.equal("Timedout", faults.of_reply("ExportVm", reply).code)
  end)

  it("makes do without a fault", function()
    local err = of_method("", "Something is wrong.")
    assert.equal("unknown", err.code)
    assert.equal("http", err.kind)
    assert.equal("exporting: Something is wrong.", err.message)
  end)
end)

describe("faults.inside", function()
  local function missing(...)
    local sets = {}
    for i, type in ipairs { ... } do
      sets[i] = ('<missingSet><path>name</path><fault><fault xsi:type="%s"/></fault>'
        .. "</missingSet>"):format(type)
    end
    return ("<objects><obj>vm-1</obj>%s</objects>"):format(table.concat(sets))
  end

  local function inside(method, objects)
    return faults.inside(method, node(("<R %s><returnval>%s</returnval></R>"):format(XSI,
      objects)))
  end

  it("finds the end of the session among what is missing of any object", function()
    local err = inside("RetrievePropertiesEx", missing("NoPermission")
      .. missing("InvalidProperty", "NotAuthenticated"))
    assert.equal("NotAuthenticated", err.code)
    assert.equal("denied", err.kind)
  end)

  it("has nothing to say of other faults, other methods, or an empty reply", function()
    assert.is_nil(inside("RetrievePropertiesEx", missing("NoPermission")))
    assert.is_nil(inside("RetrievePropertiesEx", "<objects><missingSet/></objects>"))
    assert.is_nil(inside("QueryEvents", missing("NotAuthenticated")))
    assert.is_nil(faults.inside("RetrievePropertiesEx", node("<R/>")))
  end)
end)
