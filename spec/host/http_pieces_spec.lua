--- host.http: an answer of which a piece here and there is wanted.

local task = require "host.task"
local web = require "support.web"

local BODY = ("0123456789"):rep(200000)

describe("pool:pieces", function()
  local site

  before_each(function()
    site = web.open()
    site.server:on("/all", { web.answer(BODY) })
  end)

  after_each(function()
    site.close()
  end)

  local function open(path)
    return site.pool:pieces { url = site.url(path) }
  end

  it("gives what is asked for and drops what lies between", function()
    local stream <close> = assert(open "/all")
    assert.equal(200, stream:head().status)
    assert.equal("0123", stream:read(4))
    assert.equal("678", stream:read(3, 2))
    assert.equal("", stream:read(0))
    assert.equal(BODY:sub(1000010, 1999999), stream:read(999990, 1000000))
    assert.equal("9", stream:read(100))
    assert.equal("", stream:read(1))
    assert.equal("", stream:read(1, 1 << 50))
  end)

  it("fails for what has not come when the answer breaks off", function()
    site.server:on("/cut", { "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nabcdef",
      "<close>" })
    local stream <close> = assert(open "/cut")
    assert.equal("ab", stream:read(2))
    web.refused("connect", "", stream:read(10))
    assert.equal("cdef", stream:read(4))
  end)

  it("says what the server says instead", function()
    site.server:on("/no", { "HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnone" })
    local stream, err = open "/no"
    assert.is_nil(stream)
    assert.same({ 404, 404 }, { err.status, err.answer.status })
  end)

  it("does not read more than is asked for by much", function()
    local endless = { send = BODY, times = 1 << 20 }
    site.server:on("/endless", { "HTTP/1.1 200 OK\r\n\r\n", endless })
    local stream = assert(open "/endless")
    assert.equal("0123456789", stream:read(10, 50000000))
    stream:close()
  end)

  it("is for one task, and is no stream of lines", function()
    site.server:on("/slow", { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "<hang>" })
    local stream = assert(open "/slow")
    assert.has_error(function() stream:next() end)
    local reading = task.spawn("reads", function()
      return stream:read(9)
    end)
    local second = task.spawn("reads, too", pcall, stream.read, stream, 9)
    local _, could = second:join()
    assert.is_false(could)
    stream:close()
    local ok, bytes, err = reading:join()
    assert.is_true(ok)
    assert.is_nil(bytes)
    assert.equal("cancelled", err.kind)
    local lines <close> = assert(site.pool:lines { url = site.url("/all") })
    assert.has_error(function() lines:read(1) end)
  end)
end)
