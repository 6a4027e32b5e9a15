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
