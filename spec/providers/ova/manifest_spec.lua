--- providers.ova.manifest: checksums as packages have them.

local digest = require "host.digest"
local manifest = require "providers.ova.manifest"

local SHA1, SHA256, SHA512 = digest.sha1("x"), digest.sha256("x"), digest.sha512("x")

describe("a manifest", function()
  it("has SHA-1, SHA-256 and SHA-512, in any case and with any end of a line", function()
    local sums = assert(manifest.parse(("SHA1(a.ovf)= %s\r\nsha256 (d 1.vmdk) = %s\r\n\r\n"
      .. "SHA-512(./e(2).vmdk)=%s"):format(SHA1, SHA256:upper(), SHA512)))
    assert.same({
      ["a.ovf"] = { algorithm = "sha1", value = SHA1 },
      ["d 1.vmdk"] = { algorithm = "sha256", value = SHA256 },
      ["e(2).vmdk"] = { algorithm = "sha512", value = SHA512 },
    }, sums.of)
    assert.same({}, sums.others)
  end)

  it("may have others, which are told, and the same line twice", function()
    local sums = assert(manifest.parse(("MD5(a)= 00ff\nSHA1(b)= %s\nSHA1(b)= %s\n"):format(
      SHA1, SHA1)))
    assert.same({ "a" }, sums.others)
    assert.equal(SHA1, sums.of.b.value)
  end)

  for what, text in pairs {
    ["no checksum"] = "hello",
    ["no hexadecimal"] = "SHA1(a)= xyz",
    ["too few digits"] = "SHA256(a)= " .. SHA1,
    ["two checksums of one file"] = ("SHA1(a)= %s\nSHA1(a)= %s"):format(SHA1, digest.sha1("y")),
  } do
    it("is refused with " .. what .. ", and the line is named", function()
      local sums, err = manifest.parse("\n" .. text)
      assert.is_nil(sums)
      assert.equal("format", err.kind)
      assert.matches("^line %d of the manifest: ", err.message)
    end)
  end

  it("is compared with a file that is here", function()
    for algorithm, value in pairs { sha1 = SHA1, sha256 = SHA256, sha512 = SHA512 } do
      local sum = { algorithm = algorithm, value = value }
      assert.is_true(manifest.check(sum, "x", "a.ovf"))
      local ok, err = manifest.check(sum, "y", "a.ovf")
      assert.is_nil(ok)
      assert.equal("ManifestDiffers", err.code)
      assert.is_true(err.final)
    end
    assert.is_true(manifest.check(nil, "y", "a.ovf"))
  end)
end)
