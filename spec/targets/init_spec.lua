local directory = require "targets.directory"
local harvester = require "targets.harvester"
local targets = require "targets"

local function cluster()
  return harvester.new({ client = {}, server = {}, base_url = "http://svc:8080",
    scratch = "/scratch" })
end

-- A target without one of its calls: what is said of it.
local function without(target, of, name)
  local holder = of == "disks" and target.disks or target
  local lame = setmetatable({ [name] = false }, { __index = holder })
  if of == "disks" then
    lame = setmetatable({ disks = lame }, { __index = target })
  end
  local ok, err = targets.check(lame)
  assert.is_nil(ok)
  assert.equal("invalid", err.kind)
  return err.message
end

describe("targets.check", function()
  it("takes the targets there are", function()
    assert.is_true(targets.check(directory.new("/out", {})))
    assert.is_true(targets.check(cluster()))
  end)

  it("names what is missing", function()
    assert.truthy(without(cluster(), "target", "served"):find("target:served", 1, true))
    assert.truthy(without(cluster(), "target", "copy_state"):find("copy_state", 1, true))
    assert.truthy(without(cluster(), "disks", "comes"):find("disks:comes", 1, true))
    assert.truthy(without(directory.new("/out", {}), "disks", "rename"):find("disks:rename",
      1, true))
    assert.truthy(without(directory.new("/out", {}), "target", "put_machine"):find(
      "target:put_machine", 1, true))
  end)

  it("asks of a target no more than it can", function()
    local target = directory.new("/out", {})
    assert.is_nil(target.publish)
    target.can = { images = true, run = false }
    local _, err = targets.check(target)
    assert.truthy(err.message:find("target:publish,", 1, true))
    assert.falsy(err.message:find("machine_state", 1, true))
  end)

  it("wants to be told what a target can", function()
    local target = directory.new("/out", {})
    target.can = { images = false }
    local _, err = targets.check(target)
    assert.truthy(err.message:find("can.run", 1, true))
  end)
end)
