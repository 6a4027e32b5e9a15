-- Answers that no server should give: each is refused with its reason, or taken for what
-- it is; none of them hangs, crashes, or is taken for another answer.

local host_text = require "host.text"
local web = require "support.web"

local OK = "HTTP/1.1 200 OK\r\n"
local CHUNKED = OK .. "Transfer-Encoding: chunked\r\n\r\n"
local HUGE = ("9"):rep(40)

-- {what it is, the pieces that the server sends, what comes of it, the body}: a number is
-- a status that is taken, a word a kind of err.
local ANSWERS = {
  { "nothing at all", { "<close>" }, "connect" },
  { "a reset", { "<reset>" }, "connect" },
  { "a line's end", { "\r\n", "<close>" }, "http" },
  { "a banner of SSH", { "SSH-2.0-OpenSSH_9.2\r\n", "<close>" }, "http" },
  { "a banner of SMTP", { "220 mail ESMTP\r\n", "<close>" }, "http" },
  { "a bare body, as of HTTP/0.9", { "<html>hello</html>", "<close>" }, "http" },
  { "zero bytes", { ("\0"):rep(64), "<close>" }, "http" },
  { "a record of TLS", { "\x15\x03\x01\x00\x02\x02\x28", "<close>" }, "http" },
  { "a frame of HTTP/2", { "\0\0\18\4\0\0\0\0\0", "<close>" }, "http" },
  { "a status of two digits", { "HTTP/1.1 20 OK\r\n\r\n", "<close>" }, "http" },
  { "a status of four digits", { "HTTP/1.1 2000 OK\r\n\r\n", "<close>" }, "http" },
  { "a negative status", { "HTTP/1.1 -20 OK\r\n\r\n", "<close>" }, "http" },
  { "a status of letters", { "HTTP/1.1 abc OK\r\n\r\n", "<close>" }, "http" },
  { "a status of zeros", { "HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n" }, "http" },
  { "a status that does not exist", { "HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n" }, 999 },
  { "a version that does not exist", { "HTTP/7.3 200 OK\r\n\r\n", "<close>" }, "http" },
  { "half a status line", { "HTTP/1.", "<close>" }, "connect" },
  { "half a head", { OK .. "A: b\r\nC", "<close>" }, "connect" },
  { "a head without its end", { OK .. "A: b\r\n", "<close>" }, "connect" },
  { "a body that is cut", { OK .. "Content-Length: 9\r\n\r\nabc", "<close>" },
    "connect" },
  { "a body that is longer than it says",
    { OK .. "Content-Length: 2\r\n\r\nokHTTP/1.1 500 X\r\n\r\n", "<close>" }, 200, "ok" },
  { "a negative length", { OK .. "Content-Length: -1\r\n\r\n", "<close>" }, "http" },
  { "a length of letters", { OK .. "Content-Length: ten\r\n\r\nx", "<close>" }, "http" },
  { "a length beyond 64 bits", { OK .. "Content-Length: " .. HUGE .. "\r\n\r\n",
    "<close>" }, 200, "" },
  { "a length of eight EiB less one", { OK .. "Content-Length: "
    .. "9223372036854775807\r\n\r\n", "<close>" }, "connect" },
  { "two lengths that differ", { OK .. "Content-Length: 2\r\n"
    .. "Content-Length: 30\r\n\r\nok", "<close>" }, "connect" },
  { "a chunk of no length", { CHUNKED .. "\r\n",
    "<close>" }, "connect" },
  { "a chunk of a negative length",
    { CHUNKED .. "-1\r\nx\r\n", "<close>" }, "connect" },
  { "a chunk beyond 64 bits", { CHUNKED
    .. ("f"):rep(17) .. "\r\nx", "<close>" }, "connect" },
  { "a chunk that is longer than it says",
    { CHUNKED .. "2\r\nokay\r\n0\r\n\r\n", "<close>" },
    "connect" },
  { "chunks without the last one",
    { CHUNKED .. "2\r\nok\r\n", "<close>" }, "connect" },
  { "an encoding that nobody asked for",
    { OK .. "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc" }, 200, "abc" },
  { "a transfer encoding that does not exist",
    { OK .. "Transfer-Encoding: magic\r\nContent-Length: 2\r\n\r\nok", "<close>" },
    "http" },
  { "continue, and then nothing", { "HTTP/1.1 100 Continue\r\n\r\n", "<close>" }, "connect" },
  { "continue a hundred times, and an answer",
    { ("HTTP/1.1 100 Continue\r\n\r\n"):rep(100) .. OK .. "Content-Length: 2\r\n\r\nok" },
    200, "ok" },
  { "switching to another protocol", { "HTTP/1.1 101 Switching\r\nUpgrade: h\r\n\r\n", "<close>" },
    "connect" },
  { "no content that has a body", { "HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nno", "<close>" },
    204, "" },
  { "not modified that has a body", { "HTTP/1.1 304 No\r\nContent-Length: 2\r\n\r\nno", "<close>" },
    304, "" },
  { "a header of one MiB", { OK .. "A: " .. ("x"):rep(1 << 20) .. "\r\n\r\n", "<close>" },
    "http" },
  { "a header without a name", { OK .. ": x\r\nContent-Length: 2\r\n\r\nok" }, 200, "ok" },
  { "a header without a colon", { OK .. "abc\r\nContent-Length: 2\r\n\r\nok" }, "http" },
  { "a header with a zero byte", { OK .. "A: b\0c\r\nContent-Length: 2\r\n\r\nok" }, "http" },
  { "a header that is folded", { OK .. "A: b\r\n c\r\nContent-Length: 2\r\n\r\nok" }, 200,
    "ok" },
  { "a redirect to a file", { web.redirect(302, "file:///etc/passwd") }, "http" },
  { "a redirect to a script", { web.redirect(302, "javascript:alert(1)") }, "http" },
  { "a redirect to credentials", { web.redirect(302, "http://u:pw@127.0.0.1/") }, "http" },
  { "a redirect to nothing", { web.redirect(302, "") }, "http" },
  { "a redirect with a line's end", { web.redirect(302, "/a\rSet-Cookie: x") }, "http" },
  { "a redirect to itself", { web.redirect(302, "/") }, "http" },
}

describe("a hostile answer:", function()
  local site, server

  before_each(function()
    site = web.open()
    server = site.server
  end)

  after_each(function()
    site.close()
  end)

  it("there are 43 of them at least", function()
    assert.is_true(#ANSWERS >= 43, #ANSWERS)
  end)

  for _, case in ipairs(ANSWERS) do
    local what, pieces, wanted, body = table.unpack(case)
    it(what, function()
      server:on("/", pieces)
      local got, err = site.get("/", { follow = 2, total_timeout = 10, max_body = 1 << 20 })
      if type(wanted) == "number" then
        assert.equal(wanted, assert(got, err and err.message).status)
        assert.equal(body or got.body, got.body)
      else
        assert.is_nil(got)
        assert.equal(wanted, err.kind, err.message)
        assert.truthy(err.message:find("^GET http://127%.0%.0%.1:%d+/"), err.message)
        assert.is_nil(err.message:find("pw", 1, true))
        assert.equal(err.message, host_text.visible(err.message))
      end
      -- What was left on that connection is no other request's answer.
      server:on("/next", { web.answer("next") })
      local after, broken = site.get("/next")
      assert.equal(after and "next" or "connect", after and after.body or broken.kind)
    end)
  end
end)
