local http = require "host.http"
local pace = require "support.pace"
local task = require "host.task"
local web = require "support.web"

local eventually = web.eventually

local HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"

describe("host.http lines", function()
  local site, server, pool

  before_each(function()
    site = web.open()
    server, pool = site.server, site.pool
  end)

  after_each(function()
    site.close()
  end)

  local function lines(path, opts)
    opts = opts or {}
    opts.url = site.url(path)
    return pool:lines(opts)
  end

  local function all(stream)
    local list = {}
    for line in stream do
      list[#list + 1] = line
    end
    return list
  end

  it("come out whole, however they were cut on their way", function()
    local pause = { wait = 0.003 }
    server:on("/", { HEAD, "o", pause, "ne\ntw", pause, "o\r", pause, "\n\nfour\nfi",
      pause, "ve", "<close>" })
    local stream <close> = assert(lines("/"))
    assert.same({ "one", "two", "", "four", "five" }, all(stream))
    local line, err = stream:next()
    assert.is_nil(line)
    assert.is_nil(err)
  end)

  it("are there as soon as the head is, not when the answer ends", function()
    server:on("/", { HEAD, { wait = 0.01 }, "first\n", "<hang>" })
    local stream <close> = assert(lines("/"))
    assert.equal("application/json", stream:head().headers["content-type"])
    assert.equal(200, stream:head().status)
    assert.equal("first", stream:next())
  end)

  it("may be as long as max_line, and no longer", function()
    server:on("/", { HEAD, ("x"):rep(1000) .. "\n" .. ("y"):rep(1001) .. "\n", "<hang>" })
    local stream <close> = assert(lines("/", { max_line = 1000 }))
    assert.equal(1000, #stream:next())
    web.refused("http", "longer than 1000 bytes", stream:next())
    assert.is_true(eventually(function()
      return server:idle()
    end))
  end)

  it("may be megabytes long", function()
    local long = ("0123456789abcdef"):rep(200000)
    server:on("/", { HEAD, long .. "\nshort\n" .. long .. "\n", "<close>" })
    local stream <close> = assert(lines("/"))
    assert.is_true(stream:next() == long)
    assert.equal("short", stream:next())
    assert.is_true(stream:next() == long)
  end)

  it("stop coming while nobody takes them, and lose none", function()
    local piece = {}
    for i = 1, 1000 do
      piece[i] = ("%04d %s\n"):format(i, ("x"):rep(100))
    end
    -- 32 MB, which no socket takes in.
    server:on("/", { HEAD, { send = table.concat(piece), times = 300 }, "<close>" })
    local stream <close> = assert(lines("/", { timeout = pace.seconds(0.5) }))
    -- Longer than the time-out: a stream that is not read is not idle.
    for _ = 1, 14 do
      task.sleep(pace.seconds(0.05))
    end
    assert.is_false(server:idle())
    for i = 0, 300 * 1000 - 1 do
      local line = assert(stream:next())
      assert(tonumber(line:sub(1, 4)) == i % 1000 + 1, line)
    end
    assert.same({}, all(stream))
  end)

  it("that came before a failure come out before it", function()
    local cut = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\none\ntwo\nhal"
    server:on("/", { cut, "<close>" })
    local stream <close> = assert(lines("/"))
    assert.equal("one", stream:next())
    assert.equal("two", stream:next())
    web.refused("connect", "the connection broke", stream:next())
    web.refused("connect", "the connection broke", stream:next())
  end)

  it("time out when none comes for so long", function()
    server:on("/", { HEAD, "one\n", "<hang>" })
    local stream <close> = assert(lines("/", { timeout = pace.seconds(0.4) }))
    assert.equal("one", stream:next())
    web.refused("timeout", "without a byte", stream:next())
  end)

  it("are refused with the whole answer when the status is no 2xx", function()
    server:on("/", { "HTTP/1.1 410 Gone\r\nContent-Length: 16\r\n\r\n{\"code\":410}\nabc" })
    local got, err = lines("/")
    web.refused("http", "status 410", got, err)
    assert.equal(410, err.status)
    assert.equal('{"code":410}\nabc', err.answer.body)
  end)

  it("are refused for what fails before the head", function()
    web.refused("connect", "refused", pool:lines({ url = "http://127.0.0.1:1/" }))
    server:on("/", { "<hang>" })
    web.refused("timeout", "without a byte", lines("/", { timeout = 0.02 }))
    web.refused("invalid", "", lines("/", { headers = { A = "b\n" } }))
    assert.has_error(function()
      site.get("/", { max_line = 5 })
    end)
  end)

  it("do not count among the connections of the pool", function()
    server:on("/watch", { HEAD, "one\n", "<hang>" })
    server:on("/", { web.answer("x") })
    local small <close> = assert(http.pool({ max_connections = 1 }))
    local a <close> = assert(small:lines({ url = site.url("/watch") }))
    local b <close> = assert(small:lines({ url = site.url("/watch") }))
    assert.equal("one", a:next())
    assert.equal("one", b:next())
    assert.equal("x", assert(small:request({ url = site.url("/") })).body)
  end)

  it("end when the stream is closed, also for who waits for one", function()
    server:on("/", { HEAD, "<hang>" })
    local stream = assert(lines("/"))
    local t = task.spawn(stream.next, stream)
    task.sleep(0.002)
    assert.has_error(function()
      stream:next()
    end)
    stream:close()
    local ok, line, err = t:join()
    assert.is_true(ok)
    web.refused("cancelled", "closed", line, err)
    assert.has_error(function()
      stream:next()
    end)
    assert.is_true(eventually(function()
      return server:idle()
    end))
  end)

  it("end when the task that opens or reads them is cancelled", function()
    server:on("/head", { "<hang>" })
    server:on("/line", { HEAD, "<hang>" })
    for _, path in ipairs({ "/head", "/line" }) do
      local seen = #server:requests()
      local t = task.spawn(function()
        local stream <close> = assert(lines(path))
        stream:next()
      end)
      assert.is_true(eventually(function()
        return #server:requests() > seen
      end))
      task.sleep(0.002)
      assert.is_true(t:cancel(5))
      assert.is_true(eventually(function()
        return server:idle()
      end))
    end
  end)

  it("end when nobody holds the stream any more", function()
    server:on("/", { HEAD, "one\n", "<hang>" })
    assert(lines("/")):next()
    collectgarbage()
    collectgarbage()
    assert.is_true(eventually(function()
      return server:idle()
    end))
  end)

  it("can be left alone by a cancelled reader and read on by another", function()
    server:on("/", { HEAD, { wait = 0.02 }, "late\n", "<hang>" })
    local stream <close> = assert(lines("/"))
    local t = task.spawn(stream.next, stream)
    task.sleep(0.002)
    assert.is_true(t:cancel(5))
    assert.equal("late", stream:next())
  end)
end)
