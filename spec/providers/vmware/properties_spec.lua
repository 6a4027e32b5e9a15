local errors = require "host.error"
local properties = require "providers.vmware.properties"
local vsphere = require "support.vsphere"

local ROOT = { type = "Folder", value = "group-d1" }
local VM = { type = "VirtualMachine", value = "vm-79" }
local WANTED = { VirtualMachine = { "name", "parent" }, Folder = { "name" } }

local function values(objects)
  local found = {}
  for i, object in ipairs(objects) do
    found[i] = object.ref.value
  end
  return found
end

describe("properties.list", function()
  it("follows tokens and gives the view back", function()
    local session, fake = vsphere.logged_in {
      CreateContainerView = vsphere.data("view"),
      RetrievePropertiesEx = vsphere.data("page_first"),
      ContinueRetrievePropertiesEx = vsphere.data("page_last"),
      DestroyView = vsphere.reply("DestroyView"),
    }
    local objects = assert(properties.list(session, ROOT, { "VirtualMachine" }, WANTED))
    assert.same({ "datacenter-2", "folder-3", "vm-57", "vm-60" }, values(objects))
    assert.equal("DC0", objects[1].props.name.text)
    assert.equal("group-d1", objects[1].props.parent.text)
    assert.equal(1, fake.count.DestroyView)
    local asked = fake.calls[#fake.calls - 1].body
    assert.truthy(asked:find("<token>5b2db3fa-4255-48f9-9829-1451c3280e5e</token>", 1,
      true))
  end)

  it("starts anew, with a new view, when the session ended between pages", function()
    local session, fake = vsphere.logged_in {
      CreateContainerView = vsphere.data("view"),
      RetrievePropertiesEx = vsphere.data("page_first"),
      ContinueRetrievePropertiesEx = {
        vsphere.data("not_authenticated"), vsphere.data("page_last"),
      },
      DestroyView = vsphere.reply("DestroyView"),
    }
    local objects = assert(properties.list(session, ROOT, { "VirtualMachine" }, WANTED))
    assert.equal(4, #objects)
    assert.equal(2, fake.count.CreateContainerView)
    assert.equal(2, fake.count.Login)
  end)

  it("starts anew when a page was lost on the way", function()
    local session, fake = vsphere.logged_in {
      CreateContainerView = vsphere.data("view"),
      RetrievePropertiesEx = vsphere.data("page_first"),
      ContinueRetrievePropertiesEx = {
        errors.new("connect", "reset by peer"), vsphere.data("page_last"),
      },
      DestroyView = vsphere.reply("DestroyView"),
    }
    assert.equal(4, #assert(properties.list(session, ROOT, { "Folder" }, WANTED)))
    assert.equal(2, fake.count.ContinueRetrievePropertiesEx)
  end)
end)

describe("properties.list, of a view", function()
  -- Lists with these answers of pages: the server, the objects or err, and the bodies of the
  -- last call of each method.
  local function listed(answer, types)
    local session, fake = vsphere.logged_in { CreateContainerView = vsphere.data("view"),
      DestroyView = vsphere.reply("DestroyView"), RetrievePropertiesEx = answer }
    local objects, err = properties.list(session, ROOT, types or { "Folder" }, WANTED)
    local bodies = {}
    for _, call in ipairs(fake.calls) do
      bodies[call.method] = call.body
    end
    return fake, objects, err, bodies
  end

  it("asks for what lies at any depth, of each type, and for each type's properties", function()
    local _, _, _, bodies = listed(vsphere.data("page_last"), { "Folder", "VirtualMachine" })
    assert.truthy(bodies.CreateContainerView:find("<type>Folder</type><type>VirtualMachine"
      .. "</type><recursive>true</recursive>", 1, true), bodies.CreateContainerView)
    assert.truthy(bodies.RetrievePropertiesEx:find("<propSet><type>Folder</type><pathSet>name"
      .. "</pathSet></propSet><propSet><type>VirtualMachine</type><pathSet>name</pathSet>"
      .. "<pathSet>parent</pathSet></propSet>", 1, true), bodies.RetrievePropertiesEx)
  end)

  it("gives a view back that no list came of, unless it is gone", function()
    local fake, objects, err = listed(vsphere.fault("NoPermission"))
    assert.is_nil(objects)
    assert.equal("denied", err.kind)
    assert.equal(1, fake.count.DestroyView)
    fake, objects, err = listed(vsphere.fault("ManagedObjectNotFound"))
    assert.is_nil(objects)
    assert.equal("gone", err.kind)
    assert.equal(3, fake.count.CreateContainerView)
    assert.is_nil(fake.count.DestroyView)
  end)
end)

describe("properties.one", function()
  it("asks again, twice, while the transport fails, unless it is bound", function()
    local function asked(answer, opts)
      local session, fake = vsphere.logged_in { RetrievePropertiesEx = answer }
      local props, err = properties.one(session, VM, { "config.name" }, opts)
      return fake.count.RetrievePropertiesEx, props, err
    end
    local away = { status = 503, body = "" }
    local each = asked(away, { bound = 1 })
    local n, props, err = asked(away)
    assert.is_nil(props)
    assert.equal(503, err.status)
    assert.equal(3 * each, n)
    n, props = asked({ away, away, away, away, vsphere.data("config") })
    assert.equal(5, n)
    assert.equal("multi", props["config.name"].text)
    n = asked(vsphere.fault("NoPermission"))
    assert.equal(1, n)
  end)

  it("has what is set, and says what is missing", function()
    local session = vsphere.logged_in {
      RetrievePropertiesEx = vsphere.data("unknown_property"),
    }
    local props, missing = assert(properties.one(session, VM, { "config.nosuchthing" }))
    assert.is_nil(props["config.nosuchthing"])
    assert.equal("InvalidProperty", missing["config.nosuchthing"])
  end)

  it("asks again without a property that this release does not know", function()
    local session, fake = vsphere.logged_in {
      RetrievePropertiesEx = function(body)
        if body:find("config.keyId", 1, true) then
          return vsphere.fault("InvalidProperty", "", "<name>config.keyId</name>")
        end
        return vsphere.data("config")
      end,
    }
    local props = assert(properties.one(session, VM,
      { "config.keyId", "config.name", "config.uuid" }))
    assert.equal("multi", props["config.name"].text)
    assert.equal(2, fake.count.RetrievePropertiesEx)
    local asked = fake.calls[#fake.calls].body
    assert.truthy(asked:find("<pathSet>config.name</pathSet><pathSet>config.uuid</pathSet>", 1,
      true), asked)
  end)

  it("skips no object that is asked for, and the view of a list", function()
    local session, fake = vsphere.logged_in {
      CreateContainerView = vsphere.data("view"), DestroyView = vsphere.reply("DestroyView"),
      RetrievePropertiesEx = vsphere.data("config") }
    assert(properties.one(session, VM, { "config.name" }))
    local body = fake.calls[#fake.calls].body
    assert.truthy(body:find("vm-79</obj><skip>false</skip>", 1, true), body)
    assert(properties.list(session, ROOT, { "Folder" }, WANTED))
    body = fake.calls[#fake.calls - 1].body
    assert.truthy(body:find("</obj><skip>true</skip><selectSet", 1, true), body)
    assert.truthy(body:find("<path>view</path><skip>false</skip>", 1, true), body)
  end)

  it("does not ask for ever", function()
    local session = vsphere.logged_in {
      RetrievePropertiesEx = vsphere.fault("InvalidProperty", "", "<name>other</name>"),
    }
    local props, err = properties.one(session, VM, { "name" })
    assert.is_nil(props)
    assert.equal("InvalidProperty", err.code)
  end)

  it("says gone of an object that is not there", function()
    local session = vsphere.logged_in {
      RetrievePropertiesEx = vsphere.data("missing_object"),
    }
    local _, err = properties.one(session, VM, { "name" })
    assert.equal("gone", err.kind)
    session = vsphere.logged_in {
      RetrievePropertiesEx = vsphere.reply("RetrievePropertiesEx"),
    }
    _, err = properties.one(session, VM, { "name" })
    assert.equal("gone", err.kind)
  end)
end)
