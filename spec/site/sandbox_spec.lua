local file = require "host.file"
local hosts = require "host.sandbox"
local pace = require "support.pace"
local plan = require "policy.plan"
local process = require "host.process"
local sandbox = require "site.sandbox"
local task = require "host.task"
local time = require "host.time"

local DEADLINE = 0.25 -- seconds; times the pace
local SLACK = 0.1
local TICKS = 100     -- a second, of a process's time
local FAR = 60        -- seconds, of what must not be waited for

local function same(value)
  return value
end

local INPUT = {
  machine = { name = "web", disks = {}, nics = {} },
  spec = {}, import = { name = "i", namespace = "n" }, plan = {},
}

-- Seconds of a processor in a line of /proc/PID/stat, from its nth field after the name.
local function seconds_in(path, n)
  local fields = {}
  for field in (file.read(path) or ""):gsub("^.*%)", ""):gmatch("%S+") do
    fields[#fields + 1] = tonumber(field) or 0
  end
  return ((fields[n] or 0) + (fields[n + 1] or 0)) / TICKS
end

-- Those that our children have had, and had until they ended.
local function children_time()
  local total = seconds_in("/proc/self/stat", 14)
  for pid in assert(process.run({ argv = { "sh", "-c",
    "cat /proc/$PPID/task/*/children" } })).stdout:gmatch("%d+") do
    total = total + seconds_in(("/proc/%s/stat"):format(pid), 12)
  end
  return total
end

-- The body of a hook, in a script of its own.
local function hook_of(body)
  return "return { name = function(input, builtin)\n" .. body .. "\nend }"
end

-- What must be seen in the message; nil: the script is harmless and answers "fine".
local HOSTILE = {
  -- never ending
  { "a loop", "while true do end", "has not ended" },
  { "a loop without a body of Lua", "repeat until false", "has not ended" },
  { "goto", "::again:: goto again", "has not ended" },
  { "a loop in pcall", "while true do pcall(function() while true do end end) end",
    "has not ended" },
  { "a handler that loops", "xpcall(error, function() while true do end end)", "" },
  { "recursion in a handler", "local function h() error(1) end xpcall(h, h) return 'fine'" },
  { "a tail call for ever", "local function f() return f() end return f()", "has not ended" },
  { "an iterator that never ends",
    "for _ in function() return 1 end do end", "has not ended" },
  { "a numeric loop of all integers",
    "for i = math.mininteger, math.maxinteger do end", "has not ended" },
  { "an exponential pattern",
    "return ('a'):rep(3e4):find(('.-'):rep(60) .. 'b')", "has not ended" },
  { "a quadratic gsub", "return (('a'):rep(1e6):gsub('(.-)(.-)(.-)b', '%1'))", "has not ended" },
  { "nested gmatch", "for _ in ('a'):rep(1e5):gmatch('.-.-.-.-b') do end", "has not ended" },
  { "table.concat in a loop",
    "local t = {} for i = 1, 1000 do t[i] = 'x' end while true do table.concat(t) end",
    "has not ended" },
  { "a sort that lies", "local t = {} for i = 1, 1e5 do t[i] = i end\n"
    .. "while true do pcall(table.sort, t, function() return true end) end", "has not ended" },
  { "string.rep in a loop", "while true do local _ = ('x'):rep(1e6) end", "has not ended" },
  { "table.unpack in a loop",
    "local t = {} t[2e5] = 1 while true do select('#', table.unpack(t, 1, 2e5)) end",
    "has not ended" },
  { "utf8 over megabytes", "local s = ('x'):rep(4e6) while true do utf8.len(s) end",
    "has not ended" },
  { "table.move far away", "table.move({}, 1, 1e15, 2) return 'fine'", "has not ended" },
  { "__index for ever",
    "local t = setmetatable({}, {}) getmetatable(t).__index = function(s, k)\n"
    .. "while true do end end return t.x", "has not ended" },
  { "__close for ever",
    "local c <close> = setmetatable({}, { __close = function() while true do end end })\n"
    .. "return 'fine'", "has not ended" },
  { "__close after an error for ever",
    "local c <close> = setmetatable({}, { __close = function() while true do end end })\n"
    .. "error('x')", "has not ended" },
  { "__close that closes again",
    "local function f() local c <close> = setmetatable({}, { __close = function() f() end })\n"
    .. "end local ok = pcall(f) return 'fine'" },
  { "__concat for ever", "return setmetatable({}, { __concat = function() while true do end\n"
    .. "end }) .. 'x'", "has not ended" },
  { "__eq for ever",
    "local m = { __eq = function() while true do end end }\n"
    .. "return setmetatable({}, m) == setmetatable({}, m)", "has not ended" },
  { "__lt in sort for ever",
    "local m = { __lt = function() while true do end end }\n"
    .. "table.sort { setmetatable({}, m), setmetatable({}, m) }", "has not ended" },
  -- errors
  { "an error with a __tostring that loops",
    "error(setmetatable({}, { __tostring = function() while true do end end }))",
    "an error that is a table" },
  { "an error with a __name", "error(setmetatable({}, { __name = {} }))", "a table" },
  { "an error of nothing", "error()", "a nil" },
  { "an error of a function", "error(error)", "a function" },
  { "an error of NaN", "error(0 / 0)", "a number" },
  { "an error of a megabyte", "error(('x'):rep(1e6))", "x" },
  { "an error that is not UTF-8", "error('\\xff\\xfe\\0\\1')", "a.lua:2" },
  { "an error that says another script", "error('b.lua:9: me', 0)", "a.lua:2: b.lua:9" },
  -- memory
  { "a string that doubles", "local s = 'x' while true do s = s .. s end", "memory" },
  { "one enormous string", "return ('x'):rep(1 << 40)", "" },
  { "one large string", "return ('x'):rep(1 << 28)", "memory" },
  { "a table that grows", "local t = {} while true do t[#t + 1] = {} end", "" },
  { "closures that grow", "local f while true do local g = f f = function() return g end end",
    "" },
  { "memory errors caught for ever",
    "while true do pcall(string.rep, 'x', 1 << 28) end", "has not ended" },
  { "a format of millions", "return ('%99.99f'):rep(1e6):format()", "" },
  { "table.pack of everything", "return table.pack(('x'):rep(1e6):byte(1, -1)).n", "" },
  { "a table of a huge size", "table.move({ 1 }, 1, 1, 1 << 50) return 'fine'" },
  -- depth
  { "recursion", "local function f() return 1 + f() end return f()", "" },
  { "recursion through pcall",
    "local function f() return pcall(f) end f() return 'fine'" },
  { "recursion through metamethods",
    "local t = setmetatable({}, {}) getmetatable(t).__index = function(s, k)\n"
    .. "return s[k .. 'x'] end return t.x", "overflow" },
  { "recursion through gsub",
    "local function f(s) return (s:gsub('.', f)) end return f('x')", "overflow" },
  { "a chain of __index tables",
    "local t = {} for i = 1, 3000 do t = setmetatable({}, { __index = t }) end return t.x",
    "too long" },
  { "a pattern of deep captures", "return ('x'):rep(1e5):find(('('):rep(40))", "captures" },
  { "a pattern too complex", "return ('x'):rep(3e5):find(('x?'):rep(3e5))", "" },
  -- what is returned
  { "a cycle", "local t = {} t.t = t return t", "deeper" },
  { "what branches for ever",
    "local t = {} for i = 1, 60 do t = { t, t } end return t", "" },
  { "a megabyte", "return ('x'):rep(1e6)", "KiB" },
  { "NaN", "return 0 / 0", "number" },
  { "infinity", "return { x = 1 / 0 }", "x: a number" },
  { "text that is not UTF-8", "return '\\xff'", "UTF" },
  { "a function", "return print", "unknown global 'print'" },
  { "a function in a table", "return { f = error }", "f: " },
  { "keys of both kinds", "return { 1, a = 2 }", "keys" },
  { "a list with holes", "return { 1, nil, 3 }", "holes" },
  { "integers beyond JSON", "return math.maxinteger", "2^53" },
  { "a table with metamethods",
    "return setmetatable({}, { __pairs = error, __len = error, __index = error }) and 'fine'" },
  -- the way out
  { "os", "return os.execute('id')", "unknown global 'os'" },
  { "io", "return io.open('/etc/passwd')", "unknown global 'io'" },
  { "require", "return require('host.file')", "unknown global 'require'" },
  { "package", "return package.loadlib('libc.so.6', 'system')", "unknown global 'package'" },
  { "debug", "return debug.getregistry()", "unknown global 'debug'" },
  { "load", "return load('return 1')()", "unknown global 'load'" },
  { "load by _G", "return _G['load']('return 1')()", "unknown global 'load'" },
  { "load by rawget", "return rawget(_G, 'load') == nil and 'fine'" },
  { "loadfile, dofile", "return rawget(_G, 'loadfile') or rawget(_G, 'dofile') or 'fine'" },
  { "loadstring", "return loadstring('return 1')()", "unknown global 'loadstring'" },
  { "string.dump", "return string.dump == nil and 'fine'" },
  { "coroutine", "return coroutine.wrap(function() end)", "unknown global 'coroutine'" },
  { "collectgarbage", "return collectgarbage('stop')", "unknown global 'collectgarbage'" },
  { "__gc", "setmetatable({}, { __gc = function() while true do end end })", "__gc is not" },
  { "__gc afterwards",
    "local m = {} local t = setmetatable({}, m) m.__gc = function() while true do end end\n"
    .. "t = nil return 'fine'" },
  { "__mode and ephemerons",
    "local t = setmetatable({}, { __mode = 'k' }) for i = 1, 1e4 do local k = {} t[k] = k end\n"
    .. "return 'fine'" },
  { "the metatable of strings", "getmetatable('').__index = nil", "index a boolean" },
  { "another metatable for globals", "setmetatable(_G, nil)", "protected" },
  { "another metatable for lists",
    "setmetatable(json.array(), { __index = error })", "protected" },
  { "a global", "rawset(_G, 'x', 1) return 'fine'" },
  { "_ENV", "local _ENV = {} return os == nil and 'fine'" },
  { "garbage in the log", "log.info(('\\xff\\0\\n\"'):rep(1e5)) return 'fine'" },
  { "a log without end", "while true do log.info('x') end", "has not ended" },
  { "a log entry with a __tostring that loops",
    "log.info(setmetatable({}, { __tostring = function() while true do end end }))",
    "has not ended" },
}

describe("sandbox", function()
  local box, set_of

  before_each(function()
    box = sandbox.new({ deadline = FAR })
    function set_of(text)
      return box:load({ ["a.lua"] = text }, plan)
    end
  end)

  local function with_deadline(seconds)
    box:close()
    box = sandbox.new({ deadline = seconds })
  end

  after_each(function()
    box:close()
  end)

  local function ask(text, name, input, builtin)
    local set, err = set_of(text)
    if not set then
      return nil, err
    end
    return set:hook(name or "name", input or INPUT, builtin, same)
  end

  it("gives a hook its input and takes what it returns", function()
    local value = assert(ask(hook_of("return input.machine.name .. '-' .. builtin"), "name",
      INPUT, "b"))
    assert.equal("web-b", value)
  end)

  it("has nothing to say where a hook returns nil, or there is none", function()
    assert.same({ nil, nil }, { ask(hook_of("return nil")) })
    assert.same({ nil, nil }, { ask(hook_of("return 'x'"), "namespace") })
  end)

  it("tells false from nil, and an empty list from an empty map", function()
    assert.is_false(ask(hook_of("return false")))
    assert.is_true(require("host.json").is_array(ask(hook_of("return json.array {}"))))
    assert.is_false(require("host.json").is_array(ask(hook_of("return {}"))))
  end)

  it("asks scripts in byte order of their names, each after the other", function()
    local set = assert(box:load({
      ["b.lua"] = hook_of("return builtin .. 'b'"),
      ["B.lua"] = hook_of("return builtin .. 'B'"),
      ["a.lua"] = hook_of("return nil"),
      ["10.lua"] = hook_of("return builtin .. '1'"),
    }, plan))
    assert.equal("x1Bb", set:hook("name", INPUT, "x", same))
  end)

  it("keeps nothing from one call to the next", function()
    local set = assert(set_of("local n = 0\nreturn { name = function()\n"
      .. "n = n + 1 string.n = (string.n or 0) + 1 return n + string.n end }"))
    assert.equal(2, set:hook("name", INPUT, nil, same))
    assert.equal(2, set:hook("name", INPUT, nil, same))
  end)

  it("names script, line and hook of a wrong value", function()
    local set = assert(set_of("\nreturn { disk_bus = function() return 'floppy' end }"))
    local value, err = set:hook("disk_bus", { disk = { id = "2000" } }, "sata", function()
      return nil, "allowed: sata"
    end)
    assert.is_nil(value)
    assert.equal("hook disk_bus of 2000: a.lua:2: returns a wrong value: allowed: sata",
      err.message)
    assert.same({ "invalid", "a.lua", "disk_bus" }, { err.kind, err.script, err.hook })
  end)

  for what, text in pairs({
    ["text that is no Lua"] = { "return {", "a.lua:1: unexpected symbol" },
    ["bytecode"] = { string.dump(function() end, true), "not UTF%-8" },
    ["bytecode that is UTF-8"] = { "\27Lua", "attempt to load a binary chunk" },
    ["a hook that there is not"] = { "return {\nnam = function() end }",
      "a.lua:2: unknown hook \"nam\"; there are name, namespace" },
    ["an unknown global"] = { "return { name = function()\nreturn strng.x end }",
      "a.lua:2: unknown global 'strng'" },
    ["a global that is made"] = { "return { name = function()\nx = 1 end }",
      "a.lua:2: global 'x' cannot be made" },
    ["a script that returns nothing"] = { "local x", "must return a table" },
    ["a hook that is no function"] = { "return { name = 'x' }", "name = string" },
    ["a script of a megabyte"] = { "--" .. ("x"):rep(1024 * 1024), "KiB are allowed" },
    ["brackets without end"] = { "return " .. ("("):rep(1e5), "overflow" },
    ["locals without end"] = { ("local x "):rep(300), "too many local" },
  }) do
    it("refuses " .. what, function()
      local set, err = set_of(text[1])
      assert.is_nil(set)
      assert.truthy(err.message:find(text[2]), err.message)
    end)
  end

  it("refuses a loop while loading", function()
    with_deadline(pace.seconds(DEADLINE))
    local set, err = set_of("while true do end")
    assert.is_nil(set)
    assert.truthy(err.message:find("has not ended", 1, true), err.message)
  end)

  it("says all that is wrong at once", function()
    local _, err = box:load({ ["a.lua"] = "return {",
      ["b.lua"] = "return { x = error, y = error }" }, plan)
    assert.equal(3, #err.problems)
  end)

  it("has more hostile scripts than sixty", function()
    assert.is_true(#HOSTILE >= 60, #HOSTILE)
  end)

  for _, case in ipairs(HOSTILE) do
    local what, body, message = table.unpack(case)
    local function try()
      with_deadline(pace.seconds(DEADLINE))
      assert(set_of(hook_of("return 'warm'"))) -- the child is there
      local begun = children_time()
      local value, err = ask(hook_of(body))
      local took = children_time() - begun
      assert.is_true(took < pace.seconds(DEADLINE + SLACK), ("it took %g s"):format(took))
      if message then
        assert.is_nil(value)
        assert.truthy(err.message:find(message, 1, true), err.message)
      else
        assert.equal("fine", value, err and err.message)
      end
      assert.equal("good", assert(ask(hook_of("return 'good'"))))
    end

    it("withstands " .. what, function()
      pace.of_three("sandbox, " .. what, try)
    end)
  end

  it("lets others go on while a script loops", function()
    local bad = assert(set_of(hook_of("return ('a'):rep(3e4):find(('.-'):rep(60) .. 'b')")))
    local good = assert(set_of(hook_of("return 'good'")))
    local looping = task.spawn(function()
      return bad:hook("name", INPUT, nil, same)
    end)
    for _ = 1, 20 do
      assert.equal("good", good:hook("name", INPUT, nil, same))
    end
    assert.is_false(looping:done())
    looping:cancel()
  end)

  it("ends the child of a cancelled call, and starts another", function()
    local bad = assert(set_of(hook_of("while true do end")))
    local looping = task.spawn(function()
      return bad:hook("name", INPUT, nil, same)
    end)
    task.sleep(0.02)
    local begun = time.monotonic()
    looping:cancel()
    assert.is_true(time.monotonic() - begun < FAR / 2)
    assert.equal("good", assert(ask(hook_of("return 'good'"))))
  end)
end)

describe("sandbox, whose process somebody has taken over", function()
  local NONE = {
    "", "nothing", "null", "[]", "1", '"text"', "true", '{"error":{}}', '{"error":1}',
    '{"error":true}', "{}", '{"hooks":[]}', '{"globals":[]}', '{"hooks":1,"globals":[]}',
    '{"hooks":[],"globals":"x"}', '{"hooks":[1],"globals":[]}', '{"hooks":[{}],"globals":[]}',
    '{"hooks":[{"name":1,"line":1}],"globals":[]}',
    '{"hooks":[{"name":"name","line":"1"}],"globals":[]}',
    '{"hooks":[{"name":"name","line":1.5}],"globals":[]}',
    '{"hooks":{"name":{"name":"name","line":1}},"globals":[]}',
    '{"hooks":[],"globals":[{"name":"x"}]}',
    '{"hooks":[],"globals":[{"name":"x","line":1,"written":"x"}]}',
    '{"hooks":[],"globals":[],"log":1}', '{"hooks":[],"globals":[],"log":[1]}',
    '{"hooks":[],"globals":[],"log":[{"level":"info"}]}',
    '{"hooks":[],"globals":[],"log":[{"level":{},"message":"x"}]}',
    '{"hooks":[],"globals":[],"log":[[]]}', '{"hooks":[],"globals":null}',
    '{"hooks":null,"globals":[]}',
  }
  local start, closed

  before_each(function()
    start, closed = hosts.start, 0
  end)
  after_each(function()
    hosts.start = start
  end)

  local function answering(text)
    hosts.start = function()
      return {
        call = function() return text end,
        usable = function() return true end,
        close = function() closed = closed + 1 end,
      }
    end
    local box <close> = sandbox.new({ deadline = FAR })
    return box:load({ ["a.lua"] = "return {}" }, plan)
  end

  it("takes no answer of a wrong shape, and ends the process", function()
    assert.is_true(#NONE >= 30)
    for _, text in ipairs(NONE) do
      local set, err = answering(text)
      assert.is_nil(set, text)
      assert.truthy(err.message:find("^a.lua: "), err.message)
    end
    assert.equal(#NONE, closed)
  end)

  it("logs at the levels that there are", function()
    assert(answering('{"hooks":[],"globals":[],"log":[{"level":"level","message":"x"}]}'))
  end)
end)

describe("host.sandbox", function()
  local function read(path)
    local result = assert(process.run({ argv = { "cat", path } }))
    return result.stdout
  end

  local function started()
    local child = assert(hosts.start())
    assert(child:call('{"script":"a","text":"return {}","deadline":60}', FAR))
    return child
  end

  it("starts a child that has two pipes and no rights", function()
    local child <close> = started()
    local proc = ("/proc/%d/"):format(child:pid())
    local fds = assert(process.run({ argv = { "ls", proc .. "fd" } })).stdout
    local status, limits = read(proc .. "status"), read(proc .. "limits")
    assert.equal("1", status:match("NoNewPrivs:%s+(%d)"))
    assert.equal("", read(proc .. "environ"))
    assert.truthy(limits:find("Max processes%s+0%s+0 "))
    assert.truthy(limits:find("Max open files%s+0%s+0 "))
    assert.truthy(limits:find("Max file size%s+0%s+0 "))
    assert.truthy(limits:find("Max core file size%s+0%s+0 "))
    if status:match("Seccomp:%s+(%d)") == "2" then -- not in a build with sanitizers
      assert.equal("0\n1\n", fds)
      assert.truthy(limits:find("Max address space%s+%d+ "))
    else
      assert.truthy(read("/proc/self/maps") ~= "")
    end
  end)

  it("leaves no zombie of a child that was killed", function()
    local child = started()
    local pid = child:pid()
    assert(process.run({ argv = { "kill", "-KILL", tostring(pid) } }))
    assert.is_true(pace.eventually(function()
      return not child:usable()
    end))
    local value, err = child:call("{}", 1)
    assert.same({ nil, "exit" }, { value, err.kind })
    assert.is_true(pace.eventually(function()
      return read(("/proc/%d/status"):format(pid)) == ""
    end))
  end)

  it("answers what is no request, and refuses one that is too long", function()
    local child <close> = started()
    assert.truthy(child:call("garbage", FAR):find('"error"', 1, true))
    assert.truthy(child:call("{}", FAR):find('"error"', 1, true))
    local value, err = child:call(("x"):rep(1024 * 1024 + 1), 1)
    assert.same({ nil, "invalid" }, { value, err.kind })
    assert.is_true(child:usable())
  end)

  local function signal(child, name)
    assert(process.run({ argv = { "kill", "-" .. name, tostring(child:pid()) } }))
  end

  it("gives a script its time of a processor, however long the machine takes", function()
    local child <close> = started()
    signal(child, "STOP")
    local asked = task.spawn(child.call, child, '{"script":"a","text":"return {}",'
      .. '"deadline":0.2}', pace.seconds(0.2))
    task.sleep(pace.seconds(0.5))
    assert.is_false(asked:done())
    signal(child, "CONT")
    assert.truthy(select(2, asked:join()))
    assert.is_true(child:usable())
  end)

  it("says that it was the machine when a child gets no time at all", function()
    local child <close> = started()
    signal(child, "STOP")
    local value, err = child:call('{"script":"a","text":"return {}","deadline":1}', 0.05)
    assert.same({ nil, "busy" }, { value, err.kind })
    assert.truthy(err.message:find("within 0.5 s", 1, true), err.message)
  end)

  it("refuses a second call while one waits", function()
    local child <close> = started()
    local waiting = task.spawn(function()
      return child:call('{"script":"a","text":"while true do end","deadline":1}', 0.1)
    end)
    task.sleep(0)
    assert.has_error(function()
      child:call("{}", 1)
    end)
    local _, _, err = waiting:join()
    assert.equal("timeout", err and err.kind)
  end)
end)
