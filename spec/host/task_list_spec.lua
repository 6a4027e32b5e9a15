--- What every task is doing: task.list, SIGUSR1, /debug/tasks.

local file = require "host.file"
local http = require "host.http"
local httpd = require "httpd"
local json = require "host.json"
local lab = require "support.lab"
local metrics = require "host.metrics"
local program = require "support.program"
local task = require "host.task"

local function named(list, name)
  for _, entry in ipairs(list) do
    if (entry.name or entry.task) == name then
      return entry
    end
  end
end

describe("task.list", function()
  it("tells of each task its name, what it waits for, since when, and where", function()
    local signal = task.signal()
    local waiting <close> = task.spawn("a disk", function()
      task.label("VirtualMachineImport/default/web-01")
      signal:wait()
    end)
    local sleeping <close> = task.spawn(task.sleep, 60)
    local joining <close> = task.spawn("who joins", sleeping.join, sleeping)
    task.sleep(0.05)
    local list = task.list()
    local disk = named(list, "a disk")
    assert.equal("waits for a signal", disk.doing)
    assert.equal("VirtualMachineImport/default/web-01", disk.label)
    assert.is_true(disk.seconds >= 0.04 and disk.seconds < 10, disk.seconds)
    assert.truthy(disk.traceback:find("task_list_spec.lua:%d+: in function"), disk.traceback)
    assert.truthy(named(list, "who joins").doing:find("waits for the end of [C]:-1", 1, true))
    assert.is_true(waiting ~= nil and joining ~= nil)
  end)

  it("calls one without a name after its function, and the first one main", function()
    local unnamed <close> = task.spawn(function()
      task.sleep(60)
    end)
    task.sleep(0.001)
    local list = task.list()
    assert.equal("main", list[1].name)
    assert.truthy(list[#list].name:find("task_list_spec.lua:%d+$"), list[#list].name)
    assert(unnamed)
  end)

  it("tells who runs, who can go on and who waits for goodbyes alone", function()
    local goodbye = task.signal()
    local ended = task.spawn("ended", function()
      task.goodbye("goodbye", goodbye.wait, goodbye)
    end)
    local list = task.spawn("looks", task.list)
    local ready = task.spawn("ready", function() end)
    local _, seen = list:join()
    assert.equal("runs", named(seen, "looks").doing)
    assert.equal("can go on", named(seen, "ready").doing)
    assert.equal("has ended, but for 1 goodbyes", named(seen, "ended").doing)
    assert.equal("", named(seen, "ended").traceback)
    assert.equal("waits for a signal", named(task.list(), "goodbye").doing)
    goodbye:notify()
    ended:join()
    ready:join()
    assert.is_nil(named(task.list(), "ended"))
  end)

  it("tells what is asked of whom, without the query of a URL", function()
    local server <close> = httpd.new()
    server:on("/slow", { "<hang>" })
    local url = ("http://127.0.0.1:%d/slow"):format(server:port())
    local asking <close> = task.spawn("asks", http.request, { url = url .. "?token=secret" })
    local running <close> = task.spawn("runs", require("host.process").run,
      { argv = { "sleep", "60" } })
    task.sleep(0.01)
    assert.equal("waits for GET " .. url, named(task.list(), "asks").doing)
    assert.equal("waits for process sleep", named(task.list(), "runs").doing)
    assert(asking and running)
  end)
end)

local HANGS = [[
local task = require "host.task"
local never = task.signal()

local function download()
  never:wait()
end

task.spawn("download of web-01", download)
io.stdout:write("hangs\n"):flush()
task.sleep(600)
]]

describe("SIGUSR1", function()
  it("finds a task that hangs, and ends nothing", function()
    local folder <close> = lab.folder()
    local script, output = folder.path .. "/hangs.lua", folder.path .. "/out"
    assert(file.write(script, HANGS))
    local running <close> = program.start(folder.path, { "script", script }, { output = output })
    lab.wait_for("the script runs", function()
      return (file.read(output) or ""):find("hangs", 1, true)
    end)
    running:signal("USR1")
    running:signal("USR1")
    running:signal("TERM")
    local result = running:wait(30)
    local events = {}
    for line in result.stderr:gmatch("[^\n]+") do
      events[#events + 1] = json.decode(line)
    end
    local hanging = named(events, "download of web-01")
    assert.equal("waits for a signal", hanging.doing)
    assert.truthy(hanging.traceback:find("hangs.lua:5: in ", 1, true), hanging.traceback)
    assert.truthy(named(events, "main").traceback:find("hangs.lua:10: in ", 1, true))
    assert.equal(128 + 15, result.status)
  end)
end)

describe("/debug/tasks", function()
  local function serve(opts)
    local server = assert(metrics.serve({ host = "127.0.0.1", debug_tasks = opts.debug_tasks }))
    return server, "http://" .. server:address() .. "/debug/tasks"
  end

  it("is not there unless it was asked for", function()
    local server <close>, url = serve({})
    assert.equal(404, assert(http.request({ url = url })).status)
    assert(server)
  end)

  it("tells what every task is doing", function()
    local server <close>, url = serve({ debug_tasks = true })
    local hanging <close> = task.spawn("hangs here", task.sleep, 600)
    for _ = 1, 2 do
      local answer = assert(http.request({ url = url }))
      assert.equal(200, answer.status)
      assert.truthy(answer.body:find("hangs here: waits for sleep, for 0.", 1, true), answer.body)
      assert.truthy(answer.body:find("in function 'host.task.sleep'", 1, true))
    end
    assert(server and hanging)
  end)

  it("waits for a loop that stands still, of which the rest is answered meanwhile", function()
    local server <close>, url = serve({ debug_tasks = true })
    local handle = assert(io.popen(([[for i in 1 2 3 4; do curl -s -o /dev/null %s & done
      code=0
      while [ $code != 503 ]; do code=$(curl -s -m 1 -o /dev/null -w '%%{http_code}' %s); done
      curl -s -o /dev/null -w '%%{http_code}' %s]]):format(url, url,
      url:gsub("debug/tasks", "healthz")), "r"))
    assert.equal("200", handle:read(3)) -- Lua stands still here
    task.sleep(0.05) -- the four are answered
    assert.equal(200, assert(http.request({ url = url })).status)
    handle:close()
    assert(server)
  end)

  it("lets nobody wait for a server that is closed", function()
    local server, url = serve({ debug_tasks = true })
    local handle = assert(io.popen(("curl -s -m 20 -o /dev/null -w '%%{http_code}' %s & "
      .. "sleep 0.3; echo; wait"):format(url), "r"))
    handle:read("l")
    server:close() -- while it waits
    local code = handle:read("a") -- none, or that it is closed, by who is quicker
    assert.truthy(code == "000" or code == "503", code)
    handle:close()
  end)
end)
