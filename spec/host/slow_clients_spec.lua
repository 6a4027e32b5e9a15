-- Who looks whether we are alive is answered, whoever else holds connections open.

local file = require "host.file"
local http = require "host.http"
local json = require "host.json"
local lab = require "support.lab"
local metrics = require "host.metrics"
local process = require "host.process"
local served = require "support.served"
local task = require "host.task"

-- Opens COUNT connections to PORT from addresses that begin at 127.0.0.FROM, each with the
-- beginning of a request to which a byte is added now and then; says "open".
local SLOW = [[
import socket, sys, time
port, count, addresses = map(int, sys.argv[1:4])
held = []
for i in range(count):
    s = socket.socket()
    s.bind(("127.0.0.%d" % (9 + i % addresses), 0))
    s.connect(("127.0.0.1", port))
    s.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
    held.append(s)
open(sys.argv[4], "w").write("open")
while True:
    time.sleep(0.2)
    for s in held:
        try:
            s.send(b"a")
        except OSError:
            pass
]]

local RAW = [[
import json, socket, sys, time
said = []
for text in json.load(sys.stdin):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
    s.sendall(text.encode())
    got = b""
    while True:
        time.sleep(float(sys.argv[2]))
        more = s.recv(65536)
        if not more:
            break
        got += more
    said.append(got.decode())
print(json.dumps(said))
]]

local REQUESTS = {
  { "GET /healthz HTTP/1.1\r\n\r\n", "200 OK" },
  { "GET /healthz?verbose HTTP/1.0\r\n\r\n", "200 OK" },
  { "GET /healthz\r\n\r\n", "400 Bad Request" },
  { "GET http://a/ HTTP/1.1\r\n\r\n", "400 Bad Request" },
  { "\r\n\r\n", "400 Bad Request" },
  { " \r\n\r\n", "400 Bad Request" },
  { "PRI * HTTP/2.0\r\n\r\n", "400 Bad Request" },
  { "GET /\0 HTTP/1.1\r\n\r\n", "400 Bad Request" },
  { "GET /" .. ("a"):rep(5000), "431 Request Header Fields Too Large" },
  { "DELETE /healthz HTTP/1.1\r\n\r\n", "405 Method Not Allowed" },
  { "POST /healthz HTTP/1.1\r\nContent-Length: 9\r\n\r\nx", "405 Method Not Allowed" },
}

-- Opens `count` slow connections to a server, from so many addresses; to be closed.
local function holding(server, folder, count, addresses)
  local said = folder.path .. "/said"
  local runner = task.spawn(process.run, { argv = { "sh", "-c", 'exec python3 -c "$@"',
    "sh", SLOW, tostring(server:port()), tostring(count), tostring(addresses), said },
    timeout = 60 })
  lab.wait_for("the connections are open", function()
    assert(not runner:done())
    return file.read(said) == "open"
  end)
  return setmetatable({}, { __close = function() runner:cancel(0) end })
end

-- What comes back of each text that is sent to a server, until that ends it.
local function raw(server, texts, pause)
  local result = assert(process.run({ argv = { "python3", "-c", RAW, server:port() .. "",
    tostring(pause or 0) }, stdin = json.encode(texts), timeout = 60,
    max_output = 4 << 20 }))
  assert.equal(0, result.status, result.stderr)
  return json.decode(result.stdout)
end

describe("a server of probes", function()
  local server, url

  before_each(function()
    server = assert(metrics.serve({ host = "127.0.0.1" }))
    server:ready(true)
    url = "http://" .. server:address()
  end)

  after_each(function()
    server:close()
  end)

  for addresses, what in pairs { [1] = "one address", [40] = "forty" } do
    it("answers beside 200 slow connections from " .. what, function()
      local folder <close> = lab.folder()
      local slow <close> = holding(server, folder, 200, addresses)
      assert(slow)
      for _ = 1, 20 do
        for _, path in ipairs { "/healthz", "/readyz", "/metrics" } do
          local answer = assert(http.request({ url = url .. path, total_timeout = 2 }))
          assert.equal(200, answer.status)
        end
      end
    end)
  end

  it("ends a request whose head does not come", function()
    assert.same({ "" }, raw(server, { "GET /healthz HTTP/1.1\r\n" }))
  end)

  it("answers what is a request of HTTP/1.1, and says what is wrong with the rest", function()
    local texts = {}
    for i, case in ipairs(REQUESTS) do
      texts[i] = case[1]
    end
    for i, answer in ipairs(raw(server, texts)) do
      assert.equal("HTTP/1.1 " .. REQUESTS[i][2], answer:match("^[^\r]*"), texts[i]:sub(1, 40))
    end
  end)

  it("sends no body to HEAD, but its length", function()
    local text = raw(server, { "HEAD /healthz HTTP/1.1\r\n\r\n" })[1]
    assert.truthy(text:find("Content-Length: 3\r\n", 1, true), text)
    assert.equal("\r\n\r\n", text:sub(-4))
  end)
end)

describe("an image server", function()
  local folder, site

  local function serve(opts)
    opts.host = "127.0.0.1"
    site = served.open(opts)
    site.server:ready()
    site.server:publish("/token/disk.raw", { file = site:put("disk.raw", ("x"):rep(1 << 20)),
      size = 1 << 20 })
  end

  before_each(function()
    folder = lab.folder()
  end)

  after_each(function()
    site:close()
    getmetatable(folder).__close(folder)
  end)

  for addresses, what in pairs { [1] = "one address", [40] = "forty" } do
    it("sends an image beside 300 slow connections from " .. what, function()
      serve({})
      local slow <close> = holding(site.server, folder, 300, addresses)
      assert(slow)
      for _ = 1, 5 do
        local answer = assert(http.request({ url = site:url("/token/disk.raw"),
          total_timeout = 5 }))
        assert.equal(1 << 20, #answer.body)
      end
    end)
  end

  it("ends a connection whose head does not come", function()
    serve({ head_time = 0.2 })
    assert.same({ "", "" }, raw(site.server, { "GET /token/disk.raw HTTP/1.1\r\nA: b", "" }))
  end)

  it("does not end a download that is slow", function()
    serve({ head_time = 0.2 })
    local got = raw(site.server, { "GET /token/disk.raw HTTP/1.1\r\nHost: x\r\n"
      .. "Connection: close\r\n\r\n" }, 0.1)[1]
    assert.equal(1 << 20, #got:match("\r\n\r\n(.*)$"))
  end)
end)
