local file = require "host.file"
local json = require "host.json"
local kinds = require "base.kinds"
local lab = require "support.lab"
local store = require "store.directory"

local KIND = "VirtualMachineImport"

describe("store.directory", function()
  local folder, objects, uids

  before_each(function()
    folder = lab.folder()
    uids = 0
    objects = store.new(folder.path, {
      kinds = kinds,
      uid = function()
        uids = uids + 1
        return "uid-" .. uids
      end,
      now = function()
        return "2026-01-02T03:04:05Z"
      end,
    })
  end)

  after_each(function()
    getmetatable(folder).__close(folder)
  end)

  local function path(name, namespace)
    return ("%s/migration.harvesterhci.io/%s/virtualmachineimport.%s.yaml"):format(
      folder.path, namespace or "default", name)
  end

  local function create(name, more)
    local object = { metadata = { name = name, namespace = "default" },
      spec = { virtualMachineName = "web" } }
    for key, value in pairs(more or {}) do
      object[key] = value
    end
    return objects:create(KIND, object)
  end

  local function patch(name, change, opts)
    return objects:patch(KIND, "default", name, change, opts)
  end

  it("gives a new object uid, generation, version and time, and no status", function()
    local made = assert(create("vm", { status = { importStatus = "disksExported" } }))
    assert.equal("uid-1", made.metadata.uid)
    assert.equal(1, made.metadata.generation)
    assert.equal("1", made.metadata.resourceVersion)
    assert.equal("2026-01-02T03:04:05Z", made.metadata.creationTimestamp)
    assert.equal("migration.harvesterhci.io/v1beta1", made.apiVersion)
    assert.equal(KIND, made.kind)
    assert.is_nil(made.status)
    assert.same(made, assert(objects:get(KIND, "default", "vm")))
  end)

  it("does not create what is there, and keeps it as it was", function()
    assert(create("vm"))
    local _, err = create("vm", { spec = {} })
    assert.equal("conflict", err.kind)
    assert.equal("AlreadyExists", err.reason)
    assert.equal("web", objects:get(KIND, "default", "vm").spec.virtualMachineName)
  end)

  it("keeps namespaces, names and kinds apart", function()
    assert(create("vm"))
    assert(objects:create(KIND, { metadata = { name = "vm", namespace = "other" } }))
    assert(objects:create("VmwareSource", { metadata = { name = "vm", namespace = "default" } }))
    assert.equal("uid-1", objects:get(KIND, "default", "vm").metadata.uid)
    assert.equal("uid-2", objects:get(KIND, "other", "vm").metadata.uid)
    assert.equal("uid-3", objects:get("VmwareSource", "default", "vm").metadata.uid)
  end)

  it("lists the objects of one kind and namespace by name", function()
    for _, name in ipairs { "c", "a", "b" } do
      assert(create(name))
    end
    assert(objects:create("VmwareSource", { metadata = { name = "d", namespace = "default" } }))
    local names = {}
    for i, object in ipairs(assert(objects:list(KIND, "default"))) do
      names[i] = object.metadata.name
    end
    assert.same({ "a", "b", "c" }, names)
    assert.same({}, objects:list(KIND, "empty"))
  end)

  it("lists the objects of all namespaces", function()
    assert.same({}, objects:list(KIND))
    for _, namespace in ipairs { "b", "a" } do
      for _, name in ipairs { "y", "x" } do
        assert(objects:create(KIND, { metadata = { name = name, namespace = namespace } }))
      end
    end
    assert(file.write(folder.path .. "/migration.harvesterhci.io/c", "not a folder"))
    local names = {}
    for i, object in ipairs(assert(objects:list(KIND))) do
      names[i] = object.metadata.namespace .. "/" .. object.metadata.name
    end
    assert.same({ "a/x", "a/y", "b/x", "b/y" }, names)
  end)

  it("changes spec and metadata apart from status", function()
    assert(create("vm"))
    local after = assert(patch("vm", { spec = { folder = "Prod" }, status = { x = 1 } }))
    assert.equal("Prod", after.spec.folder)
    assert.equal("web", after.spec.virtualMachineName)
    assert.is_nil(after.status)
    after = assert(patch("vm", { spec = { folder = "Test" }, status = { x = 1 } },
      { status = true }))
    assert.equal("Prod", after.spec.folder)
    assert.equal(1, after.status.x)
  end)

  it("counts a generation for a change of spec alone", function()
    assert(create("vm"))
    local function generation(...)
      return assert(patch("vm", ...)).metadata.generation
    end
    assert.equal(1, generation({ status = { x = 1 } }, { status = true }))
    assert.equal(1, generation({ metadata = { labels = { a = "b" } } }))
    assert.equal(2, generation({ spec = { folder = "Prod" } }))
    assert.equal(2, generation({ spec = { folder = "Prod" } }))
    assert.equal(3, generation({ spec = { folder = json.null } }))
  end)

  it("gives every change another version, and none to no change", function()
    assert(create("vm"))
    local function version(change)
      return assert(patch("vm", change, { status = true })).metadata.resourceVersion
    end
    assert.equal("2", version({ status = { x = 1 } }))
    assert.equal("2", version({ status = { x = 1 } }))
    assert.equal("3", version({ status = { x = 2 } }))
  end)

  it("refuses a change of a version that is not the last", function()
    assert(create("vm"))
    assert(patch("vm", { status = { x = 1 } }, { status = true }))
    local _, err = patch("vm", { metadata = { resourceVersion = "1" }, status = { x = 2 } },
      { status = true })
    assert.equal("conflict", err.kind)
    assert.equal(1, objects:get(KIND, "default", "vm").status.x)
    assert(patch("vm", { metadata = { resourceVersion = "2" }, status = { x = 2 } },
      { status = true }))
  end)

  it("does not let a patch take another uid", function()
    assert(create("vm"))
    local after = assert(patch("vm", { metadata = { uid = "mine", labels = { a = "b" } } }))
    assert.equal("uid-1", after.metadata.uid)
    assert.equal("b", after.metadata.labels.a)
  end)

  it("says that an object is not there", function()
    for _, call in ipairs {
      function() return objects:get(KIND, "default", "vm") end,
      function() return patch("vm", { spec = {} }) end,
      function() return objects:delete(KIND, "default", "vm") end,
    } do
      local _, err = call()
      assert.equal("notfound", err.kind)
    end
  end)

  it("forgets what is deleted; made again it is another one", function()
    assert(create("vm"))
    assert(objects:delete(KIND, "default", "vm"))
    assert.equal("notfound", select(2, objects:get(KIND, "default", "vm")).kind)
    assert.equal("uid-2", assert(create("vm")).metadata.uid)
  end)

  it("keeps lists, numbers and empty lists as they were", function()
    assert(create("vm"))
    local status = { recorded = json.array({}), attempt = 3,
      disks = { { size = 2 ^ 40 // 1, name = "null" }, { size = 0, name = "1e3" } } }
    assert(patch("vm", { status = status }, { status = true }))
    local read = objects:get(KIND, "default", "vm").status
    assert.equal(json.encode(status), json.encode(read))
    assert.equal("integer", math.type(read.disks[1].size))
  end)

  it("lets no name out of its folder", function()
    for _, name in ipairs { "../vm", "a/b", "A", "", ".", "..", "a..b", "a.", ("a"):rep(254) } do
      local _, err = pcall(create, name)
      assert.equal("invalid", err.kind, name)
    end
    for _, namespace in ipairs { "..", "a.b", "a/b", ("a"):rep(64) } do
      local _, err = pcall(objects.get, objects, KIND, namespace, "vm")
      assert.equal("invalid", err.kind, namespace)
    end
    assert.same({}, lab.files(folder.path))
  end)

  it("knows no kind but its own", function()
    local _, err = pcall(objects.get, objects, "Pot", "default", "vm")
    assert.equal("invalid", err.kind)
    assert.truthy(err.message:find("Pot", 1, true))
  end)

  it("names a file that was damaged by hand, and does not write over it", function()
    assert(create("vm"))
    assert(file.write(path("vm"), "metadata: [\n"))
    local _, err = objects:get(KIND, "default", "vm")
    assert.equal("format", err.kind)
    assert.is_true(err.final)
    assert.truthy(err.message:find(path("vm"), 1, true))
    assert(file.write(path("vm"), "just text\n"))
    _, err = patch("vm", { spec = {} })
    assert.equal("format", err.kind)
    assert.equal("just text\n", file.read(path("vm")))
  end)
end)
