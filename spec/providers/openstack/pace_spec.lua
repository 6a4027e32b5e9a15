local pace = require "providers.openstack.pace"
local time = require "host.time"

describe("providers.openstack.pace", function()
  it("looks soon, then less and less often, and never more seldom than it may", function()
    local pause = pace.new(0.008)
    local last = pause()
    assert.equal(0.001, last)
    for _ = 1, 10 do
      local now = pause()
      assert.truthy(now > last or now == 0.008)
      assert.truthy(now <= 0.008)
      last = now
    end
    assert.equal(0.008, last)
  end)

  it("tells how long it was away", function()
    local began, pause, passed = time.monotonic(), pace.new(0.02), 0
    for _ = 1, 5 do
      passed = passed + pause()
    end
    assert.truthy(time.monotonic() - began >= passed)
  end)
end)
