local controller = require "kube.controller"
local errors = require "host.error"
local task = require "host.task"
local time = require "host.time"

local function key(name)
  return { kind = "K", namespace = "n", name = name }
end

local function until_true(check)
  for _ = 1, 2000 do
    if check() then
      return
    end
    task.sleep(0.001)
  end
  error("has not happened")
end

describe("kube.controller", function()
  it("begins nothing new while it is crowded", function()
    local crowded, runs = true, 0
    local c = controller.new({
      reconcile = function()
        runs = runs + 1
      end,
      crowded = function()
        return crowded
      end,
    })
    local loop <close> = task.spawn(c.run, c)
    assert(loop)
    c:add(key("a"))
    task.sleep(0.06)
    assert.equal(0, runs)
    crowded = false
    until_true(function() return runs == 1 end)
  end)

  it("leaves a key alone for as long as was said", function()
    local runs = 0
    local c = controller.new({ reconcile = function()
      runs = runs + 1
      return { after = 600 }
    end })
    local loop <close> = task.spawn(c.run, c)
    assert(loop)
    c:add(key("a"))
    until_true(function()
      return runs == 1 and select(2, c:counts()) == 0
    end)
    task.sleep(0.03)
    assert.equal(1, runs)
  end)

  it("calls the task of a key after it", function()
    local names = {}
    local c = controller.new({ reconcile = function()
      for _, entry in ipairs(task.list()) do
        names[entry.name] = entry.doing
      end
    end })
    local loop <close> = task.spawn(c.run, c)
    assert(loop)
    c:add(key("a"))
    until_true(function() return names["K n/a"] end)
    assert.equal("runs", names["K n/a"])
  end)

  it("runs keys side by side, and never one twice at once", function()
    local running, most, runs = {}, 0, 0
    local c = controller.new({ reconcile = function(k)
      assert(not running[k.name], "twice at once")
      running[k.name] = true
      runs = runs + 1
      local n = 0
      for _ in pairs(running) do
        n = n + 1
      end
      most = math.max(most, n)
      task.sleep(0.003)
      running[k.name] = nil
    end })
    local loop <close> = task.spawn(c.run, c)
    assert(loop)
    for _ = 1, 3 do
      for _, name in ipairs { "a", "b", "c" } do
        c:add(key(name))
      end
      task.sleep(0.001)
    end
    until_true(function() return runs >= 6 and next(running) == nil end)
    assert.equal(3, most)
  end)

  it("comes back after as long as was asked for", function()
    local runs = 0
    local c = controller.new({ reconcile = function()
      runs = runs + 1
      return runs < 3 and { after = 0.001 } or nil
    end })
    local loop <close> = task.spawn(c.run, c)
    assert(loop)
    c:add(key("a"))
    until_true(function() return runs == 3 end)
    task.sleep(0.01)
    assert.equal(3, runs)
    assert.is_nil(next(c.keys))
  end)

  it("looks again at once when another writer was quicker, with back-off if always", function()
    local runs = 0
    local c = controller.new({ reconcile = function()
      runs = runs + 1
      return { after = 0, again = "changed meanwhile" }
    end })
    local loop <close> = task.spawn(c.run, c)
    assert(loop)
    c:add(key("a"))
    until_true(function() return runs == 2 end)
    task.sleep(0.02)
    assert.equal(2, runs)
    assert.is_true(c.queue.heap[1].time > time.monotonic() + 1)
  end)

  it("says for which key a task and what it spawns works", function()
    local labels = {}
    local c = controller.new({ reconcile = function()
      labels[1] = task.label()
      task.spawn(function()
        labels[2] = task.label()
      end):join()
    end })
    local loop <close> = task.spawn(c.run, c)
    assert(loop)
    c:add(key("a"))
    until_true(function() return labels[2] end)
    assert.same({ "K/n/a", "K/n/a" }, labels)
    assert.is_nil(task.label())
  end)

  it("runs a cancelled key again once its goodbyes are said", function()
    local order = {}
    local c = controller.new({ reconcile = function()
      order[#order + 1] = "run"
      if #order > 1 then
        return nil
      end
      local guard <close> = setmetatable({}, { __close = function()
        task.goodbye(function()
          task.sleep(0.003)
          order[#order + 1] = "goodbye"
        end)
      end })
      assert(guard)
      task.sleep(60)
    end })
    local loop <close> = task.spawn(c.run, c)
    assert(loop)
    c:add(key("a"))
    until_true(function() return #order == 1 end)
    c:cancel(key("a"))
    until_true(function() return #order == 3 end)
    assert.same({ "run", "goodbye", "run" }, order)
  end)

  it("tries a key that failed again, no sooner than the server has asked for", function()
    local runs, results = 0, {}
    local c = controller.new({
      reconcile = function()
        runs = runs + 1
        error(errors.new("busy", "not now", { after = 600 }))
      end,
      observer = {
        started = function(_, late, waiting, running)
          assert(late >= 0 and late < 5)
          results[#results + 1] = ("started %d %d"):format(waiting, running)
        end,
        ended = function(_, k, ok)
          results[#results + 1] = k.name .. tostring(ok)
        end,
        queued = function(_, waiting, running)
          results[#results + 1] = ("then %d %d"):format(waiting, running)
        end,
      },
    })
    local loop <close> = task.spawn(c.run, c)
    assert(loop)
    c:add(key("a"))
    until_true(function() return runs == 1 and c.queue.heap[1] end)
    assert.is_true(c.queue.heap[1].time >= time.monotonic() + 599)
    assert.same({ "started 0 1", "afalse", "then 1 0" }, results)
    c:add(key("a"))
    until_true(function() return runs == 2 end)
  end)

  it("is closed with goodbyes that whoever waits for its task waits for", function()
    local said = 0
    local owner = task.spawn(function()
      local c <close> = controller.new({ reconcile = function()
        local guard <close> = setmetatable({}, { __close = function()
          task.goodbye(function()
            task.sleep(0.01)
            said = said + 1
          end)
        end })
        assert(guard)
        task.sleep(60)
      end })
      local loop <close> = task.spawn(c.run, c)
      assert(loop)
      c:add(key("a"))
      c:add(key("b"))
      task.sleep(60)
    end)
    task.sleep(0.01)
    assert.is_true(owner:cancel(5))
    assert.equal(2, said)
  end)

  it("takes no key any more once it is stopped", function()
    local runs = 0
    local c = controller.new({ reconcile = function()
      runs = runs + 1
    end })
    local loop <close> = task.spawn(c.run, c)
    assert(loop)
    c:stop()
    c:add(key("a"))
    task.sleep(0.01)
    assert.equal(0, runs)
  end)

  it("stops all of them and waits for it", function()
    local ended = 0
    local c = controller.new({ reconcile = function()
      local guard <close> = setmetatable({}, { __close = function()
        ended = ended + 1
      end })
      assert(guard)
      task.sleep(60)
    end })
    local loop <close> = task.spawn(c.run, c)
    assert(loop)
    for i = 1, 5 do
      c:add(key("k" .. i))
    end
    until_true(function() return select(2, c:counts()) == 5 end)
    c:stop()
    assert.equal(5, ended)
  end)
end)

describe("kube.controller, in detail,", function()
  it("runs a key as late as it was asked to", function()
    local ran = {}
    local c = controller.new({ reconcile = function(of)
      ran[#ran + 1] = of.name
    end })
    local running = task.spawn(function() c:run() end)
    local began = time.monotonic()
    c:add({ kind = "K", name = "late" }, 0.2)
    c:add({ kind = "K", name = "now" })
    until_true(function() return #ran == 2 end)
    assert.same({ "now", "late" }, ran)
    assert.is_true(time.monotonic() - began >= 0.2)
    running:cancel()
  end)

  it("forgets a key that is done, and what it has failed", function()
    local c = controller.new({ reconcile = function() end })
    local running = task.spawn(function() c:run() end)
    c:add({ kind = "K", namespace = "n", name = "a" })
    until_true(function() return next(c.keys) == nil end)
    assert.same({}, c.failures)
    assert.same({ 0, 0 }, { c:counts() })
    running:cancel()
  end)
end)
