local file = require "host.file"
local lab = require "support.lab"
local leftovers = require "store.leftovers"

local GROUP = "migration.harvesterhci.io"

describe("leftovers.remove", function()
  local folder, dir

  before_each(function()
    folder = lab.folder()
    dir = folder.path
    assert(file.mkdir(dir .. "/" .. GROUP .. "/prod", { parents = true }))
    assert(file.mkdir(dir .. "/prod"))
    assert(file.mkdir(dir .. "/other"))
  end)

  after_each(function()
    getmetatable(folder).__close(folder)
  end)

  local function write(...)
    for _, name in ipairs { ... } do
      assert(file.write(dir .. "/" .. name, "x"))
    end
  end

  it("takes half-written objects and disks away, and nothing else", function()
    local stay = {
      "migration.harvesterhci.io/prod/virtualmachineimport.vm.yaml",
      "prod/.hidden.new",
      "prod/movie.part",
      "prod/virtualmachine.vm.yaml",
      "prod/vm-1a2b3c4d-disk-0.raw",
    }
    write(table.unpack(stay))
    write("prod/vm-1a2b3c4d-disk-1.raw.part", "prod/.virtualmachine.vm.yaml.0f3A9x.new",
      GROUP .. "/prod/.virtualmachineimport.vm.yaml.00ab12.new")
    leftovers.remove(dir, GROUP)
    assert.same(stay, lab.files(dir))
  end)

  it("looks only where objects of ours are", function()
    write("other/a-disk-0.raw.part", "b-disk-0.raw.part")
    leftovers.remove(dir, GROUP)
    assert.same({ "b-disk-0.raw.part", "other/a-disk-0.raw.part" }, lab.files(dir))
  end)

  it("leaves a disk that somebody still writes", function()
    write("prod/a-disk-0.raw.part")
    local lock <close> = assert(file.lock(dir .. "/prod/a-disk-0.raw.part"))
    assert(lock)
    leftovers.remove(dir, GROUP)
    assert.same({ "prod/a-disk-0.raw.part" }, lab.files(dir))
  end)

  it("finds nothing in a folder that is new, and takes a file for no namespace", function()
    leftovers.remove(dir .. "/not-there", GROUP)
    write(GROUP .. "/notes.txt")
    leftovers.remove(dir, GROUP)
    assert.same({ GROUP .. "/notes.txt" }, lab.files(dir))
  end)
end)
