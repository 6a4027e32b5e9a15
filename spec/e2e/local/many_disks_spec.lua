-- A machine with as many disks and NICs as a large database server has, imported into a
-- directory.

local file = require "host.file"
local lab = require "support.lab"
local many = require "support.many"

describe("import --output of 64 disks and 10 NICs", function()
  it("brings every disk to its end, and a manifest that has them all", function()
    local folder <close> = lab.folder()
    local sim <close> = lab.simulator(folder.path, { scenario = many.scenario(64, 10) })
    local result = lab.import(sim, folder.path, {
      dc = "DC0",
      imports = { { name = "many", machine = "many", spec = many.spec(10) } },
    })
    assert.equal(0, result.status, result.stderr)
    local manifest = assert(file.read(folder.path
      .. "/out/default/virtualmachine.many.yaml"))
    local _, claims = manifest:gsub("claimName: ", "")
    local _, networks = manifest:gsub("networkName: ", "")
    assert.equal(64, claims)
    assert.equal(10, networks)
    local _, paths = result.stdout:gsub("%-disk%-%d+%.raw\n", "")
    assert.equal(64, paths)
    for _, n in ipairs { 0, 16, 63 } do
      local path = result.stdout:match(("[^\n]*%%-disk%%-%d%%.raw"):format(n))
      assert.equal(lab.original(folder.path, many.disk(n)), lab.sha512(path), path)
    end
  end)
end)
