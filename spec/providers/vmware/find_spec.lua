local errors = require "host.error"
local find = require "providers.vmware.find"
local inventory = require "providers.vmware.inventory"
local vsphere = require "support.vsphere"

local UUID = "503e1f0a-0000-4000-8000-000000000001"

-- Reference -> {name, parent}; the reference's first word is its type.
local TREE = {
  ["Folder:group-d1"] = { "Datacenters" },
  ["Folder:group-d2"] = { "Region EU", "Folder:group-d1" },
  ["Datacenter:datacenter-2"] = { "DC0", "Folder:group-d1" },
  ["Datacenter:datacenter-3"] = { "DC-Nested", "Folder:group-d2" },
  ["Folder:group-v2"] = { "vm", "Datacenter:datacenter-2" },
  ["Folder:group-v3"] = { "vm", "Datacenter:datacenter-3" },
  ["Folder:group-v4"] = { "Prod", "Folder:group-v2" },
  ["Folder:group-v5"] = { "Test", "Folder:group-v2" },
  ["Folder:group-v6"] = { "Web Tier", "Folder:group-v4" },
  ["VirtualMachine:vm-1"] = { "web", "Folder:group-v6" },
  ["VirtualMachine:vm-2"] = { "dup", "Folder:group-v4" },
  ["VirtualMachine:vm-3"] = { "dup", "Folder:group-v5" },
  ["VirtualMachine:vm-4"] = { "a%2fb%25c", "Folder:group-v5" },
  ["VirtualMachine:vm-5"] = { "top", "Folder:group-v2" },
  ["VirtualMachine:vm-6"] = { "top", "Folder:group-v5" },
  ["VirtualMachine:vm-7"] = { "far", "Folder:group-v3" },
}

local function reference(text)
  local type, value = text:match("^(%w+):(.+)$")
  return { type = type, value = value }
end

local function object(text)
  local ref = reference(text)
  local name, parent = table.unpack(TREE[text])
  ref.props = { name = name, parent = parent and reference(parent) }
  return ref
end

local function path_of(text)
  local name, parent = TREE[text][1], TREE[text][2]
  return parent and path_of(parent) .. "/" .. name or ""
end

-- What a view over a datacenter, or over the root folder, shows.
local function below(root, type)
  local list = {}
  for text in pairs(TREE) do
    local at = text
    while at and at ~= root do
      at = TREE[at][2]
    end
    if at and text ~= root and text:find("^" .. type .. ":") then
      list[#list + 1] = object(text)
    end
  end
  return list
end

local function retrieve(view)
  return function(body)
    if body:find('type="ContainerView"', 1, true) then
      return vsphere.objects(below(view.root, view.type))
    end
    local list = {}
    for type, value in body:gmatch('<obj type="(%w+)">([^<]+)</obj>') do
      if not TREE[type .. ":" .. value] then
        return vsphere.data("missing_object")
      end
      list[#list + 1] = object(type .. ":" .. value)
    end
    return vsphere.objects(list)
  end
end

local function server(answers)
  local view = {}
  local all = {
    CreateContainerView = function(body)
      view.root = ("%s:%s"):format(body:match('<container type="(%w+)">([^<]+)<'))
      view.type = body:match("<type>(%w+)</type>")
      return vsphere.data("view")
    end,
    DestroyView = vsphere.reply("DestroyView"),
    RetrievePropertiesEx = retrieve(view),
    FindByInventoryPath = function(body)
      local wanted = body:match("<inventoryPath>(.-)</inventoryPath>")
      for text in pairs(TREE) do
        if path_of(text) == wanted then
          local ref = reference(text)
          return vsphere.reply("FindByInventoryPath",
            ('<returnval type="%s">%s</returnval>'):format(ref.type, ref.value))
        end
      end
      return vsphere.data("find_missing")
    end,
  }
  for method, answer in pairs(answers or {}) do
    all[method] = answer
  end
  return vsphere.logged_in(all)
end

describe("inventory.datacenter", function()
  local function path(wanted)
    local dc, err = inventory.datacenter(server(), wanted)
    return dc and dc.path or err
  end

  it("takes a name, a path and a reference, also inside folders", function()
    assert.equal("/DC0", path("DC0"))
    assert.equal("/DC0", path("/Datacenters/DC0"))
    assert.equal("/Region EU/DC-Nested", path("DC-Nested"))
    assert.equal("/Region EU/DC-Nested", path("Region EU/DC-Nested"))
    assert.equal("/Region EU/DC-Nested", path("datacenter-3"))
  end)

  it("names those there are when there is none of that name, or none given", function()
    for _, wanted in ipairs { "DC9", "" } do
      local err = path(wanted)
      assert.equal("dc", err.check)
      assert.same({ "/DC0", "/Region EU/DC-Nested" }, err.candidates)
      assert.truthy(err.message:find("/DC0, /Region EU/DC-Nested", 1, true))
    end
  end)

  it("is the only one there is when none is given", function()
    local session = server { CreateContainerView = vsphere.data("view"),
      RetrievePropertiesEx = function(body)
        if body:find('type="ContainerView"', 1, true) then
          return vsphere.objects { object("Datacenter:datacenter-2") }
        end
        return vsphere.objects { object("Folder:group-d1") }
      end }
    assert.equal("/DC0", assert(inventory.datacenter(session, nil)).path)
  end)
end)

describe("find.machine", function()
  local DC0 = { ref = reference("Datacenter:datacenter-2"), name = "DC0", path = "/DC0" }

  local function id(name, folder, answers)
    local found, err = find.machine(server(answers), DC0,
      { name = name, folder = folder })
    return found or err
  end

  it("finds by name and folder, however the folder is written", function()
    for _, folder in ipairs { "Prod/Web Tier", "/Prod/Web Tier/", "vm/Prod/Web Tier",
      "/DC0/vm/Prod/Web Tier", "/Datacenters/DC0/vm/Prod/Web Tier" } do
      assert.equal("vm-1", id("web", folder), folder)
    end
    assert.equal("vm-3", id("dup", "Test"))
  end)

  it("finds the only one of a name in whatever folder", function()
    assert.equal("vm-1", id("web"))
  end)

  it("takes no folder for the top one, as upstream does", function()
    assert.equal("vm-5", id("top"))
  end)

  it("takes neither part of a folder's path nor one that is too short for it", function()
    for _, folder in ipairs { "Web Tier", "Prod", "DC0/Web Tier", "vm", "Region EU/DC0/vm/Prod" } do
      local err = id("web", folder)
      assert.equal("notfound", err.kind, folder)
    end
    assert.equal("vm-1", id("web", "DC0/Prod/Web Tier"))
  end)

  it("asks for machines alone by UUID, an instance's first", function()
    local asked = {}
    id(UUID, nil, { FindAllByUuid = function(body)
      asked[#asked + 1] = body:match("<instanceUuid>(%a+)<")
      assert.truthy(body:find("<vmSearch>true</vmSearch>", 1, true), body)
      return vsphere.reply("FindAllByUuid")
    end })
    assert.same({ "true", "false" }, asked)
  end)

  it("passes a reference that is gone by to the name", function()
    assert.equal("notfound", id("vm-99").kind)
    local err = id("VirtualMachine:vm-1", nil, { RetrievePropertiesEx =
      vsphere.fault("NoPermission") })
    assert.equal("denied", err.kind)
  end)

  it("refuses a name that means several, and lists them", function()
    local err = id("dup")
    assert.equal("invalid", err.kind)
    assert.same({ "/DC0/vm/Prod/dup", "/DC0/vm/Test/dup" }, err.candidates)
  end)

  it("finds by inventory path", function()
    assert.equal("vm-2", id("/DC0/vm/Prod/dup"))
    assert.equal("vm-3", id("/Datacenters/DC0/vm/Test/dup"))
    assert.equal("vm-3", id("Test/dup"))
  end)

  it("finds names that vSphere encodes, in either form", function()
    for _, name in ipairs { "a/b%c", "a%2fb%25c", "a%2Fb%25c",
      "/DC0/vm/Test/a%2fb%25c" } do
      assert.equal("vm-4", id(name), name)
    end
    assert.equal("vm-4", id("a/b%c", "Test"))
  end)

  it("finds by reference, and by UUID where the server has FindByUuid alone", function()
    assert.equal("vm-2", id("vm-2"))
    assert.equal("vm-2", id("VirtualMachine:vm-2"))
    local by_uuid = function(body)
      local instance = body:find("<instanceUuid>true<", 1, true)
      return vsphere.reply("FindByUuid", not instance
        and '<returnval type="VirtualMachine">vm-1</returnval>' or "")
    end
    assert.equal("vm-1", id(UUID:upper(), nil, { FindByUuid = by_uuid }))
  end)

  it("refuses a BIOS UUID that two machines share", function()
    local err = id(UUID, nil, { FindAllByUuid = function(body)
      return vsphere.reply("FindAllByUuid", not body:find("<instanceUuid>true<", 1, true)
        and '<returnval type="VirtualMachine">vm-2</returnval>'
        .. '<returnval type="VirtualMachine">vm-3</returnval>' or "")
    end })
    assert.equal("invalid", err.kind)
    assert.equal(2, #err.candidates)
  end)

  it("does not leave the datacenter of the source", function()
    local err = id("vm-7")
    assert.equal("notfound", err.kind)
    assert.same({ "/Region EU/DC-Nested/vm/far" }, err.candidates)
    assert.equal("notfound", id("far").kind)
  end)

  it("lists similar names, and the same name in other folders", function()
    local err = id("wbe", "Prod")
    assert.equal("notfound", err.kind)
    assert.truthy(err.message:find('folder "Prod"', 1, true))
    assert.same({ "/DC0/vm/Prod/Web Tier/web" }, err.candidates)
    assert.same({ "/DC0/vm/Prod/Web Tier/web" }, id("web", "Test").candidates)
    assert.same({}, id("nothing like it").candidates)
  end)

  it("says that something is similar only where something is", function()
    assert.truthy(id("wbe", "Prod").message:find("; similar", 1, true))
    assert.falsy(id("nothing like it").message:find("; similar", 1, true))
  end)

  it("refuses an empty name", function()
    assert.equal("invalid", id("  ").kind)
    assert.equal("invalid", id(nil).kind)
  end)

  it("passes on what the server says", function()
    local err = id("web", nil, { CreateContainerView = vsphere.fault("NoPermission") })
    assert.equal("denied", err.kind)
    err = id("web", nil, { FindByInventoryPath = errors.new("tls", "changed") })
    assert.equal("tls", err.kind)
  end)
end)
