local errors = require "host.error"
local file = require "host.file"
local json = require "host.json"
local lab = require "support.lab"
local target = require "targets.directory"
local yaml = require "host.yaml"

local MIB = 2 ^ 20 // 1

local PLAN = {
  name = "web", namespace = "prod",
  disks = {
    { id = "2000", name = "web-1a2b3c4d-disk-0", capacity_bytes = 2 * MIB },
    { id = "2001", name = "web-1a2b3c4d-disk-1", capacity_bytes = 3 * MIB },
  },
  virtual_machine = {
    apiVersion = "kubevirt.io/v1", kind = "VirtualMachine",
    metadata = { name = "web", namespace = "prod" },
    spec = { running = true },
  },
}
local IMPORT = { metadata = { uid = "uid-1", name = "vm", namespace = "prod" } }
local OTHER = { metadata = { uid = "uid-2", name = "vm", namespace = "prod" } }

describe("targets.directory", function()
  local folder, out

  before_each(function()
    folder = lab.folder()
    out = target.new(folder.path, { serve_url = "http://192.0.2.1/images/" })
  end)

  after_each(function()
    getmetatable(folder).__close(folder)
  end)

  describe("check", function()
    it("finds nothing in an empty folder with room", function()
      assert.same({}, out:check(PLAN, IMPORT))
    end)

    it("lets an import write its own machine again, and nobody else's", function()
      out:put_machine({ PLAN.virtual_machine }, IMPORT)
      assert.same({}, out:check(PLAN, IMPORT))
      local found = out:check(PLAN, OTHER)
      assert.equal("VirtualMachineExists", found[1].code)
      assert.equal("Blocks", found[1].severity)
      assert.truthy(found[1].action:find("spec.targetName", 1, true))
    end)

    it("takes a manifest without owner, or one that is no YAML, for somebody else's",
      function()
        assert(file.mkdir(folder.path .. "/prod"))
        local path = folder.path .. "/prod/virtualmachine.web.yaml"
        for _, text in ipairs { "kind: VirtualMachine\n", "[\n", "" } do
          assert(file.write(path, text))
          assert.equal("VirtualMachineExists", out:check(PLAN, IMPORT)[1].code)
        end
      end)

    it("warns when well filled disks would not fit", function()
      local space = assert(file.statfs(folder.path))
      local large = { namespace = "prod", virtual_machine = PLAN.virtual_machine,
        disks = { { capacity_bytes = space.total_bytes }, { capacity_bytes = 1 } } }
      local found = out:check(large, IMPORT)
      assert.equal("SpaceMayRunOut", found[1].code)
      assert.equal("Warns", found[1].severity)
    end)
  end)

  describe("disks", function()
    it("have a path of namespace and name", function()
      assert.equal(folder.path .. "/prod/web-1a2b3c4d-disk-0.raw",
        out.disks:path(PLAN, PLAN.disks[1]))
    end)

    it("are whole only as files of the right size", function()
      local disk, path = PLAN.disks[1], out.disks:path(PLAN, PLAN.disks[1])
      assert.is_nil(out.disks:state(PLAN, disk))
      assert(file.mkdir(folder.path .. "/prod"))
      assert(file.write(path .. ".part", ("x"):rep(2 * MIB)))
      assert.is_nil(out.disks:state(PLAN, disk))
      assert(file.write(path, ("x"):rep(2 * MIB - 512)))
      assert.is_nil(out.disks:state(PLAN, disk))
      assert(file.write(path, ("x"):rep(2 * MIB)))
      assert.equal("whole", out.disks:state(PLAN, disk))
      assert(file.remove(path))
      assert(file.mkdir(path))
      assert.is_nil(out.disks:state(PLAN, disk))
    end)

    it("are given up with all that there is of them", function()
      local path = out.disks:path(PLAN, PLAN.disks[1])
      assert(file.mkdir(folder.path .. "/prod"))
      assert(file.write(path, "x"))
      assert(file.write(path .. ".part", "x"))
      out.disks:remove(PLAN, PLAN.disks[1])
      out.disks:remove(PLAN, PLAN.disks[1])
      assert.same({}, lab.files(folder.path))
    end)

    it("say why they cannot be written", function()
      assert(file.write(folder.path .. "/prod", "a file in the way"))
      local transfer, err = out.disks:put(PLAN, PLAN.disks[1],
        { url = "https://127.0.0.1:1/disk", format = "vmdk" })
      assert.is_nil(transfer)
      assert.truthy(err.message:find(folder.path .. "/prod", 1, true))
      assert.equal("io", errors.of(err).kind)
    end)
  end)

  describe("put_machine", function()
    local function read(name)
      return assert(yaml.parse(assert(file.read(folder.path .. "/prod/" .. name))))[1]
    end

    it("writes each manifest into its namespace, with its import's uid", function()
      local claim = { apiVersion = "v1", kind = "PersistentVolumeClaim",
        metadata = { name = "web-disk-0", namespace = "prod", annotations = { a = "b" } } }
      out:put_machine({ claim, PLAN.virtual_machine }, IMPORT)
      assert.same({ "prod/persistentvolumeclaim.web-disk-0.yaml",
        "prod/virtualmachine.web.yaml" }, lab.files(folder.path))
      assert.same({ a = "b", ["migration.harvesterhci.io/import-uid"] = "uid-1" },
        read("persistentvolumeclaim.web-disk-0.yaml").metadata.annotations)
      assert.is_true(read("virtualmachine.web.yaml").spec.running)
      assert.is_nil(PLAN.virtual_machine.metadata.annotations)
    end)

    it("writes the same again", function()
      out:put_machine({ PLAN.virtual_machine }, IMPORT)
      local before = json.encode(read("virtualmachine.web.yaml"))
      out:put_machine({ PLAN.virtual_machine }, IMPORT)
      assert.equal(before, json.encode(read("virtualmachine.web.yaml")))
    end)

    it("begins a manifest as people write it", function()
      out:put_machine({ PLAN.virtual_machine }, IMPORT)
      local text = assert(file.read(folder.path .. "/prod/virtualmachine.web.yaml"))
      assert.truthy(text:find("^apiVersion: kubevirt.io/v1\nkind: VirtualMachine\n"), text)
    end)
  end)

  it("says where an image will be served, if anybody serves", function()
    assert.equal("http://192.0.2.1/images/abc/x.raw", out:image_url("/abc/x.raw"))
    assert.is_nil(target.new(folder.path, {}):image_url("/abc/x.raw"))
  end)
end)
