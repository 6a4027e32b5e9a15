--- host.disk on VMDKs: takes every sound one, refuses every other one and says where.

local disk = require("host.disk")
local disks = require("support.disks")
local zlib = require("support.zlib")

local GRAIN = 64 * 1024

local folder, remove = disks.folder()
local output = folder .. "/disk.raw"

local function transfer(bytes, opts)
  local running <close>, refused = disk.transfer({
    source = { file = disks.write(folder .. "/stream.vmdk", bytes) },
    format = "vmdk",
    output = output,
    sha512 = opts and opts.sha512,
    capacity = opts and opts.capacity,
  })
  if not running then
    return nil, refused
  end
  return running:wait()
end

local sample = disks.sample()
local want = disks.digest("sha512", disks.write_raw(folder .. "/want.raw", sample))
local footer, at = disks.footer_style(sample)
local head, head_at = disks.head_style(sample)
local second, second_at = disks.head_style(
  setmetatable({ redundant = true }, { __index = sample }))
-- The header knows the directory's place behind the grains, with and without a footer.
local function known_style(changes)
  changes.known = true
  return disks.footer_style(setmetatable(changes, { __index = sample }))
end
local known, known_at = known_style({ over = true })
local bare, bare_at = known_style({ no_footer = true })
os.remove(folder .. "/want.raw")

local put, cut, insert, part = disks.put, disks.cut, disks.insert, disks.part

-- With little-endian `value` in place of the number there.
local function u32(bytes, where, value)
  return put(bytes, where, string.pack("<I4", value))
end

local function i64(bytes, where, value)
  return put(bytes, where, string.pack("<i8", value))
end

local function flip(bytes, where)
  return put(bytes, where, string.char(bytes:byte(where + 1) ~ 1))
end

local function read32(bytes, where)
  return (string.unpack("<I4", bytes, where + 1))
end

-- The record of grain `n` of the footer style with another zlib stream; what follows
-- does not move, so that nothing but the grain itself is wrong.
local function with_grain(n, compressed)
  local where = at["grain" .. n]
  local lba = string.unpack("<i8", footer, where.at + 1)
  local record = disks.grain(lba, compressed)
  assert(#record <= where.size, "the new record does not fit")
  return put(footer, where.at, record .. ("\0"):rep(where.size - #record))
end

local function swap(bytes, a, b)
  local between = bytes:sub(a.at + a.size + 1, b.at)
  return bytes:sub(1, a.at) .. part(bytes, b) .. between .. part(bytes, a)
    .. bytes:sub(b.at + b.size + 1)
end

local function replaced(from, to)
  local text = part(footer, at.descriptor)
  local first, last = text:find(from, 1, true)
  local changed = text:sub(1, first - 1) .. to .. text:sub(last + 1)
  changed = changed:sub(1, #text) .. ("\0"):rep(#text - #changed)
  return put(footer, at.descriptor.at, changed)
end

-- Names of damages -> the damaged file. Of the footer style unless they say "head".
local damages = {
  { "another magic", put(footer, 0, "KDMW") },
  { "a qcow2", put(footer, 0, "QFI\xfb") },
  { "version 0", u32(footer, 4, 0) },
  { "version 4", u32(footer, 4, 4) },
  { "no compression flag", u32(footer, 8, 0x20001) },
  { "no marker flag", u32(footer, 8, 0x10001) },
  { "an unknown flag", u32(footer, 8, 0x70001) },
  { "capacity 0", i64(footer, 12, 0) },
  { "a capacity of 2^60 sectors", i64(footer, 12, 1 << 60) },
  { "a negative capacity", i64(footer, 12, -1) },
  { "a capacity that the descriptor does not have",
    i64(footer, 12, sample.capacity + 1) },
  { "grains of 0 sectors", i64(footer, 20, 0) },
  { "grains of 4 sectors", i64(footer, 20, 4) },
  { "grains of 96 sectors", i64(footer, 20, 96) },
  { "grains of 4096 sectors", i64(footer, 20, 4096) },
  { "grains of 64 sectors where they have 128", i64(footer, 20, 64) },
  { "a descriptor in the header", i64(footer, 28, 0) },
  { "a descriptor behind the head", i64(footer, 28, 127) },
  { "a descriptor at 2^63", i64(footer, 28, math.mininteger) },
  { "a descriptor of 0 sectors", i64(footer, 36, 0) },
  { "a descriptor of 2^40 sectors", i64(footer, 36, 1 << 40) },
  { "tables of 256 entries", u32(footer, 44, 256) },
  { "overhead 0", i64(footer, 64, 0) },
  { "overhead 1", i64(footer, 64, 1) },
  { "overhead 2^40", i64(footer, 64, 1 << 40) },
  { "overhead that ends a sector early", i64(footer, 64, 127) },
  { "an unclean shutdown", put(footer, 72, "\1") },
  { "changed line ends", put(footer, 73, "\n \n\n") },
  { "no compression", put(footer, 77, "\0\0") },

  { "another createType", replaced("streamOptimized", "monolithicSparse") },
  { "no createType", replaced("createType", "createTyp_") },
  { "a parent", replaced("parentCID=ffffffff", "parentCID=12345678") },
  { "no parentCID", replaced("parentCID", "parentCJD") },
  { "an extent of another size", replaced(sample.capacity .. " SPARSE", "1024 SPARSE") },
  { "a flat extent", replaced(" SPARSE", " FLAT") },
  { "no extent", replaced("RDONLY ", "RDOMLY ") },
  { "two extents", replaced("#DDB", "RW 12 SPARSE \"more.vmdk\"") },

  { "a grain between grains", i64(footer, at.grain1.at, 129) },
  { "a grain behind the disk", i64(footer, at.grain8.at, sample.capacity + 121) },
  { "a grain at 2^63", i64(footer, at.grain1.at, math.mininteger) },
  { "a grain moved to another place", i64(footer, at.grain2.at, 3 * 128) },
  { "a repeated grain", i64(footer, at.grain1.at, 0) },
  { "two grains swapped", swap(footer, at.grain0, at.grain2) },
  { "a grain left out", cut(footer, at.grain2) },
  { "a grain twice", insert(footer, at.grain2.at, part(footer, at.grain2)) },
  { "a grain of 4 GiB", u32(footer, at.grain1.at + 8, 0xffffffff) },
  { "a grain of more than two grains' bytes",
    u32(footer, at.grain1.at + 8, 2 * GRAIN + 1) },
  { "a grain a byte too long", u32(footer, at.grain0.at + 8,
    read32(footer, at.grain0.at + 8) + 1) },
  { "a grain a byte too short", u32(footer, at.grain0.at + 8,
    read32(footer, at.grain0.at + 8) - 1) },
  { "a wrong zlib header", put(footer, at.grain1.at + 12, "\x79") },
  { "raw deflate without zlib's frame", with_grain(1,
    zlib.stored(sample.raw[2][2]):sub(3, -5)) },
  { "a changed bit in a grain", flip(footer, at.grain1.at + 40000) },
  { "a changed checksum", flip(footer, at.grain1.at + 12
    + read32(footer, at.grain1.at + 8) - 1) },
  { "a grain that inflates to a byte less", with_grain(1, zlib.run(1, GRAIN - 1)) },
  { "a grain that inflates to a sector", with_grain(1, zlib.run(1, 512)) },
  { "a grain that inflates to a byte more", with_grain(1, zlib.run(1, GRAIN + 1)) },
  { "a grain that inflates to 8 MiB", with_grain(1, zlib.run(1, 8 << 20)) },
  { "a last grain that is too short", with_grain(8, zlib.run(7, 512)) },
  { "a grain after its table", insert(footer, at.grain5.at, disks.grain(512 * 128 - 128,
    zlib.run(9, GRAIN))) },
  { "a grain after the directory", insert(footer, at.footer_mark.at,
    part(footer, at.grain8)) },

  { "a table of 3 sectors", i64(footer, at.table0_mark.at, 3) },
  { "a table left out", footer:sub(1, at.table0_mark.at)
    .. footer:sub(at.table0.at + at.table0.size + 1) },
  { "a table twice", insert(footer, at.table0_mark.at,
    footer:sub(at.table0_mark.at + 1, at.table0.at + at.table0.size)) },
  { "tables swapped", swap(footer, at.table0, at.table1) },
  { "a cleared table entry", u32(footer, at.table0.at + 4, 0) },
  { "a changed table entry", u32(footer, at.table0.at + 4,
    read32(footer, at.table0.at + 4) + 1) },
  { "swapped table entries", put(footer, at.table0.at, footer:sub(at.table0.at + 5,
    at.table0.at + 8) .. footer:sub(at.table0.at + 1, at.table0.at + 4)) },
  { "a table entry for no grain", u32(footer, at.table0.at + 12, 128) },
  { "a cleared table", put(footer, at.table2.at, ("\0"):rep(2048)) },

  { "a directory of 2 sectors", i64(footer, at.directory_mark.at, 2) },
  { "no directory", footer:sub(1, at.directory_mark.at)
    .. footer:sub(at.footer_mark.at + 1) },
  { "a directory twice", insert(footer, at.directory_mark.at,
    footer:sub(at.directory_mark.at + 1, at.footer_mark.at)) },
  { "a cleared directory entry", u32(footer, at.directory.at + 4, 0) },
  { "a changed directory entry", u32(footer, at.directory.at,
    read32(footer, at.directory.at) + 1) },
  { "no footer", footer:sub(1, at.footer_mark.at)
    .. footer:sub(at.end_mark.at + 1) },
  { "a footer of 2 sectors", i64(footer, at.footer_mark.at, 2) },
  { "a footer of another version", u32(footer, at.footer.at + 4, 2) },
  { "a footer of another capacity", i64(footer, at.footer.at + 12, sample.capacity - 7) },
  { "a footer without the directory's place", i64(footer, at.footer.at + 56, -1) },
  { "a footer with a wrong place",
    i64(footer, at.footer.at + 56, at.directory.at // 512 - 1) },
  { "a footer before the directory", footer:sub(1, at.directory_mark.at)
    .. footer:sub(at.footer_mark.at + 1, at.end_mark.at)
    .. footer:sub(at.directory_mark.at + 1, at.footer_mark.at)
    .. footer:sub(at.end_mark.at + 1) },
  { "a mark between footer and end", insert(footer, at.end_mark.at, disks.marker(0, 4)) },

  { "an end mark among the grains", insert(footer, at.grain5.at, disks.marker(0, 0)) },
  { "an end mark with a length", i64(footer, at.end_mark.at, 1) },
  { "no end mark", footer:sub(1, at.end_mark.at) },
  { "a sector after the end", footer .. ("\0"):rep(512) },
  { "a byte after the end", footer .. "\0" },
  { "another file after the end", footer .. footer },
  { "an unknown mark", insert(footer, at.grain5.at, disks.marker(0, 5)) },
  { "a byte too much among the grains", insert(footer, at.grain5.at, "\0") },
  { "a byte too few", cut(footer, { at = at.grain5.at - 1, size = 1 }) },
  { "nothing at all", "" },
  { "a header alone", footer:sub(1, 512) },

  { "a known place: another one", i64(known, 56, known_at.directory.at // 512 - 1) },
  { "a known place: that of a table", i64(known, 56, known_at.table2.at // 512) },
  { "a known place: among the grains", i64(known, 56, known_at.grain3.at // 512) },
  { "a known place: behind the end", i64(bare, 56, 1 << 40) },
  { "a known place: 2^63", i64(bare, 56, math.mininteger) },
  { "a known place: a directory that straddles the head", i64(bare, 56, 127 * 512) },
  { "a known place: its footer has none", i64(known, known_at.footer.at + 56, -1) },
  { "a known place: its footer has another",
    i64(known, known_at.footer.at + 56, known_at.directory.at // 512 + 1) },
  { "a known place: a cleared entry", u32(bare, bare_at.table0.at + 4, 0) },
  { "a known place: a cleared directory entry", u32(bare, bare_at.directory.at + 4, 0) },
  { "a known place: a grain left out", cut(bare, bare_at.grain2) },
  { "a known place: two grains swapped", swap(bare, bare_at.grain0, bare_at.grain2) },
  { "a known place: a directory of 3 sectors", i64(known, known_at.directory_mark.at, 3) },
  { "a known place: no directory", bare:sub(1, bare_at.directory_mark.at)
    .. bare:sub(bare_at.end_mark.at + 1) },
  { "a known place: no end mark", bare:sub(1, bare_at.end_mark.at) },
  { "a known place: a sector after the end", bare .. ("\0"):rep(512) },

  { "in the head: a directory at 0", i64(head, 56, 0) },
  { "in the head: a directory behind the head", i64(head, 56, 1 << 20) },
  { "in the head: a directory at its end",
    i64(head, 56, head_at.grain0.at // 512) },
  { "in the head: a table before the directory", u32(head, head_at.directory.at, 2) },
  { "in the head: a table behind the head",
    u32(head, head_at.directory.at + 8, 0xfffffff0) },
  { "in the head: two tables at one place", u32(head, head_at.directory.at + 4,
    read32(head, head_at.directory.at)) },
  { "in the head: a table given up", u32(head, head_at.directory.at + 4, 0) },
  { "in the head: a cleared entry", u32(head, head_at.table0.at + 4, 0) },
  { "in the head: a changed entry", u32(head, head_at.table0.at + 4,
    read32(head, head_at.table0.at + 4) + 1) },
  { "in the head: an entry for no grain", u32(head, head_at.table0.at + 12,
    head_at.grain1.at // 512) },
  { "in the head: an entry into the head", u32(head, head_at.table0.at + 12, 2) },
  { "in the head: a grain left out", cut(head, head_at.grain2) },
  { "in the head: the last grain left out", head:sub(1, head_at.grain8.at) },
  { "in the head: a grain twice", head .. part(head, head_at.grain8) },
  { "in the head: two grains of one place", i64(head, head_at.grain1.at, 0) },
  { "in the head: grains of each other's place", i64(i64(head, head_at.grain0.at, 256),
    head_at.grain2.at, 0) },
  { "in the head: a table's mark", head .. disks.marker(4, 1) .. ("\0"):rep(2048) },
  { "in the head: bytes after the end", head .. ("\0"):rep(512) .. ("\1"):rep(512) },
  { "in the head: a piece of a sector after the end", head .. ("\0"):rep(612) },
  { "in the head: a second table that differs",
    u32(second, second_at.second_table1.at + 8, 5000) },
  { "in the head: a second directory that is cut off", i64(second, 48,
    second_at.grain0.at // 512) },
}

describe("disk.transfer of a VMDK", function()
  teardown(remove)

  local function takes(bytes, opts)
    local capacity = opts and opts.capacity
    local result, err = transfer(bytes, { sha512 = true, capacity = capacity })
    assert(result, tostring(err))
    assert.equal(want, result.sha512)
    assert.equal(want, disks.digest("sha512", output))
    os.remove(output)
  end

  local function with(changes)
    return setmetatable(changes, { __index = sample })
  end

  it("takes VMware's layout", function()
    takes(footer)
  end)

  it("takes progress marks, tables that name nothing, and all tables last", function()
    takes((disks.footer_style(with({ progress = true, unused = true }))))
    takes((disks.footer_style(with({ tables_last = true }))))
  end)

  it("takes a directory behind the grains whose place the header tells, as vmdktool writes",
    function()
      takes(known)
      takes(bare)
      takes((known_style({ unused = true, tables_last = true })))
      takes((known_style({ over = true, no_footer = true, progress = true })))
    end)

  it("takes a progress mark for each grain and 2048 besides", function()
    takes((disks.footer_style(with({ progress = sample.capacity // 128 + 2048 }))))
  end)

  it("refuses a stream that goes on where any disk of its size has ended", function()
    local small = { capacity = 4096, grains = { { 1, zlib.run(5, GRAIN) } } }
    local marked, marked_at = disks.footer_style(small)
    local mark = disks.marker(0, 4)
    for what, endless in pairs({
      ["progress marks"] = insert(marked, marked_at.grain0.at, mark:rep(10000)),
      ["empty tables"] = insert(marked, marked_at.grain0.at,
        (disks.marker(4, 1) .. ("\0"):rep(2048)):rep(2000)),
      ["zeros after the end"] = disks.head_style(small) .. ("\0"):rep(5 << 20),
    }) do
      local result, err = transfer(endless)
      assert.is_nil(result, what)
      assert.equal("format", err.kind)
      assert.matches("byte %d+: the VMDK goes on where a disk of 2097152 bytes must have "
        .. "ended", err.message, what)
      assert.equal("stream.vmdk", disks.names(folder))
    end
  end)

  it("takes a last grain that is stored whole", function()
    takes((disks.footer_style(disks.sample({ whole_last = true }))))
  end)

  it("takes anything as padding", function()
    takes(put(footer, at.grain1.at - 3, "abc"))
    takes(put(footer, at.table0_mark.at + 16, "abc"))
    takes(put(footer, 79, "abc"))
  end)

  it("takes entries that say zeros where no grain is", function()
    takes(u32(footer, at.table0.at + 12, 1))
  end)

  it("takes the layout of qemu-img, with and without end mark, second tables, padding",
    function()
      takes(head)
      takes(second)
      takes((disks.head_style(with({ end_mark = true, redundant = true }))))
      takes(head .. ("\0"):rep(64 * 1024))
      takes(head:sub(1, head_at.grain8.at + 12 + read32(head, head_at.grain8.at + 8)))
    end)

  it("takes grains in any order if the tables come first", function()
    takes((disks.head_style(disks.shuffled(sample))))
  end)

  it("takes grains of 4 KiB and of 1 MiB", function()
    for _, grain in ipairs({ 8, 2048 }) do
      local size = grain * 512
      local bytes = disks.footer_style({
        capacity = 4096, grain = grain, grains = { { 1, zlib.run(5, size) } },
      })
      assert(transfer(bytes))
      local f <close> = assert(io.open(output, "rb"))
      assert.equal(("\0"):rep(size) .. ("\5"):rep(size), f:read(2 * size))
      assert.equal(2 * 1024 * 1024, f:seek("end"))
    end
  end)

  it("takes a disk without any grain, and makes it one hole", function()
    local empty = disks.footer_style({ capacity = 1 << 27, grains = {} })
    local result = assert(transfer(empty))
    assert.equal(1 << 36, result.capacity)
    assert.equal(0, result.written)
    assert.equal("0", disks.run("stat -c %b '" .. output .. "'"):match("%d+"))
  end)

  it("refuses a disk of another capacity", function()
    local size = sample.capacity * 512
    takes(footer, { capacity = size })
    local _, err = transfer(footer, { capacity = size + 512 })
    assert.equal("format", err.kind)
    assert.matches("expected " .. size + 512, err.message)
  end)

  local function refuses(bytes)
    local result, err = transfer(bytes)
    assert.is_nil(result)
    assert.equal("format", err.kind)
    assert.matches("stream.vmdk: byte %d+: ", err.message)
    assert.equal("stream.vmdk", disks.names(folder))
    return err
  end

  for _, damage in ipairs(damages) do
    it("refuses " .. damage[1], function()
      for _, sound in ipairs({ footer, head, second, known, bare }) do
        assert(damage[2] ~= sound)
      end
      refuses(damage[2])
    end)
  end

  local function refuses_cuts(bytes, map)
    local seen = {}
    for name, where in pairs(map) do
      if name ~= "size" then
        local size = where.size
        for _, n in ipairs({ 0, 1, 11, 12, 511, size // 2, size - 1, size }) do
          seen[where.at + math.min(n, size)] = true
        end
      end
    end
    for n in pairs(seen) do
      if n < #bytes then
        local err = refuses(bytes:sub(1, n))
        assert.matches("byte " .. n .. ": the stream ", err.message)
      end
    end
  end

  it("refuses every cut of VMware's layout", function()
    refuses_cuts(footer, at)
  end)

  it("refuses every cut of vmdktool's layout", function()
    refuses_cuts(known, known_at)
  end)

  it("refuses every cut of qemu-img's layout", function()
    for i = 0, 8 do
      local where = head_at["grain" .. i]
      for _, n in ipairs({ 0, 12, where.size // 2 }) do
        refuses(head:sub(1, where.at + n))
      end
    end
    refuses(head:sub(1, head_at.table1.at))
  end)

  it("refuses a guest's disk that begins as another image format", function()
    local magics = { "QFI\xfb", "KDMV", "COWD", "vhdxfile", "conectix", "QED\0",
      ("\0"):rep(64) .. "\x7f\x10\xda\xbe", "#\nversion=1\n" }
    for _, magic in ipairs(magics) do
      local data = magic .. ("x"):rep(GRAIN - #magic)
      local _, err = transfer((disks.footer_style({
        capacity = 128, grains = { { 0, zlib.stored(data) } },
      })))
      assert.equal("unsupported", err.kind)
      assert.matches("another image format", err.message)
      assert.equal("stream.vmdk", disks.names(folder))
    end
  end)
end)
