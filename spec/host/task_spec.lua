local errors = require "host.error"
local task = require "host.task"

describe("host.task", function()
  it("gives what a task returned to whoever joins it", function()
    local t = task.spawn(function(a, b)
      task.sleep(0.001)
      return a + b, "x"
    end, 2, 3)
    assert.same({ true, 5, "x" }, { t:join() })
  end)

  it("knows for whom a task works: itself, what it spawns, and its goodbyes", function()
    local seen = {}
    local parent = task.spawn(function()
      local _ <close> = setmetatable({}, { __close = function()
        task.goodbye(function() seen.goodbye = task.label() end)
      end })
      assert.equal("a", task.label("a"))
      seen.child = select(2, task.spawn(task.label):join())
      seen.own = select(2, task.spawn(function() return task.label("b") end):join())
      assert.equal("a", task.label())
      task.sleep(60)
    end)
    while not seen.own do
      task.sleep(0.001)
    end
    parent:cancel()
    assert.same({ goodbye = "a", child = "a", own = "b" }, seen)
    assert.is_nil(task.label())
  end)

  it("gives what a task threw, with a traceback for a programming mistake", function()
    local ok, err = task.spawn(function()
      return ("").field.field
    end):join()
    assert.is_false(ok)
    assert.equal("internal", err.kind)
    assert.truthy(err.traceback:find("task_spec", 1, true))
    ok, err = task.spawn(function()
      error(errors.new("gone", "the lease is lost"))
    end):join()
    assert.is_false(ok)
    assert.equal("gone", err.kind)
  end)

  it("closes what a cancelled task holds and waits for its goodbyes", function()
    local said = {}
    local t = task.spawn(function()
      local guard <close> = setmetatable({}, { __close = function()
        said[#said + 1] = "closed"
        task.goodbye(function()
          task.sleep(0.005)
          said[#said + 1] = "goodbye"
        end)
      end })
      assert(guard)
      task.sleep(60)
      said[#said + 1] = "woken"
    end)
    task.sleep(0.001)
    assert.is_true(t:cancel())
    assert.same({ "closed", "goodbye" }, said)
    local ok, err = t:join()
    assert.is_false(ok)
    assert.equal("cancelled", err.kind)
  end)

  it("cancels a task that has not run yet without running it", function()
    local ran = false
    local t = task.spawn(function()
      ran = true
    end)
    assert.is_true(t:cancel())
    assert.is_false(ran)
  end)

  it("ends a task that cancels itself at its next wait", function()
    local reached = {}
    local t = task.spawn(function()
      task.current():cancel()
      reached[1] = true
      task.sleep(0)
      reached[2] = true
    end)
    assert.is_false((t:join()))
    assert.same({ true }, reached)
  end)

  it("cancels a task whose handle is closed", function()
    local t
    do
      local scoped <close> = task.spawn(task.sleep, 60)
      t = scoped
    end
    local ok, err = t:join(1)
    assert.is_false(ok)
    assert.equal("cancelled", err.kind)
  end)

  it("says timeout when a join takes too long", function()
    local t <close> = task.spawn(task.sleep, 60)
    local ok, err = t:join(0.002)
    assert.is_nil(ok)
    assert.equal("timeout", err.kind)
  end)

  it("refuses a bare yield instead of losing the task", function()
    local ok, err = task.spawn(_G.coroutine.yield):join()
    assert.is_false(ok)
    assert.truthy(err.message:find("host.task", 1, true))
  end)

  it("refuses to wait in a closing value of a cancelled task", function()
    local seen
    local t = task.spawn(function()
      local guard <close> = setmetatable({}, { __close = function()
        seen = select(2, pcall(task.sleep, 0))
      end })
      assert(guard)
      task.sleep(60)
    end)
    task.sleep(0)
    t:cancel()
    assert.truthy(tostring(seen):find("wait", 1, true))
  end)

  it("waits through pcall, iterators and __index", function()
    local t = setmetatable({}, { __index = function(_, key)
      task.sleep(0)
      return key
    end })
    local ok, value = pcall(function()
      for i in function(_, last)
        task.sleep(0)
        return last < 2 and last + 1 or nil
      end, nil, 0 do
        assert(i)
      end
      return t.answer
    end)
    assert.is_true(ok)
    assert.equal("answer", value)
  end)
end)

describe("task.semaphore", function()
  it("lets as many in as it has permits, in the order they came", function()
    local sem, order, inside, most = task.semaphore(2), {}, 0, 0
    local tasks = {}
    for i = 1, 6 do
      tasks[i] = task.spawn(function()
        local permit <close> = assert(sem:acquire())
        assert(permit)
        inside = inside + 1
        most = math.max(most, inside)
        order[#order + 1] = i
        task.sleep(0.001)
        inside = inside - 1
      end)
    end
    for _, t in ipairs(tasks) do
      assert(t:join())
    end
    assert.equal(2, most)
    assert.same({ 1, 2, 3, 4, 5, 6 }, order)
    assert.equal(2, sem:available())
  end)

  it("loses no permit when a waiter times out or is cancelled", function()
    local sem = task.semaphore(1)
    local held = assert(sem:acquire())
    local nothing, err = sem:acquire(0.001)
    assert.is_nil(nothing)
    assert.equal("timeout", err.kind)
    local waiter = task.spawn(function()
      return sem:acquire()
    end)
    task.sleep(0)
    held:release()   -- now given to the waiter, which has not run yet
    waiter:cancel()
    assert.equal(1, sem:available())
  end)
end)

describe("task.signal", function()
  it("wakes all that wait now", function()
    local sig, woken = task.signal(), 0
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = task.spawn(function()
        assert(sig:wait(5))
        woken = woken + 1
      end)
    end
    task.sleep(0.001)
    sig:notify()
    for _, t in ipairs(tasks) do
      assert(t:join())
    end
    assert.equal(3, woken)
  end)
end)
