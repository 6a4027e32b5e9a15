local file = require "host.file"
local lab = require "support.lab"
local program = require "support.program"

-- A script for the program under test, as a file of its own.
local SCRIPT = [[
local service = require "cli.service"
local task = require "host.task"

local function say(text)
  io.stdout:write(text, "\n")
  io.stdout:flush()
end

local how, delay = ...
local bystander = task.spawn(function()
  task.sleep(tonumber(delay or 0.3))
  say("the bystander ends by itself")
end)

local function work()
  local guard <close> = setmetatable({}, { __close = function()
    task.goodbye(function()
      task.sleep(0.05)
      say("goodbye")
    end)
  end })
  say("running")
  if how == "return" then
    return
  elseif how == "fail" then
    error({ kind = "io", message = "failed" })
  end
  task.sleep(100)
end

local ok, stopped = pcall(service.run, work)
say(ok and "stopped " .. tostring(stopped) or stopped.message)
bystander:join()
return 7
]]

describe("service.run", function()
  local folder

  before_each(function()
    folder = lab.folder()
    assert(file.write(folder.path .. "/script.lua", SCRIPT))
  end)

  after_each(function()
    getmetatable(folder).__close(folder)
  end)

  local function start(...)
    return program.start(folder.path, { "script", folder.path .. "/script.lua", ... },
      { output = folder.path .. "/out" })
  end

  local function said()
    return file.read(folder.path .. "/out")
  end

  for _, name in ipairs { "TERM", "INT" } do
    it("ends the work on SIG" .. name .. ", then goes on", function()
      local running <close> = start()
      lab.wait_for("it runs", function()
        return (said() or "") == "running\n"
      end)
      running:signal(name)
      assert.equal(7, running:wait(20).status)
      assert.equal("running\ngoodbye\nstopped true\nthe bystander ends by itself\n", said())
    end)
  end

  it("ends at once on the second signal", function()
    local running <close> = start("wait", "100")
    lab.wait_for("it runs", function()
      return (said() or "") == "running\n"
    end)
    running:signal("TERM")
    lab.wait_for("the work has ended", function()
      return said():find("stopped", 1, true)
    end)
    running:signal("TERM")
    local result = running:wait(20)
    assert.equal(143, result.status)
    assert.falsy(said():find("bystander", 1, true))
  end)

  it("tells that the work has returned, or throws what it threw", function()
    local running <close> = start("return")
    running:wait(20)
    assert.truthy(said():find("goodbye\nstopped false\n", 1, true))
    local failing <close> = start("fail")
    failing:wait(20)
    assert.truthy(said():find("goodbye\nfailed\n", 1, true))
  end)
end)
