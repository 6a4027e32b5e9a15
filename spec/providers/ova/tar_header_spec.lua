--- providers.ova.tar_header: one block, and the records of pax.

local header = require "providers.ova.tar_header"
local tar = require "support.tar"

describe("a header of a tar archive", function()
  it("has a name, a size and a type", function()
    assert.same({ name = "a.ovf", size = 5, type = "0" },
      header.read(tar.header("a.ovf", 5)))
  end)

  it("puts a prefix before the name where it is one of POSIX, and only there", function()
    assert.equal("p/a", header.read(tar.header("a", 0, { prefix = "p" })).name)
    assert.equal("a", header.read(tar.header("a", 0, { prefix = "p",
      magic = "ustar  \0" })).name)
  end)

  it("has a size of octal digits however padded, or a binary one", function()
    for text, size in pairs { ["       17 \0\0"] = 15, ["000000000017"] = 15,
      [("\0"):rep(12)] = 0, [(" "):rep(12)] = 0, [tar.big(1 << 40)] = 1 << 40 } do
      assert.equal(size, header.read(tar.header("a", 0, { size = text })).size)
    end
  end)

  it("may have a checksum of signed bytes, as old programs made it", function()
    local block = tar.header("\200", 0)
    local sum = tonumber(block:sub(149, 154), 8)
    assert.truthy(header.read(tar.header("\200", 0, { sum = sum - 256 })))
    assert.falsy(header.read(tar.header("\200", 0, { sum = sum - 255 })))
  end)
end)

describe("records of pax", function()
  it("are keywords and values, which may hold a line's end", function()
    assert.same({ path = "a\nb=c", size = "12" },
      header.pax("14 path=a\nb=c\n11 size=12\n"))
    assert.same({}, header.pax(""))
  end)
end)
