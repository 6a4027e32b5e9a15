local queue = require "kube.queue"

describe("kube.queue", function()
  it("hands keys out in the order they are due", function()
    local q = queue.new()
    local times = {}
    for i = 1, 200 do
      times[i] = (i * 7919) % 200
      q:add("k" .. i, times[i])
    end
    local last = -1
    for _ = 1, 200 do
      local key = q:take(1000)
      local at = times[tonumber(key:sub(2))]
      assert.is_true(at >= last)
      last = at
    end
    assert.is_nil((q:take(1000)))
  end)

  it("hands no key out again and again without a pause, whatever makes it due", function()
    for name, due in pairs { done = true, added = true } do
      local q, now, runs = queue.new(), 0, 0
      q:add("a", 0)
      while now < 600 do
        local key, next_at = q:take(now)
        if key then
          runs = runs + 1
          q:done(key, name == "done" and now or nil)
          if due and name == "added" then
            q:add(key, now)
          end
        else
          now = next_at
        end
      end
      assert.is_true(runs > 60 and runs <= 60 + 600 / 5, name .. " " .. runs)
      q:add("b", 0) -- due longest
      assert.equal("b", (q:take(now)))
    end
  end)

  it("lets a key that has rested run as often as before", function()
    local q = queue.new()
    for now = 0, 100000, 5000 do
      for _ = 1, 59 do
        q:add("a", now)
        assert.equal("a", (q:take(now)))
        q:done("a")
      end
    end
  end)

  it("hands a key out once however often it was added", function()
    local q = queue.new()
    q:add("a", 5)
    q:add("a", 1)
    q:add("a", 9)
    local key, since = q:take(1)
    assert.equal("a", key)
    assert.equal(1, since)
    assert.is_nil((q:take(100)))
  end)

  it("does not hand out a key that runs, but right after when it was added", function()
    local q = queue.new()
    q:add("a", 0)
    q:take(0)
    q:add("a", 3)
    assert.is_nil((q:take(100)))
    q:done("a", 50)
    local key, at = q:take(2)
    assert.is_nil(key)
    assert.equal(3, at)
    assert.equal("a", q:take(3))
  end)

  it("forgets a key that is done and not due", function()
    local q = queue.new()
    q:add("a", 0)
    q:take(0)
    q:done("a")
    assert.is_false(q:knows("a"))
  end)

  it("says when the next one is due", function()
    local q = queue.new()
    q:add("a", 7)
    local key, at = q:take(6)
    assert.is_nil(key)
    assert.equal(7, at)
  end)
end)

describe("kube.queue, in detail,", function()
  it("knows which keys it has, and which run", function()
    local q = queue.new()
    q:add("a", 0)
    assert.is_true(q:knows("a"))
    assert.is_false(q:is_running("a"))
    assert.is_false(q:knows("b"))
    q:take(0)
    assert.is_true(q:knows("a"))
    assert.is_true(q:is_running("a"))
    assert.same({ 0, 1 }, { q:counts() })
    q:add("b", 9)
    assert.same({ 1, 1 }, { q:counts() })
    q:done("a")
    assert.is_false(q:is_running("a"))
    assert.same({ 1, 0 }, { q:counts() })
  end)

  it("makes a key due when it is done, at the earlier of both times", function()
    local function due(added, done)
      local q = queue.new()
      q:add("a", 0)
      q:take(0)
      if added then
        q:add("a", added)
        q:add("a", added + 1)
      end
      q:done("a", done)
      return (select(2, q:take(0)))
    end
    assert.equal(3, due(3, 5))
    assert.equal(5, due(7, 5))
    assert.equal(7, due(7, nil))
    assert.equal(5, due(nil, 5))
    assert.is_nil(due(nil, nil))
  end)

  it("keeps the order when keys become due earlier", function()
    local q = queue.new()
    for i = 1, 9 do
      q:add("k" .. i, i * 10)
    end
    q:add("k9", 15)
    q:add("k5", 5)
    q:add("k1", 99) -- it is due earlier, and stays so
    local order = {}
    for _ = 1, 9 do
      order[#order + 1] = q:take(1000)
    end
    assert.equal("k5 k1 k9 k2 k3 k4 k6 k7 k8", table.concat(order, " "))
  end)

  it("is empty, and says so", function()
    local q = queue.new()
    assert.same({}, { q:take(5) })
    q:add("a", 5)
    assert.same({ "a", 5 }, { q:take(5) })
  end)

  it("lets a key run sixty times at once, then every five seconds", function()
    local q = queue.new()
    for run = 1, 60 do
      q:add("a", 100)
      assert.equal("a", (q:take(100)), run)
      q:done("a")
    end
    q:add("a", 100)
    local key, at = q:take(100)
    assert.is_nil(key)
    assert.equal(105, at)
    assert.equal("a", (q:take(105)))
    q:done("a", 0)
    assert.equal(110, (select(2, q:take(109))))
  end)

  it("remembers no run for longer than it counts", function()
    local q = queue.new()
    for i = 1, 1000 do
      q:add("k" .. i, i)
      q:take(i)
      q:done("k" .. i)
    end
    local n, least = 0, math.huge
    for key in pairs(q.runs) do
      n, least = n + 1, math.min(least, tonumber(key:sub(2)))
    end
    assert.equal(6, n) -- those of the last five seconds
    assert.equal(995, least)
  end)
end)
