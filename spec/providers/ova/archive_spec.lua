--- providers.ova.archive: members of every kind of tar, and what is refused.

local archive = require "providers.ova.archive"
local disks = require "support.disks"
local errors = require "host.error"
local tar = require "support.tar"

local function list(bytes, opts)
  opts = opts or {}
  local read, seen = tar.reader(bytes)
  local members, err = archive.list(read, {
    size = opts.size ~= false and (opts.size or #bytes) or nil,
    keep = opts.keep or function() return 0 end,
  })
  return members, err, seen
end

local function names(members)
  local found = {}
  for i, member in ipairs(members) do
    found[i] = member.name
  end
  return table.concat(found, " ")
end

describe("an archive", function()
  local folder, remove = disks.folder()
  teardown(remove)

  local LONG = ("long-"):rep(30) .. "name.vmdk"
  for _, format in ipairs { "v7", "ustar", "gnu", "pax", "oldgnu" } do
    it("of the format " .. format .. " has its members where tar says", function()
      local long = format ~= "v7" and "sub/" .. ("d"):rep(90) .. "/" .. LONG:sub(1, 95)
        or "sub/short"
      disks.run(("cd '%s' && rm -rf t && mkdir -p t && cd t && mkdir -p \"$(dirname '%s')\" && "
        .. "printf ovf > a.ovf && seq 1000 > '%s' && : > empty && tar cf ../t.tar --format=%s "
        .. "--no-recursion ./a.ovf '%s' sub empty"):format(folder, long, long, format, long))
      local handle <close> = assert(io.open(folder .. "/t.tar", "rb"))
      local bytes = handle:read("a")
      local members, err = list(bytes, { keep = function(member)
        return member.name == "a.ovf" and 100 or 4
      end })
      assert(members, tostring(err))
      assert.equal("a.ovf " .. long .. " empty", names(members))
      assert.is_true(members.ended)
      assert.same({ "ovf", "1\n2\n", "" },
        { members[1].head, members[2].head, members[3].head })
      assert.equal("999\n1000\n", bytes:sub(members[2].offset + members[2].size - 8,
        members[2].offset + members[2].size))
    end)
  end

  it("has sizes past 8 GiB, in either spelling, and is read where its headers are", function()
    local size = 9 << 30
    for _, before in ipairs { "", tar.pax { size = tostring(size) } } do
      local head = tar.header("a.vmdk", 0, before == "" and { size = tar.big(size) } or nil)
      local last = tar.archive(tar.member("b.mf", "sum"))
      local after = #before + #head + size
      local asked = 0
      local members = assert(archive.list(function(offset, n)
        asked = asked + n
        local text, at = before .. head, offset
        if offset >= after then
          text, at = last, offset - after
        end
        return text:sub(at + 1, at + n)
      end, { size = after + #last, keep = function() return 0 end }))
      assert.equal("a.vmdk b.mf", names(members))
      assert.same({ size, #before + 512 }, { members[1].size, members[1].offset })
      assert.is_true(asked < 8192)
    end
  end)

  it("may have names of pax and GNU, and a pax header for all", function()
    assert.equal("é.ovf " .. LONG, names(assert(list(tar.archive(
      tar.pax({ comment = "x" }, "g"), tar.pax { path = "é.ovf", mtime = "1.5" },
      tar.member("a", "1"), tar.member("././@LongLink", LONG .. "\0", { type = "L" }),
      tar.member("b", "2"))))))
  end)

  it("need not say its own end, which shows", function()
    local members = assert(list(tar.member("a.ovf", "text")))
    assert.is_nil(members.ended)
    assert.equal("a.ovf", names(members))
  end)

  it("is not read again, nor by more than is wanted of it", function()
    local _, _, seen = list(tar.archive(tar.member("a", ("x"):rep(100000)),
      tar.member("b", "y")))
    assert.same({ 3, 3 * 512 }, { seen.calls, seen.bytes })
  end)

  it("passes on why it cannot be read", function()
    local members, err = archive.list(function()
      return nil, errors.new("timeout", "nothing came")
    end, { keep = print })
    assert.is_nil(members)
    assert.equal("timeout", err.kind)
  end)

  it("is refused where it is cut within a member or a header", function()
    local whole = tar.member("a.ovf", "text") .. tar.member("d.vmdk", ("x"):rep(2000))
    local allowed = { [1024] = true }
    for at = 512 + 4, 1023 do
      allowed[at] = true -- the member is whole, what fills its block is not
    end
    for at = 1, 1536 + 2000 do
      local members, err = list(whole:sub(1, at))
      local right = members and (allowed[at] or at == 1536 + 2000)
        or not members and not allowed[at] and err.kind == "format"
        and err.message:find("cut off", 1, true)
      if not right then
        error(("cut at %d: %s"):format(at, tostring(err)))
      end
    end
  end)
end)

describe("a hostile archive is refused, with a reason:", function()
  local function of(name, fields, data)
    return tar.archive(tar.member("a.ovf", "x"), tar.member(name, data or "", fields))
  end
  local function pax(records)
    return tar.archive(tar.pax(records), tar.member("a", "1"))
  end

  local CASES = {
    ["a name above"] = { "leads out", of "../x" },
    ["a name above, inside"] = { "leads out", of "a/../../x" },
    ["a name that ends above"] = { "leads out", of "a/.." },
    ["only above"] = { "leads out", of ".." },
    ["above behind ./"] = { "leads out", of "./../x" },
    ["an absolute name"] = { "leads out", of "/etc/passwd" },
    ["a drive"] = { "leads out", of "C:x" },
    ["backslashes"] = { "leads out", of "..\\x" },
    ["a prefix above"] = { "leads out", of("x", { prefix = ".." }) },
    ["an absolute prefix"] = { "leads out", of("x", { prefix = "/tmp" }) },
    ["no name"] = { "without a name", of "" },
    ["only ."] = { "without a name", of "." },
    ["a line's end in a name"] = { "control character", of "a\nb" },
    ["an escape in a name"] = { "control character", of "a\27[2J" },
    ["the same name twice"] = { "twice", of "a.ovf" },
    ["the same name twice, spelled otherwise"] = { "twice", of "./a.ovf" },
    ["the same name by pax"] = { "twice", tar.archive(tar.member("a", ""),
      tar.pax { path = "a" }, tar.member("b", "")) },
    ["a hard link"] = { "is a link", of("x", { type = "1", link = "a.ovf" }) },
    ["a symbolic link"] = { "is a link", of("x", { type = "2", link = "/etc/shadow" }) },
    ["a character device"] = { "is a device", of("x", { type = "3" }) },
    ["a block device"] = { "is a device", of("x", { type = "4" }) },
    ["a FIFO"] = { "is a FIFO", of("x", { type = "6" }) },
    ["GNU sparse"] = { "sparse", of("x", { type = "S" }) },
    ["pax sparse 0.0"] = { "sparse", pax { ["GNU.sparse.size"] = "1" } },
    ["pax sparse 1.0"] = { "sparse", pax { ["GNU.sparse.major"] = "1" } },
    ["a multi-volume part"] = { "several archives", of("x", { type = "M" }) },
    ["a label"] = { "label", of("x", { type = "V" }) },
    ["a dump's folder"] = { "dump", of("x", { type = "D" }) },
    ["an unknown type"] = { "not known", of("x", { type = "Z" }) },
    ["an unprintable type"] = { "not known", of("x", { type = "\200" }) },
    ["a negative size"] = { "size of the member x is none",
      of("x", { size = ("\xff"):rep(12) }) },
    ["a size past 2^63"] = { "is none", of("x", { size = "\x80\0\0\0" .. ("\xff"):rep(8) }) },
    ["a size past 2^64"] = { "is none", of("x", { size = "\x80\1" .. ("\0"):rep(10) }) },
    ["a size past 2^60"] = { "is none", of("x", { size = tar.big(1 << 61) }) },
    ["another binary size"] = { "is none", of("x", { size = "\x81" .. ("\0"):rep(11) }) },
    ["a size of letters"] = { "is none", of("x", { size = "12345678abcd" }) },
    ["a size with a sign"] = { "is none", of("x", { size = "-0000000001\0" }) },
    ["a size beyond the archive"] = { "cut off", of("x", { size = tar.big(1 << 40) }) },
    ["a pax size beyond the archive"] = { "cut off", pax { size = "99999999999" } },
    ["a pax size that is none"] = { "no size", pax { size = "-1" } },
    ["a pax size of hexadecimal"] = { "no size", pax { size = "0x10" } },
    ["a pax size too long"] = { "no size", pax { size = ("9"):rep(30) } },
    ["a pax size of nothing"] = { "no size", pax { size = "" } },
    ["a NUL in a pax name"] = { "NUL", pax { path = "a\0.ovf" } },
    ["a pax name above"] = { "leads out", pax { path = "../../x" } },
    ["a pax name that is absolute"] = { "leads out", pax { path = "/x" } },
    ["no pax name"] = { "without a name", pax { path = "" } },
    ["a pax name without end"] = { "at most 1024", pax { path = ("n"):rep(2000) } },
    ["one name for all"] = { "all members one name",
      tar.archive(tar.pax({ path = "x" }, "g"), tar.member("a", "")) },
    ["one size for all"] = { "all members one size",
      tar.archive(tar.pax({ size = "1" }, "g"), tar.member("a", "")) },
    ["a pax record of no length"] = { "damaged pax",
      tar.archive(tar.member("p", "path=a\n", { type = "x" })) },
    ["a pax record of length 0"] = { "damaged pax",
      tar.archive(tar.member("p", "0 path=a\n", { type = "x" })) },
    ["a pax record that is longer than all"] = { "damaged pax",
      tar.archive(tar.member("p", "999 path=a\n", { type = "x" })) },
    ["a pax record of a huge length"] = { "damaged pax",
      tar.archive(tar.member("p", ("9"):rep(40) .. " path=a\n", { type = "x" })) },
    ["a pax record without ="] = { "damaged pax",
      tar.archive(tar.member("p", "7 path\n", { type = "x" })) },
    ["a huge pax header"] = { "at most 65536", tar.archive(tar.header("p", 1 << 30,
      { type = "x" })) },
    ["a huge GNU name"] = { "at most 65536", tar.archive(tar.header("p", 1 << 30,
      { type = "L" })) },
    ["a huge GNU link name"] = { "at most 65536", tar.archive(tar.header("p", 1 << 30,
      { type = "K" })) },
    ["headers without end"] = { "at most 65536", tar.archive((tar.pax { comment =
      ("c"):rep(60000) }):rep(20)) },
    ["a GNU name above"] = { "leads out", tar.archive(tar.member("L", "../x\0",
      { type = "L" }), tar.member("a", "")) },
    ["a GNU name with a line's end"] = { "control", tar.archive(tar.member("L", "x\n",
      { type = "L" }), tar.member("a", "")) },
    ["a wrong checksum"] = { "checksum", of("x", { sum = 1 }) },
    ["bytes that are none"] = { "no tar archive", ("nonsense"):rep(200) },
    ["a page of a server"] = { "no tar archive", "<html>" .. (" "):rep(2000) },
    ["a gzip archive"] = { "no tar archive", "\x1f\x8b\8" .. ("z"):rep(2000) },
    ["a ZIP archive"] = { "no tar archive", "PK\3\4" .. ("z"):rep(2000) },
    ["something between members"] = { "checksum", tar.archive(tar.member("a", ""),
      ("junk"):rep(128), tar.member("b", "")) },
    ["members without end"] = { "more than 2000", table.concat((function()
      local many = {}
      for i = 1, 2001 do
        many[i] = tar.header("m" .. i, 0)
      end
      return many
    end)()) },
    ["headers of nothing without end"] = { "more than 2000",
      tar.pax({}, "g"):rep(6001) },
  }

  local count = 0
  for what, case in pairs(CASES) do
    count = count + 1
    it(what, function()
      local members, err = list(case[2])
      assert.is_nil(members)
      assert.equal("format", err.kind)
      assert.truthy(err.message:find(case[1], 1, true), err.message)
      assert.falsy(err.message:find("[%c\127-\255]"))
    end)
  end

  -- Bytes are changed in its headers; of every second one the checksum is right again.
  local function mutant(bytes, random, number)
    local block = random(0, #bytes // 512 - 1) * 512
    for _ = 1, random(1, 3) do
      local at = block + random(1, 512)
      bytes = bytes:sub(1, at - 1) .. string.char(random(0, 255)) .. bytes:sub(at + 1)
    end
    if number % 2 == 0 then
      return bytes
    end
    local head, sum = bytes:sub(block + 1, block + 512), 0
    head = head:sub(1, 148) .. (" "):rep(8) .. head:sub(157)
    for _, byte in ipairs { head:byte(1, 512) } do
      sum = sum + byte
    end
    return bytes:sub(1, block + 148) .. ("%06o\0 "):format(sum) .. bytes:sub(block + 157)
  end

  it("or read, of two thousand mutants, and none throws or is read for ever", function()
    local base = tar.archive(tar.pax { path = "a.ovf", size = "4" }, tar.member("x", "text"),
      tar.member("L", "long.vmdk\0", { type = "L" }), tar.member("y", ("d"):rep(700)),
      tar.member("z.mf", "sums", { prefix = "p" }))
    local state, refused = 20261130, 0
    local function random(from, to)
      state = (state * 6364136223846793005 + 1442695040888963407)
      return from + (state >> 33) % (to - from + 1)
    end
    for i = 1, 2000 do
      local members, err, seen = list(mutant(base, random, i))
      refused = refused + (members and 0 or 1)
      if not (members or err.kind == "format") or seen.calls > 100 then
        error(("mutant %d: %s"):format(i, tostring(err)))
      end
    end
    assert.is_true(refused > 200 and refused < 2000, tostring(refused))
  end)

  it("and that is more than sixty of them", function()
    assert.is_true(count >= 60, tostring(count))
  end)
end)
