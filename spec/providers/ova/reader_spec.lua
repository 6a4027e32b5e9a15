--- providers.ova.reader: pieces of a file, from servers with and without ranges.

local disks = require "support.disks"
local file = require "host.file"
local http = require "host.http"
local lab = require "support.lab"
local process = require "host.process"
local reader = require "providers.ova.reader"
local shelf_of = require "support.shelf"

local BYTES = ("0123456789abcdef"):rep(20000)

describe("a reader", function()
  local folder, shelf, pool

  setup(function()
    folder = lab.folder()
    shelf = shelf_of.open(folder.path)
    shelf:put("file", BYTES)
    pool = assert(http.pool())
  end)

  teardown(function()
    pool:close()
    getmetatable(shelf).__close(shelf)
    getmetatable(folder).__close(folder)
  end)

  local function open(words, name)
    return reader.http({ pool = pool }, shelf:at(words, name or "file"))
  end

  for _, words in ipairs { "range", "plain" } do
    it("gives any piece, forward, from a server that is " .. words, function()
      local source <close> = assert(open(words))
      assert.same({ #BYTES, words == "range" }, { source.size, source.ranges })
      for _, piece in ipairs { { 0, 512 }, { 0, 512 }, { 500, 20 }, { 1000, 0 },
        { 65530, 10 }, { 65536, 512 }, { 200000, 70000 }, { #BYTES - 10, 512 },
        { #BYTES, 512 }, { #BYTES + 4096, 1 } } do
        local at, size = piece[1], piece[2]
        assert.is_true(BYTES:sub(at + 1, at + size) == source:read(at, size), "at " .. at)
      end
    end)
  end

  it("asks for little, and only for what it needs, where there are ranges", function()
    shelf:log()
    local source <close> = assert(open "range")
    assert(source:read(0, 512))
    assert(source:read(200000, 512))
    assert.is_true(shelf:sent() <= 2 * 65536)
  end)

  it("has the mark of the file's state, and notices another", function()
    shelf:put("other", BYTES)
    local source <close> = assert(open("range", "other"))
    local again <close> = assert(open("range", "other"))
    assert.equal(source.mark, again.mark)
    disks.run("sleep 0.01; touch '" .. shelf.path .. "/other'")
    local changed <close> = assert(open("range", "other"))
    assert.not_equal(source.mark, changed.mark)
    local bytes, err = source:read(200000, 10)
    assert.is_nil(bytes)
    assert.same({ "conflict", "SourceChanged" }, { err.kind, err.code })
  end)

  it("follows redirects, and says where it ended", function()
    local source <close> = assert(open "redirect")
    assert.equal(shelf:at("plain", "file"), source.url)
  end)

  it("says what the server says instead", function()
    for words, kind in pairs { auth = "denied", range = "notfound" } do
      local source, err = open(words, words == "range" and "none" or "file")
      assert.is_nil(source)
      assert.equal(kind, err.kind)
      assert.matches(shelf:at(words, ""), err.message, 1, true)
    end
  end)

  it("reads a file of this machine as well", function()
    local path = shelf.path .. "/file"
    local source <close> = assert(reader.file(path))
    assert.equal(#BYTES, source.size)
    assert.equal(BYTES:sub(101, 200), source:read(100, 100))
    assert.equal("", source:read(#BYTES, 100))
    -- Written again with as many bytes it is another one.
    local before = source.mark
    assert(process.run({ argv = { "touch", "-d", "2020-01-01", path } }))
    local again <close> = assert(reader.file(path))
    assert.equal(source.size, again.size)
    assert.not_equal(before, again.mark)
    assert(file.mkdir(shelf.path .. "/folder"))
    assert.equal("invalid", select(2, reader.file(shelf.path .. "/folder")).kind)
    assert.equal("notfound", select(2, reader.file(shelf.path .. "/none")).kind)
  end)
end)
