--- disk.heads: what is an archive, or text, is no disk; what a guest boots from is one.

local disks = require "support.disks"
local formats = require "disk.formats"
local heads = require "disk.heads"

local folder, remove = disks.folder()

teardown(remove)

-- The first bytes of what a command writes to stdout; `$f` is a file of 20 KiB.
local function made_by(command)
  disks.write(folder .. "/f", ("\1\2\3\0"):rep(5120))
  return disks.run("cd '" .. folder .. "' && f=f; " .. command):sub(1, formats.HEAD_BYTES)
end

-- What real programs write, and what stands in their documents.
local NO_DISKS = {
  { "a gzip archive", made_by("gzip -c $f") },
  { "an xz archive", made_by("xz -c $f") },
  { "a bzip2 archive", made_by("bzip2 -c $f") },
  { "an lzma archive", made_by("xz --format=lzma -c $f") },
  { "a tar archive", made_by("tar -cf - $f") },
  { "a tar archive", made_by("tar --format=v7 -cf - $f") },
  { "a tar archive", made_by("tar --format=pax -cf - $f") },
  { "an ar archive", made_by("ar rc x.a $f 2>&1; cat x.a") },
  { "a zstd archive", "\x28\xb5\x2f\xfd" .. ("\0"):rep(512) },
  { "a ZIP archive", "PK\3\4" .. ("\0"):rep(512) },
  { "a 7-Zip archive", "7z\xbc\xaf\x27\x1c" .. ("\0"):rep(512) },
  { "a cpio archive", "070701" .. ("\0"):rep(512) },
  { "an lz4 archive", "\x04\x22\x4d\x18" .. ("\0"):rep(512) },
  { "a LUKS container", "LUKS\xba\xbe\0\2" .. ("\0"):rep(512) },
  { "an SESparse", string.pack("<I8I8I8", 0xcafebabe, 0x200000001, 2048) .. ("\0"):rep(512) },
  { "a cloop image", "#!/bin/sh\n#V2.0 Format\nmodprobe cloop" .. ("\0"):rep(512) },
  { "an Apple disk image", "koly\0\0\0\4" .. ("\0"):rep(504) },
  { "text", "<?xml version=\"1.0\"?>\n<Envelope>" .. (" "):rep(600) },
  { "text", "<!DOCTYPE html>\n<html><h1>Sign in \xc3\xa9</h1></html>\n" },
  { "text", '{"error": {"code": 404}}' },
  { "text", "RW 4192256 FLAT \"web-flat.vmdk\"\n" },
  { "text", "x" },
}

local DISKS = {
  { "a boot sector", "\xeb\x63\x90" .. ("\0"):rep(507) .. "\x55\xaa" },
  { "zeros", ("\0"):rep(4096) },
  { "a GPT disk", ("\0"):rep(510) .. "\x55\xaaEFI PART" .. ("\0"):rep(504) },
  { "a file system", made_by("truncate -s 8M fs && /sbin/mkfs.ext4 -q fs && cat fs") },
  { "a sector of text and more",
    ("boot loader "):rep(42) .. "1234" .. "\0\0\x55\xaa" .. ("\0"):rep(512) },
  { "no bytes", "" },
}

describe("heads.find", function()
  for _, case in ipairs(NO_DISKS) do
    it("knows " .. case[1] .. ": " .. formats.printable(case[2], 20), function()
      local found = assert(heads.find(case[2]))
      assert.equal(case[1], found.what:sub(1, #case[1]))
      assert.is_true(#found.advice > 0)
      local format, err = formats.guess(case[2])
      assert.is_nil(format)
      assert.equal("unsupported", err.kind)
      assert.matches("begins as " .. case[1]:gsub("%-", "%%-") .. ".*state the format raw",
        err.message)
    end)
  end

  for _, case in ipairs(DISKS) do
    it("takes for a disk " .. case[1], function()
      assert.is_nil(heads.find(case[2]))
      assert.equal("raw", formats.guess(case[2]))
    end)
  end
end)
