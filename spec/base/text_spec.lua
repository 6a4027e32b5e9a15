local text = require "base.text"

describe("base.text.cut", function()
  it("leaves alone what fits", function()
    assert.equal("ärger", text.cut("ärger", 6))
    assert.equal("a\u{FFFD}b", text.cut("a\xFFb", 5))
  end)

  it("never cuts a character in two", function()
    for most = 4, 20 do
      local cut = text.cut(("ä€😀"):rep(5), most)
      assert.truthy(utf8.len(cut), most)
      assert.is_true(#cut <= most)
      assert.equal("...", cut:sub(-3))
    end
  end)

  it("replaces what is no UTF-8, wherever it stands", function()
    assert.equal("a\u{FFFD}b", text.cut("a\xFFb", 100))
    assert.equal("\u{FFFD}", text.cut("\xE2", 100))
    assert.equal("ok\u{FFFD}\u{FFFD}", text.cut("ok\xE2\x82", 100))
    assert.truthy(utf8.len(text.cut(("\x80"):rep(5000), 1024)))
    assert.is_true(#text.cut(("\x80"):rep(5000), 1024) <= 1024)
  end)
end)
