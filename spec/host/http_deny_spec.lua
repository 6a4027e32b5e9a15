local disk = require "host.disk"
local file = require "host.file"
local http = require "host.http"
local httpd = require "httpd"
local lab = require "support.lab"
local web = require "support.web"

local answer, redirect, refused = web.answer, web.redirect, web.refused

-- All of them are this machine, or what a cloud tells its machines.
local SPELLINGS = {
  "127.0.0.1", "127.1", "127.77.3.9", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1",
  "017700000001", "0.0.0.0", "0", "localhost", "LocalHost", "a.localhost", "[::1]", "[::]",
  "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
  "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "169.254.169.254", "[fe80::1]",
  "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "0xa9fea9fe",
}

describe("host.http deny", function()
  local site, server, url, get

  before_each(function()
    site = web.open()
    server, url, get = site.server, site.url, site.get
    server:on("/", { answer("a secret of this machine") })
  end)

  after_each(function()
    assert(http.deny({}))
    site.close()
  end)

  local function deny(...)
    local list = {}
    for i, range in ipairs { ... } do
      list[i] = { range = range }
    end
    assert(http.deny(list))
  end

  -- The file of a transfer that is started and waited for, or nil, err.
  local function transferred(source)
    local folder <close> = lab.folder()
    local running, err = disk.transfer({ format = "raw", source = source,
      output = folder.path .. "/disk.raw" })
    if not running then
      return nil, err
    end
    local one <close> = running
    return one:wait()
  end

  it("refuses nothing while nothing was said", function()
    assert.equal("a secret of this machine", assert(get("/")).body)
  end)

  for _, host in ipairs(SPELLINGS) do
    it("refuses " .. host, function()
      deny("loopback", "link-local")
      local got, err = site.pool:request({
        url = ("http://%s:%d/"):format(host, server:port()) })
      refused("invalid", "where no source may lead", got, err)
      assert.equal("EndpointDenied", err.code)
      assert.truthy(err.message:find("--deny-endpoints", 1, true), err.message)
      assert.equal(0, #server:requests())
    end)
  end

  it("refuses this machine by the address of its interface", function()
    local said = assert(require("host.process").run({ argv = { "hostname", "-I" } })).stdout
    local own = said:match("%d+%.%d+%.%d+%.%d+")
    if not own then
      pending("this machine has no address but the loopback's")
    end
    deny("loopback")
    refused("invalid", own, site.pool:request({
      url = ("http://%s:%d/"):format(own, server:port()) }))
  end)

  it("judges what a name leads to, not the name", function()
    local name = assert(file.read("/etc/hosts")):match("\n?127%.0%.[01]%.1%s+([%w.-]+)")
    deny("127.0.0.0/8", "::1")
    local got, err = site.pool:request({ url = ("http://%s:%d/"):format(
      name == "localhost" and "localhost" or name, server:port()) })
    refused("invalid", "where no source may lead", got, err)
    assert.equal(0, #server:requests())
  end)

  it("refuses a redirect that leads there", function()
    deny("127.0.0.2")
    server:on("/a", { redirect(302, ("http://127.0.0.2:%d/"):format(server:port())) })
    local got, err = get("/a", { follow = 3 })
    refused("invalid", "127.0.0.2", got, err)
    assert.equal("EndpointDenied", err.code)
    assert.equal(1, #server:requests())
  end)

  it("refuses the transfer of a disk", function()
    deny("loopback")
    refused("invalid", "where no source may lead", transferred({ url = url("/") }))
    deny("127.0.0.0/8", "::1")
    refused("invalid", "where no source may lead", transferred({
      url = "http://disks.example:80/", connect_to = "127.0.0.1:" .. server:port() }))
    assert.equal(0, #server:requests())
  end)

  it("lets the administrator's own server be anywhere", function()
    deny("loopback")
    local pool <close> = assert(http.pool({ anywhere = true }))
    assert.equal(200, assert(pool:request({ url = url("/") })).status)
  end)

  it("keeps to the range: its first and last address, and none beside it", function()
    deny("127.0.4.0/22")
    for host, ok in pairs { ["127.0.3.255"] = true, ["127.0.4.0"] = false,
      ["127.0.7.255"] = false, ["127.0.8.0"] = true } do
      local _, err = site.pool:request({ url = ("http://%s:1/"):format(host) })
      assert.equal(ok and "connect" or "invalid", err.kind, host)
    end
  end)

  it("takes a host by the addresses of its name, and calls it as it was told", function()
    assert(http.deny({ { host = "localhost", name = "the API server" } }))
    refused("invalid", "the API server", get("/"))
  end)

  it("takes no range that is none", function()
    for _, text in ipairs { "", "10.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/x", "::1/129",
      "example.com", "10.0.0.0/8/8", ("1"):rep(200) } do
      local ok, err = http.deny({ { range = text } })
      refused("invalid", "no range of addresses", ok, err)
    end
  end)

  it("allows the environment's proxy wherever it is, and no address through it", function()
    local proxy <close> = httpd.new()
    proxy:on("http://far.example/x", { answer("by the proxy") })
    local folder <close> = lab.folder()
    local path = folder.path .. "/ask.lua"
    assert(file.write(path, [[
      local http = require "host.http"
      assert(http.deny({ { range = "loopback" } }))
      print((http.request({ url = "http://far.example/x" }) or {}).body)
      for _, host in ipairs { "127.0.0.1", "localhost", "[::1]" } do
        local _, err = http.request({ url = "http://" .. host .. ":1/" })
        print(err and err.code)
      end
    ]]))
    local result = lab.run({ "script", path },
      { env = { http_proxy = "http://127.0.0.1:" .. proxy:port(), no_proxy = "" } })
    assert.equal("by the proxy\nEndpointDenied\nEndpointDenied\nEndpointDenied\n",
      result.stdout, result.stderr)
  end)
end)
