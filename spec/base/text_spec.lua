local text = require "base.text"

describe("base.text.word", function()
  it("is fit for a reason, whatever somebody else called it", function()
    for given, word in pairs {
      LoginRefused = "LoginRefused", ["a b\27[2J\u{202e}c"] = "ab2Jc", ["9_x:y"] = "xy",
      [""] = "Failed", ["\xff\r\n"] = "Failed", [("a"):rep(500)] = ("a"):rep(128),
    } do
      assert.equal(word, text.word(given))
    end
  end)
end)

describe("base.text.lines", function()
  it("keeps ends of lines and tabs, and shows the rest", function()
    assert.equal("two\nlines\tüñ", text.lines("two\r\nlines\tüñ", 100))
    assert.equal("a\\x1bb\n\\u202ec\u{FFFD}", text.lines("a\27b\n\u{202e}c\xff", 100))
  end)

  it("ends in a whole character", function()
    for most = 1, 12 do
      local lines = text.lines("ä€😀\nä€😀", most)
      assert.truthy(utf8.len(lines) and #lines <= most)
    end
  end)
end)

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
