-- Who looks whether we are alive is answered, whoever else holds connections open.

local file = require "host.file"
local http = require "host.http"
local json = require "host.json"
local lab = require "support.lab"
local metrics = require "host.metrics"
local process = require "host.process"
local task = require "host.task"

-- Opens COUNT connections to PORT from addresses that begin at 127.0.0.FROM, each with the
-- beginning of a request to which a byte is added now and then; says "open"; ends with its
-- input.
local SLOW = [[
import select, socket, sys
port, count, addresses = map(int, sys.argv[1:4])
held = []
for i in range(count):
    s = socket.socket()
    s.bind(("127.0.0.%d" % (9 + i % addresses), 0))
    s.connect(("127.0.0.1", port))
    s.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
    held.append(s)
open(sys.argv[4], "w").write("open")
while not select.select([sys.stdin], [], [], 0.2)[0]:
    for s in held:
        try:
            s.send(b"a")
        except OSError:
            pass
]]

local RAW = [[
import json, socket, sys
said = []
for text in json.load(sys.stdin):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
    s.sendall(text.encode())
    got = b""
    while True:
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

  local function holding(folder, count, addresses)
    local said = folder.path .. "/said"
    local runner = task.spawn(process.run, { argv = { "sh", "-c", 'exec python3 -c "$@"',
      "sh", SLOW, tostring(server:port()),
      tostring(count), tostring(addresses), said }, timeout = 60 })
    lab.wait_for("the connections are open", function()
      assert(not runner:done())
      return file.read(said) == "open"
    end)
    return setmetatable({}, { __close = function() runner:cancel(0) end })
  end

  for addresses, what in pairs { [1] = "one address", [40] = "forty" } do
    it("answers beside 200 slow connections from " .. what, function()
      local folder <close> = lab.folder()
      local slow <close> = holding(folder, 200, addresses)
      assert(slow)
      for _ = 1, 20 do
        for _, path in ipairs { "/healthz", "/readyz", "/metrics" } do
          local answer = assert(http.request({ url = url .. path, total_timeout = 2 }))
          assert.equal(200, answer.status)
        end
      end
    end)
  end

  -- What comes back of each text that is sent, until the server ends it.
  local function raw(texts)
    local result = assert(process.run({ argv = { "python3", "-c", RAW, server:port() .. "" },
      stdin = json.encode(texts), timeout = 60 }))
    assert.equal(0, result.status, result.stderr)
    return json.decode(result.stdout)
  end

  it("ends a request whose head does not come", function()
    assert.same({ "" }, raw({ "GET /healthz HTTP/1.1\r\n" }))
  end)

  it("answers what is a request of HTTP/1.1, and says what is wrong with the rest", function()
    local texts = {}
    for i, case in ipairs(REQUESTS) do
      texts[i] = case[1]
    end
    for i, answer in ipairs(raw(texts)) do
      assert.equal("HTTP/1.1 " .. REQUESTS[i][2], answer:match("^[^\r]*"), texts[i]:sub(1, 40))
    end
  end)

  it("sends no body to HEAD, but its length", function()
    local text = raw({ "HEAD /healthz HTTP/1.1\r\n\r\n" })[1]
    assert.truthy(text:find("Content-Length: 3\r\n", 1, true), text)
    assert.equal("\r\n\r\n", text:sub(-4))
  end)
end)
