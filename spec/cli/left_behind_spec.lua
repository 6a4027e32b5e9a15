-- What a failed import has made at its source: removed by the command that made it, or
-- named. The source is a script whose machine cannot be read.

local file = require "host.file"
local lab = require "support.lab"
local task = require "host.task"

local PROVIDER = [[
local errors = require "host.error"
local file = require "host.file"
local files = require "providers.files"

local module = files.provider("BrokenSource", {
  open = function(spec) return { folder = spec.endpoint } end,
  find = function(_, ref) return ref.name end,
  inspect = function()
    return { cpu = { sockets = 1, cores = 1 }, memory_bytes = 2^31 | 0,
      disks = { { id = "d", capacity_bytes = 2^20 | 0, bus = "virtio" } } }
  end,
  stamp = function()
    return "as ever"
  end,

  stream = function()
    return nil, errors.new("notfound", "the disk is not there")
  end,

  -- Refuses as often as the file `refusals` has bytes.
  cleanup = function(source, recorded)
    local path = source.folder .. "/refusals"
    local left = assert(file.read(path))
    if #left > 0 then
      assert(file.write(path, left:sub(2)))
      return recorded, errors.new("busy", "the volume is still attached")
    end
    return {}
  end,
})

local export = module.source.export
function module.source.export(source, machine, opts)
  opts.record({ kind = "Volume", name = "vic-temporary", id = "7" })
  return export(source, machine)
end

return module
]]

local OBJECTS = [[
apiVersion: migration.harvesterhci.io/v1beta1
kind: BrokenSource
metadata: {name: broken, namespace: default}
spec:
  endpoint: %s
  credentials: {name: none, namespace: default}
---
apiVersion: v1
kind: Secret
metadata: {name: none, namespace: default}
---
apiVersion: migration.harvesterhci.io/v1beta1
kind: VirtualMachineImport
metadata: {name: web, namespace: default}
spec:
  virtualMachineName: web
  sourceCluster: {name: broken, namespace: default, kind: BrokenSource,
    apiVersion: migration.harvesterhci.io/v1beta1}
]]

describe("import of what cannot be read", function()
  local function run(refusals)
    local folder <close> = lab.folder()
    local path = folder.path
    assert(file.mkdir(path .. "/site"))
    assert(file.write(path .. "/site/providers.broken.lua", PROVIDER))
    assert(file.write(path .. "/refusals", ("x"):rep(refusals)))
    assert(file.write(path .. "/vm.yaml", OBJECTS:format(path)))
    local result = lab.run({ "import", "-f", path .. "/vm.yaml", "--scripts",
      path .. "/site", "--allow-code", "--output", path .. "/out" })
    result.import = lab.read_object(path .. "/out", "VirtualMachineImport", "web")
    result.refusals = assert(file.read(path .. "/refusals"))
    return result
  end

  it("tries again to remove what it made, and names what it cannot", function()
    local once, always = task.spawn(run, 1), task.spawn(run, 9)
    local _, removed = assert(once:join(60))
    assert.equal(1, removed.status)
    assert.matches("the disk is not there", removed.stderr, 1, true)
    assert.is_nil(removed.stderr:find("left behind", 1, true))
    assert.same({}, removed.import.status.recorded)
    local _, left = assert(always:join(120))
    assert.equal(1, left.status)
    assert.matches("the disk is not there; it has left behind Volume vic-temporary",
      left.stderr, 1, true)
    assert.equal("vic-temporary", left.import.status.recorded[1].name)
    assert.equal(5, #left.refusals)
  end)
end)
