local controller = require "kube.controller"
local task = require "host.task"

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
