local env = require "host.env"
local json = require "host.json"

-- What a process of this program writes to stderr when it runs the Lua text.
local function stderr_of(text, variables)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  local pipe = io.popen(("%s %s script %s 2>&1 >/dev/null"):format(variables or "",
    env.args()[0], path))
  local out = pipe:read("a")
  pipe:close()
  os.remove(path)
  return out
end

local function logged(text, variables)
  return stderr_of('local log = require "host.log"\n' .. text, variables)
end

describe("log:", function()
  it("writes one JSON line per event", function()
    local out = logged([[
      log.info("disk written", {
        disk = "a", bytes = 1 << 40, more = { 1, { x = true } },
      })
      log.error("no\nmore")
    ]])
    local first, second, rest = out:match("^([^\n]*)\n([^\n]*)\n(.*)$")
    assert.equal("", rest)
    local event = assert(json.decode(first))
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", event.time)
    event.time = nil
    assert.same({ level = "info", message = "disk written", disk = "a",
      bytes = 1 << 40, more = { 1, { x = true } } }, event)
    event = assert(json.decode(second))
    assert.equal("error", event.level)
    assert.equal("no\nmore", event.message)
  end)

  it("names the level", function()
    local out = logged('log.info("x") log.warn("x") log.error("x")')
    assert.matches('"info".*"warn".*"error"', out)
  end)

  it("writes debug only with DEBUG=true", function()
    local text = 'log.debug("x")'
    assert.equal("", logged(text, "DEBUG="))
    assert.equal("", logged(text, "DEBUG=no"))
    assert.matches('"debug"', logged(text, "DEBUG=true"))
    assert.matches('"debug"', logged(text, "DEBUG=TRUE"))
  end)

  it("takes an err for a message and for a field", function()
    local event = json.decode(logged([[
      local err = require("host.error").new("io", "disk is on fire")
      log.warn(err, { cause = err })
    ]]))
    assert.equal("disk is on fire", event.message)
    assert.same({ kind = "io", message = "disk is on fire" }, event.cause)
  end)

  it("describes what is not JSON instead of failing", function()
    local event = assert(json.decode(logged([[
      local loop = {}
      loop.loop = loop
      log.info("a\255b", { f = print, nan = 0/0, loop = loop, bytes = "\255" })
    ]])))
    assert.equal("a\u{fffd}b", event.message)
    assert.matches("^function", event.f)
    assert.matches("nan", event.nan)
    assert.matches("^table", event.loop)
    assert.equal("\u{fffd}", event.bytes)
  end)

  it("keeps every line below 8 KiB and sound", function()
    local out = logged([[
      local long = ("\1"):rep(100000)
      log.info(long, { a = long, b = { long }, c = long, d = long, z = 1 })
      log.info("x", { list = require("host.json").array({ ("y"):rep(5000) }) })
    ]])
    local first, second = out:match("^([^\n]*)\n([^\n]*)\n$")
    assert.is_true(#first < 8192)
    local event = assert(json.decode(first))
    assert.is_true(event.truncated)
    assert.equal(1, event.z)
    event = assert(json.decode(second))
    assert.matches("^%[\"yyy", event.list)
  end)

  it("throws at a field whose name the line itself uses", function()
    local log = require "host.log"
    for _, name in ipairs({ "time", "level", "message", "truncated" }) do
      assert.has_error(function()
        log.info("x", { [name] = 1 })
      end)
    end
  end)

  it("writes text that moves no cursor if stderr is a terminal", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write('require("host.log").warn("a\\27[2Jb", { name = "x\\nUmlaut ä\\u{9b}" })')
    file:close()
    local pipe = io.popen(("script -qec '%s script %s' /dev/null")
      :format(env.args()[0], path))
    local out = pipe:read("a")
    pipe:close()
    os.remove(path)
    assert.matches("^%d%d:%d%d:%d%d warn: a\\x1b%[2Jb  name=\"x\\nUmlaut ä\\u009b\"", out)
  end)
end)
