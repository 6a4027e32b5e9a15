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
    for status, kind in pairs { [503] = "http", [404] = "gone" } do
      local text, err = of(with_second(("HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n")
        :format(status)))
      assert.is_nil(text)
      assert.equal(kind, err.kind)
      assert.truthy(err.message:find("disk 1.raw of a", 1, true))
    end
  end)
end)
