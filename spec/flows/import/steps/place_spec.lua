local errors = require "host.error"
local outcomes = require "flows.import.outcome"
local place = require "flows.import.steps.place"
local steps = require "support.steps"

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
