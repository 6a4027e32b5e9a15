local clock = require "flows.import.clock"
local time = require "host.time"

describe("flows.import.clock", function()
  it("is the one that nobody can set, or a spec's own", function()
    assert.equal(7, clock.now({ boottime = function() return 7 end }))
    local before = time.boottime()
    local now = clock.now({})
    assert.is_true(now >= before and now <= time.boottime())
  end)
end)
