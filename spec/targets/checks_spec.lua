local checks = require "targets.checks"
local errors = require "host.error"
local task = require "host.task"

-- A cluster whose StorageClass is there or not, and that counts who asks for it.
local function cluster()
  local seen = { asked = 0, there = true }
  function seen.get()
    seen.asked = seen.asked + 1
    return seen.there and { provisioner = "driver.longhorn.io" } or nil,
      errors.new("notfound", "no such class")
  end
  return seen
end

describe("targets.checks", function()
  it("asks once for the class of all disks", function()
    local seen = cluster()
    local at = checks.new(seen, 60)
    for _ = 1, 4 do
      assert.equal("backingimage", at:backend("fast"))
    end
    assert.equal(1, seen.asked)
    assert.equal("backingimage", at:backend("slow"))
    assert.equal(2, seen.asked)
  end)

  it("knows whether a class is there; one that may not be looked up is not", function()
    local seen = cluster()
    local at = checks.new(seen, 0)
    assert.is_true(at:has_class("fast"))
    seen.there = false
    assert.is_false(at:has_class("fast"))
    function seen.get()
      return nil, errors.new("denied", "not allowed")
    end
    assert.is_false(at:has_class("fast"))
    function seen.get()
      return nil, errors.new("connect", "refused")
    end
    assert.is_false((pcall(at.has_class, at, "fast")))
  end)

  it("asks again after a while, and at once for one that was not there", function()
    local seen = cluster()
    local at = checks.new(seen, 0.02)
    assert.equal("backingimage", at:backend("fast"))
    task.sleep(0.03)
    seen.there = false
    local backend, err = at:backend("fast")
    assert.is_nil(backend)
    assert.equal("StorageClass fast does not exist", err.message)
    seen.there = true
    assert.equal("backingimage", at:backend("fast"))
    assert.equal(3, seen.asked)
  end)
end)
