local errors = require "host.error"
local outcomes = require "flows.import.outcome"
local place = require "flows.import.steps.place"
local steps = require "support.steps"
local time = require "host.time"

local monotonic = time.monotonic

-- The import as it reads its source, and how often it has left its place.
local function world(state)
  local w = steps.world({ status = { importStatus = state or "sourceReady" } })
  w.left = 0
  w.env.leave_place = function(import)
    assert.equal("web", import.metadata.name)
    w.left = w.left + 1
  end
  return w
end

describe("flows.import.steps.place", function()
  it("is passed with a place, and where nobody counts any", function()
    local w = world()
    assert.is_nil(place.run(w.import, w.ctx))
    w.env.take_place = function() return true end
    assert.is_nil(place.run(w.import, w.ctx))
  end)

  it("waits for one; an outage is not over by that", function()
    local w = world()
    w.env.take_place = function() return false, "2 others move disks" end
    assert.same({ wait = "WaitingForPlace", message = "2 others move disks", after = 300 },
      place.run(w.import, w.ctx))
    w.import.status.outage = { reason = "SourceUnreachable" }
    assert.is_true(place.run(w.import, w.ctx).outage)
  end)

  it("is left by who tries again later, or waits for the source", function()
    for _, err in ipairs { errors.new("format", "damaged"),
      errors.new("connect", "refused") } do
      local w = world()
      outcomes.catch(w.import, w.ctx, err, 0)
      assert.equal(1, w.left)
    end
  end)

  it("is kept by who needs the source no more", function()
    local w = world("disksExported")
    outcomes.catch(w.import, w.ctx, errors.new("format", "damaged"), 0)
    assert.equal(0, w.left)
  end)
end)

describe("the pace of an import", function()
  local now, told, received, of

  local function reads()
    return { progress = function()
      return { received = received }
    end }
  end

  before_each(function()
    now, told, received = 1000, {}, 0
    time.monotonic = function()
      return now
    end
    of = place.pace("import", { slow_place = function(import, slow)
      assert.equal("import", import)
      told[#told + 1] = slow
    end })
  end)

  after_each(function()
    time.monotonic = monotonic
  end)

  -- So many seconds at so many bytes a second.
  local function pass(seconds, rate)
    for _ = 1, seconds do
      now, received = now + 1, received + rate
      of:look({ ["2000"] = reads() })
    end
  end

  it("tells of a byte a second within a minute, and once", function()
    pass(58, 1)
    assert.same({}, told)
    pass(120, 1)
    assert.same({ true }, told)
    of:close()
    assert.same({ true, false }, told)
  end)

  it("tells when it goes on, soon", function()
    pass(61, 1)
    pass(5, 10 << 20)
    assert.same({ true, false }, told)
  end)

  it("has nothing against a disk that comes", function()
    pass(300, 65536)
    of:close()
    assert.same({}, told)
  end)

  it("counts what is read anew, too", function()
    pass(50, 65536)
    received = 0
    pass(15, 65536 * 2)
    assert.same({}, told)
  end)

  it("blames nobody while no disk is being read", function()
    pass(61, 1)
    for _ = 1, 300 do
      now = now + 1
      of:look({})
    end
    assert.same({ true, false }, told)
  end)
end)
