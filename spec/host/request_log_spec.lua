-- What the log says of each request with DEBUG=true, and that no secret is in it.

local env = require "host.env"
local file = require "host.file"
local httpd = require "httpd"
local json = require "host.json"
local lab = require "support.lab"
local process = require "host.process"
local web = require "support.web"

local folder = os.tmpname()

-- Lines of JSON that a process of this program writes to stderr when it runs the text.
local function lines_of(text, debug)
  local path = folder .. "/text.lua"
  assert(file.write(path, text))
  local result = assert(process.run({ argv = { env.args()[0], "script", path },
    env = { DEBUG = debug or "true" } }))
  assert(result.status == 0, result.stderr)
  local lines = {}
  for line in result.stderr:gmatch("[^\n]+") do
    lines[#lines + 1] = assert(json.decode(line), line)
  end
  return lines, result.stderr
end

local ASK = [[
  local disk, http, task = require "host.disk", require "host.http", require "host.task"
  local at = "127.0.0.1:%d"
  task.label("VirtualMachineImport/n/a")
  http.request({ method = "POST", url = "http://SECRET1:SECRET2@" .. at
    .. "/sdk/x?token=SECRET3#SECRET4", headers = { ["X-Auth-Token"] = "SECRET5" },
    body = "SECRET6" })
  http.request({ url = "http://SECRET7:SECRET8@127.0.0.1:1/y?SECRET9" })
  disk.transfer({ source = { url = "http://SECRETa:SECRETb@" .. at
    .. "/nfc/SECRETc/disk-0.vmdk?SECRETd", headers = { Cookie = "SECRETe" } },
    format = "raw", output = "%s/disk.raw" }):wait()
]]

describe("the log of requests", function()
  local server

  setup(function()
    assert(os.remove(folder))
    assert(file.mkdir(folder))
  end)

  before_each(function()
    server = httpd.new()
    server:on("/sdk/x", { web.answer("SECRETf", "Set-Cookie: SECRETg=SECRETh\r\n") })
    server:on("/nfc/SECRETc/disk-0.vmdk", { web.answer(("\0"):rep(512)) })
  end)

  after_each(function()
    server:close()
  end)

  teardown(function()
    assert(file.remove(folder, { recursive = true }))
  end)

  local function ask(debug)
    return lines_of(ASK:format(server:port(), folder), debug)
  end

  it("says method, host, path, code, milliseconds and for whom", function()
    local lines = ask()
    local line, at = lines[1], "127.0.0.1:" .. server:port()
    assert.is_true(math.type(line.ms) == "integer" and line.ms >= 0)
    assert.equal(("POST http://%s/sdk/x: 200"):format(at), line.message)
    assert.same({ "debug", "POST", at, "/sdk/x", 200, "VirtualMachineImport/n/a" },
      { line.level, line.method, line.host, line.path, line.code, line.task })
  end)

  for label, fields in pairs({
    ["VirtualMachineImport/n/a"] = { import = "n/a" },
    ["VmwareSource/n/a"] = { source = "n/a" },
    ["Source/n/a"] = { source = "n/a" },
    ["ource/n/a"] = {}, ["VirtualMachineImports/n/a"] = {}, ["VirtualMachineImport"] = {},
    ["VirtualMachine/n/a"] = {}, ["/n/a"] = {}, [""] = {},
  }) do
    it(("names the object as other lines of its story do: of %q"):format(label), function()
      local line = lines_of(([[
        local http, task = require "host.http", require "host.task"
        task.label(%q)
        http.request({ url = "http://127.0.0.1:%d/sdk/x" })
      ]]):format(label, server:port()))[1]
      assert.same(fields, { import = line.import, source = line.source })
      assert.equal(label, line.task)
    end)
  end

  it("says why there was no answer", function()
    local line = ask()[2]
    assert.same({ "127.0.0.1:1", "/y", 0 }, { line.host, line.path, line.code })
    assert.truthy(line.message:find("^GET http://127.0.0.1:1/y: .*onnect"), line.message)
  end)

  it("names a disk's file, and not its path", function()
    local line = ask()[3]
    assert.same({ "GET", "/.../disk-0.vmdk", 200 }, { line.method, line.path, line.code })
  end)

  it("has no query, no credentials, no header and no body in it", function()
    local lines, text = ask()
    assert.equal(3, #lines)
    assert.falsy(text:find("SECRET", 1, true), text)
  end)

  it("has no path of a URL that may be a credential, in its messages neither", function()
    local lines, text = lines_of(([[
      local http = require "host.http"
      for _, port in ipairs { %d, 1 } do
        local _, err = http.request({ discreet = true, follow = 1,
          url = ("http://SECRET1:SECRET2@127.0.0.1:%%d/nfc/SECRETc/disk-0.vmdk?SECRET3"):format(
            port) })
        require("host.log").debug(err and err.message or "whole")
      end
      require("host.log").debug(http.shown("https://SECRET1:SECRET2@cloud:5000/v3?SECRET3#SECRET4"))
      require("host.log").debug(http.shown("https://SECRET1@"))
    ]]):format(server:port()))
    assert.falsy(text:find("SECRET", 1, true), text)
    assert.equal("/.../disk-0.vmdk", lines[1].path)
    assert.truthy(lines[4].message:find("^GET http://127.0.0.1:1/.../disk%-0.vmdk: "))
    assert.equal("https://cloud:5000/v3", lines[5].message)
    assert.equal("(unreadable URL)", lines[6].message)
  end)

  it("has none of a disk of which nobody stated the format", function()
    for _, format in ipairs { "auto", "vmdk", "qcow2" } do
      local result = lab.run({ "disk", ("http://SECRET1:SECRET2@127.0.0.1:%d/nfc/SECRETc/x?SECRET3")
        :format(server:port()), "--format", format, "--output", folder .. "/x.raw" },
        { env = { DEBUG = "true" } })
      assert.equal(1, result.status)
      assert.falsy((result.stdout .. result.stderr):find("SECRET", 1, true), result.stderr)
    end
  end)

  it("is written with DEBUG=true alone", function()
    assert.same({}, ask("false"))
  end)
end)
