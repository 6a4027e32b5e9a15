local json = require "host.json"
local text = require "host.text"

-- What goes in, and what is seen of it.
local CASES = {
  { "", "" }, { "web-01", "web-01" }, { "Büro 東京 😀 e\u{301}", "Büro 東京 😀 e\u{301}" },
  { "a\nb", "a\\nb" }, { "a\r\nb", "a\\r\\nb" }, { "a\tb", "a\\tb" }, { "\0", "\\x00" },
  { "\27[2J\27[1;31m", "\\x1b[2J\\x1b[1;31m" }, { "\8\8\127", "\\x08\\x08\\x7f" },
  { "\u{9b}31m\u{80}\u{9f}", "\\x9b31m\\x80\\x9f" }, { "\u{ad}", "\\xad" },
  { "\u{202e}gpj.exe", "\\u202egpj.exe" }, { "\u{2066}\u{2069}\u{61c}", "\\u2066\\u2069\\u061c" },
  { "\u{200e}\u{200f}\u{202a}\u{202d}", "\\u200e\\u200f\\u202a\\u202d" },
  { "\u{2028}\u{2029}\u{200b}\u{feff}", "\\u2028\\u2029\\u200b\\ufeff" },
  { "\u{e0041}", "\\U000e0041" }, { "👨\u{200d}👩", "👨\u{200d}👩" },
  { "\xff\xc3", "\u{FFFD}\u{FFFD}" }, { "\xc0\x8a", "\u{FFFD}\u{FFFD}" },
  { "\xed\xa0\x80", "\u{FFFD}\u{FFFD}\u{FFFD}" }, { "\xf4\x90\x80\x80", ("\u{FFFD}"):rep(4) },
}

describe("host.text.visible", function()
  for _, case in ipairs(CASES) do
    it("shows " .. case[2], function()
      assert.equal(case[2], text.visible(case[1]))
      assert.equal(case[2], text.visible(text.visible(case[1])))
    end)
  end

  it("keeps to a length, in whole characters", function()
    assert.equal("abc…", text.visible("abcdef", 3))
    assert.equal("abcdef", text.visible("abcdef", 6))
    assert.equal("ä…", text.visible("äöü", 3))
    assert.equal("a…", text.visible("a\27b", 4))
    assert.equal("…", text.visible("abc", 0))
  end)

  it("is what JSON escapes, which means the same to who decodes it", function()
    for _, case in ipairs(CASES) do
      if utf8.len(case[1]) then
        local encoded = json.encode({ case[1] })
        assert.equal(encoded, text.visible(encoded))
        assert.equal(case[1], json.decode(encoded)[1])
      end
    end
  end)
end)
