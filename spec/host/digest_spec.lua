local digest = require "host.digest"

describe("digest.sha1, sha256, sha512:", function()
  -- The examples of FIPS 180-4.
  it("give the sums of the standard", function()
    assert.equal("a9993e364706816aba3e25717850c26c9cd0d89d", digest.sha1("abc"))
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      digest.sha256("abc"))
    assert.equal("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
      .. "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
      digest.sha512("abc"))
  end)

  it("take any bytes", function()
    assert.equal("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      digest.sha256(""))
    assert.not_equal(digest.sha256("a\0b"), digest.sha256("a"))
  end)
end)

describe("digest.random:", function()
  it("gives two digits a byte, other ones each time", function()
    assert.matches("^%x+$", digest.random(16))
    assert.equal(32, #digest.random(16))
    assert.not_equal(digest.random(16), digest.random(16))
  end)

  it("throws outside of 1 to 1024 bytes", function()
    assert.equal(2048, #digest.random(1024))
    assert.has_error(function()
      digest.random(0)
    end)
    assert.has_error(function()
      digest.random(1025)
    end)
  end)
end)

describe("digest.uuid:", function()
  it("is random and says so", function()
    local hex = "[0-9a-f]"
    local pattern = "^" .. hex:rep(8) .. "%-" .. hex:rep(4) .. "%-4" .. hex:rep(3)
      .. "%-[89ab]" .. hex:rep(3) .. "%-" .. hex:rep(12) .. "$"
    for _ = 1, 50 do
      assert.matches(pattern, digest.uuid())
    end
    assert.not_equal(digest.uuid(), digest.uuid())
  end)
end)

describe("digest.base64:", function()
  -- The examples of RFC 4648.
  local KNOWN = { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==",
    fooba = "Zm9vYmE=", foobar = "Zm9vYmFy" }

  it("encodes and decodes as the standard shows", function()
    for bytes, text in pairs(KNOWN) do
      assert.equal(text, digest.base64_encode(bytes))
      assert.equal(bytes, digest.base64_decode(text))
    end
  end)

  it("reads back any bytes that it wrote", function()
    math.randomseed(2)
    for n = 0, 300 do
      local bytes = {}
      for i = 1, n do
        bytes[i] = string.char(math.random(0, 255))
      end
      bytes = table.concat(bytes)
      assert.equal(bytes, digest.base64_decode(digest.base64_encode(bytes)))
    end
  end)

  it("skips line breaks", function()
    assert.equal("foobar", digest.base64_decode("Zm9v\nYm\r\nFy\n"))
  end)

  it("refuses everything else", function()
    for _, text in ipairs({ "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "=", "====",
      "Z===", "Zg==Zg==", "Zm9v Zm9v", "Zm9-", "Zm9_", "Zm=v", "Zm9v\0" }) do
      local bytes, err = digest.base64_decode(text)
      assert.is_nil(bytes, text)
      assert.equal("format", err.kind)
    end
  end)
end)
