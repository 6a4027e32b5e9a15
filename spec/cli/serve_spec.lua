-- `serve` over a folder in which somebody has written manifests of their own.

local env = require "host.env"
local file = require "host.file"
local lab = require "support.lab"
local process = require "host.process"
local yaml = require "host.yaml"

local ROUTE = "/v1/" .. ("a"):rep(32)

-- An import's manifest that names a disk of 4 bytes there.
local function manifest(namespace, name)
  return yaml.dump({
    apiVersion = "migration.harvesterhci.io/v1beta1", kind = "VirtualMachineImport",
    metadata = { name = "a", namespace = "default", uid = "u" },
    spec = { virtualMachineName = "a" },
    status = { plan = { namespace = namespace }, diskImportStatus = {
      { diskName = name, diskSize = 4, diskRoute = ROUTE },
    } },
  })
end

-- What serve says of a folder with that manifest; it ends, as there is nothing to serve, or
-- "nowhere" is no address.
local function served(dir, namespace, name)
  local folder = dir .. "/out/migration.harvesterhci.io/default"
  assert(file.mkdir(folder, { parents = true }))
  assert(file.write(folder .. "/virtualmachineimport.a.yaml", manifest(namespace, name)))
  local result = assert(process.run({ timeout = 60, argv = { env.get("VIC_PROGRAM"), "serve",
    dir .. "/out", "--listen", "nowhere:0" } }))
  assert.equal(1, result.status)
  return result.stderr
end

describe("serve", function()
  it("serves what is in the folder", function()
    local dir <close> = lab.folder()
    assert(file.mkdir(dir.path .. "/out/default", { parents = true }))
    assert(file.write(dir.path .. "/out/default/disk.raw", "mine"))
    local said = served(dir.path, "default", "disk")
    assert.truthy(said:find("nowhere: not an IP address", 1, true), said)
    assert.is_nil(said:find("not served", 1, true), said)
  end)

  it("leaves it by no name that a manifest gives, and by no link", function()
    local dir <close> = lab.folder()
    local out = dir.path .. "/out"
    assert(file.mkdir(out .. "/default", { parents = true }))
    assert(file.mkdir(dir.path .. "/elsewhere"))
    for _, path in ipairs { "/secret.raw", "/elsewhere/secret.raw" } do
      assert(file.write(dir.path .. path, "4444"))
    end
    local links = ("ln -s ../elsewhere '%s/linked'; ln -s ../../secret.raw '%s/default/linked.raw'")
      :format(out, out)
    assert(os.execute(links))
    for _, case in ipairs {
      { "..", "secret" }, { ".", "../secret" }, { "default", "../../secret" },
      { "default/../..", "secret" }, { dir.path, "secret" }, { "", "secret" },
      { "linked", "secret" }, { "default", "linked" }, { "default", "a/../../../secret" },
      { "none", "secret" }, { "default", "" },
    } do
      local said = served(dir.path, case[1], case[2])
      assert.truthy(said:find("it is not served", 1, true), case[1] .. " " .. case[2])
      assert.truthy(said:find("holds no images to serve", 1, true), said)
    end
  end)
end)
