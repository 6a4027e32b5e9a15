local meter = require "kube.meter"

describe("kube.meter", function()
  local now, slept, m

  before_each(function()
    now, slept = 0, 0
    m = meter.new({ clock = function() return now end, at_once = 10, rate = 2,
      sleep = function(seconds) slept = slept + seconds; now = now + seconds end })
  end)

  local function ask(id, n)
    for _ = 1, n do
      m:pass(id)
    end
  end

  it("lets an object ask as often as sound ones do, without a wait", function()
    ask("a", 10)
    ask("b", 10)
    assert.equal(0, slept)
    assert.equal(0, m.held)
  end)

  it("holds who goes on asking to so many in a second, however long", function()
    ask("a", 10 + 600)
    assert.equal(600, m.held)
    assert.is_true(math.abs(now - 300) < 1, now)
    ask("b", 1)
    assert.equal(600, m.held)
  end)

  it("forgets what was asked long ago", function()
    ask("a", 10)
    now = now + 3600
    ask("a", 10)
    assert.equal(0, slept)
    assert.equal(10, m:most())
  end)

  it("knows the most that one object asked within a minute, this or the last", function()
    ask("a", 7)
    ask("b", 3)
    assert.equal(7, m:most())
    now = 61
    ask("b", 1)
    assert.equal(7, m:most())
    now = 122
    assert.equal(1, m:most())
    now = 500
    assert.equal(0, m:most())
  end)

  it("does not count what is for no object", function()
    ask(nil, 100)
    assert.equal(0, m:most())
  end)
end)
