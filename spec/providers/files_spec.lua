local errors = require "host.error"
local files = require "providers.files"
local web = require "support.web"

local MACHINE = { id = "a", name = "a", disks = { { id = "0.raw" }, { id = "1.raw" } } }
local OK = "HTTP/1.1 200 OK\r\n"
local ETAG = { OK .. 'ETag: "1"\r\nContent-Length: 9\r\n\r\n',
  OK .. 'ETag: "2"\r\nContent-Length: 9\r\n\r\n' }

-- The stamp of a machine of two files whose server answers HEAD so.
local function of(heads, sums)
  local site = web.open()
  for i, head in ipairs(heads) do
    site.server:on(("/%d.raw"):format(i - 1), { head })
  end
  local module = files.provider("ShelfSource", {
    open = function() return {} end, find = print, inspect = print, close = function() end,
    stream = function(_, disk)
      return { url = site.url("/" .. disk.id), digest = (sums or {})[disk.id] }
    end,
  })
  local source <close> = assert(module.open({}, {}, {}))
  local text, err = source:stamp(MACHINE)
  site.close()
  return text, err
end

local function with_second(head)
  return { ETAG[1], head }
end

local function machine_of(fields)
  fields.cpu, fields.memory_bytes = { sockets = 1, cores = 1 }, 1 << 30
  fields.disks, fields.nics = {}, {}
  return fields
end

-- A source that answers so; `own` takes the place of what is given here.
local function source_of(own)
  local all = { find = print, stream = print,
    open = function()
      return {}
    end,
    inspect = function()
      return machine_of {}
    end }
  for name, method in pairs(own or {}) do
    all[name] = method
  end
  local module = files.provider("ShelfSource", all)
  return assert(module.open({}, {}, {})), module
end

describe("a source of files", function()
  it("has machines that are off, and cannot be shut down", function()
    local source <close>, module = source_of()
    assert.equal("ShelfSource", module.kind)
    assert.same({ guest_shutdown = false, power_off = false, resume = true, reread = true },
      source.can)
    assert.equal("off", source:power_state("a"))
    assert.is_true(source:shutdown_guest("a"))
    assert.is_true(source:power_off("a"))
    assert.same({}, source:preflight("a"))
    assert.same({}, source:networks())
    assert.same({}, source:cleanup())
  end)

  it("does not open where its provider does not", function()
    local module = files.provider("ShelfSource", { find = print, inspect = print, stream = print,
      open = function()
        return nil, errors.new("connect", "nobody is there")
      end })
    local source, err = module.open({}, {}, {})
    assert.is_nil(source)
    assert.equal("connect", err.kind)
  end)

  it("says of a machine what its provider leaves out, and nothing else", function()
    local source <close> = source_of()
    local found = assert(source:inspect("web-01"))
    assert.same({ "web-01", "web-01", "off" }, { found.id, found.name, found.power_state })
    local other <close> = source_of { inspect = function()
      return machine_of { id = "7", name = "web", power_state = "on" }
    end }
    found = assert(other:inspect("web-01"))
    assert.same({ "7", "web", "on" }, { found.id, found.name, found.power_state })
  end)

  it("says why there is no machine, or that what it got is none", function()
    local source <close> = source_of { inspect = function(_, id)
      return nil, id == "gone" and errors.new("gone", "it is gone") or nil
    end }
    local found, err = source:inspect("gone")
    assert.is_nil(found)
    assert.equal("gone", err.kind)
    found, err = source:inspect("odd")
    assert.is_nil(found)
    assert.equal("odd: is no description of a machine", err.message)
  end)

  it("exports each disk by its id, as often as asked", function()
    local source <close> = source_of { stream = function(_, disk, machine)
      return { url = machine.name .. "/" .. disk.id }
    end }
    local export <close> = source:export(MACHINE)
    for _ = 1, 2 do
      assert.equal("a/1.raw", assert(export:stream("1.raw")).url)
      assert.equal("a/0.raw", assert(export:stream("0.raw")).url)
    end
    local stream, err = export:stream("2.raw")
    assert.is_nil(stream)
    assert.equal("a has no disk 2.raw", err.message)
    assert.is_nil(export:lost())
    assert.same({}, export:complete())
  end)
end)

describe("the stamp of a machine of files", function()
  it("is the same while its server says the same", function()
    assert.equal(assert(of(ETAG)), assert(of(ETAG)))
  end)

  for what, heads in pairs {
    ["ETag"] = { ETAG[2], OK .. 'ETag: "3"\r\nContent-Length: 9\r\n\r\n' },
    ["size"] = { ETAG[2], OK .. 'ETag: "2"\r\nContent-Length: 10\r\n\r\n' },
    ["date"] = { OK .. "Last-Modified: Mon, 30 Nov 2026 00:00:00 GMT\r\n"
      .. "Content-Length: 9\r\n\r\n", OK .. "Last-Modified: Tue, 01 Dec 2026 00:00:00 GMT"
      .. "\r\nContent-Length: 9\r\n\r\n" },
  } do
    it("is another one when one of them has another " .. what, function()
      assert.not_equal(assert(of(with_second(heads[1]))), assert(of(with_second(heads[2]))))
    end)
  end

  it("is another one when the provider knows another checksum", function()
    local none = "HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n"
    local function sum(value)
      return assert(of({ none, none }, { ["1.raw"] = { algorithm = "md5", value = value } }))
    end
    assert.equal(sum("a"), sum("a"))
    assert.not_equal(sum("a"), sum("b"))
  end)

  it("fails, and names the disk, while the server is not well or a file has gone", function()
    for status, kind in pairs { [500] = "http", [503] = "http", [429] = "http", [404] = "gone",
      [410] = "gone" } do
      local text, err = of(with_second(("HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n")
        :format(status)))
      assert.is_nil(text)
      assert.equal(kind, err.kind)
      assert.truthy(err.message:find("disk 1.raw of a", 1, true))
    end
  end)
end)
