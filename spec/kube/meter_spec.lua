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

describe("kube.meter, in detail,", function()
  local now, slept, m

  before_each(function()
    now, slept = 1000, {}
    m = meter.new({ at_once = 3, rate = 2, clock = function() return now end,
      sleep = function(seconds) slept[#slept + 1] = seconds end })
  end)

  local function pass(times, id)
    for _ = 1, times do
      m:pass(id or "a")
    end
  end

  it("holds the one that is too many, and longer each time", function()
    pass(3)
    assert.same({}, slept)
    pass(2)
    assert.same({ 0.5, 1 }, slept)
    assert.equal(2, m.held)
    pass(3, "b")
    assert.equal(2, m.held)
  end)

  it("lets go of what time has passed", function()
    pass(3)
    now = now + 0.5
    pass(1)
    assert.equal(0, m.held)
    pass(1)
    assert.same({ 0.5 }, slept)
    now = now + 1000
    pass(3)
    assert.equal(1, m.held)
  end)

  it("knows who asks most, in this minute or the last", function()
    pass(2)
    pass(3, "b")
    assert.equal(3, m:most())
    now = now + 59.9
    assert.equal(3, m:most())
    now = now + 0.1 -- the next minute
    pass(1)
    assert.equal(3, m:most())
    now = now + 60
    assert.equal(1, m:most())
    now = now + 120
    assert.equal(0, m:most())
    pass(2)
    now = now + 60
    pass(4)
    assert.equal(4, m:most())
  end)

  it("counts on from the minute before", function()
    now = now + 59.9
    pass(3)
    now = now + 0.1
    pass(1)
    assert.same({ 0.4 }, { math.floor(slept[1] * 10 + 0.5) / 10 })
  end)

  it("forgets who asked nothing in a whole minute", function()
    pass(5)
    now = now + 120
    slept = {}
    pass(3)
    assert.same({}, slept)
  end)
end)

describe("kube.meter by itself", function()
  it("lets 3,000 requests pass at once, and 20 in a second", function()
    local m = meter.new()
    assert.equal(3000, m.at_once)
    assert.equal(20, m.rate)
  end)
end)
