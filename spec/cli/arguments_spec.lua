local arguments = require "cli.arguments"

local OPTIONS = {
  file = { value = "FILE", short = "f" },
  ["serve-url"] = { value = "BASE" },
  seconds = { value = "SECONDS", number = true },
  listen = { value = "HOST:PORT", address = true },
  sha512 = {},
  require = { value = "WHAT", alone = "all" },
  help = { short = "h" },
}

describe("arguments.parse", function()
  local function parse(...)
    return arguments.parse({ ... }, OPTIONS)
  end

  local function problem(...)
    local values, text = parse(...)
    assert.is_nil(values)
    return text
  end

  it("reads values in every spelling", function()
    for _, args in ipairs { { "--file", "a" }, { "--file=a" }, { "-f", "a" } } do
      assert.same({ file = "a" }, arguments.parse(args, OPTIONS))
    end
    assert.same({ ["serve-url"] = "http://h/?a=b" }, parse("--serve-url=http://h/?a=b"))
    assert.same({ file = "" }, parse("--file="))
  end)

  it("reads addresses", function()
    assert.same({ listen = { port = 8080 } }, parse("--listen", ":8080"))
    assert.same({ listen = { host = "127.0.0.1", port = 0 } }, parse("--listen=127.0.0.1:0"))
    assert.same({ listen = { host = "::1", port = 80 } }, parse("--listen", "[::1]:80"))
    for _, text in ipairs { "8080", "", ":", "host:", ":65536", "::1:80", "[::1]", "[]:80",
      ":a" } do
      assert.equal("--listen needs HOST:PORT or :PORT", problem("--listen", text))
    end
  end)

  it("reads flags, and what is no option, in any order", function()
    assert.same({ "one", "two", sha512 = true, file = "a" },
      parse("one", "--sha512", "two", "-f", "a"))
    assert.same({ help = true }, parse("-h"))
    assert.same({}, parse())
  end)

  it("takes what looks like an option as a value, and all after -- as it is", function()
    assert.same({ file = "--sha512" }, parse("--file", "--sha512"))
    assert.same({ "--sha512", "-f", "--", sha512 = true },
      parse("--sha512", "--", "--sha512", "-f", "--"))
  end)

  it("takes an option that may stand alone, with its value behind = or with none", function()
    assert.same({ require = "all", "some" }, parse("--require", "some"))
    assert.same({ require = "some" }, parse("--require=some"))
  end)

  it("takes - for a file", function()
    assert.same({ file = "-" }, parse("-f", "-"))
    assert.same({ "-" }, parse("-"))
  end)

  it("lets the last of several win", function()
    assert.same({ file = "b" }, parse("-f", "a", "--file=b"))
  end)

  it("reads numbers above 0", function()
    for text, number in pairs { ["1"] = 1, ["0.5"] = 0.5, [".5"] = 0.5, ["90"] = 90 } do
      assert.same({ seconds = number }, parse("--seconds", text))
    end
    for _, text in ipairs { "0", "-1", "1s", "", "1e3", "0x10", "nan", "inf", "1." } do
      assert.equal("--seconds needs a number above 0", problem("--seconds=" .. text))
    end
  end)

  it("names what it does not understand", function()
    assert.equal("unknown option --nope", problem("--nope"))
    assert.equal("unknown option --nope=1", problem("--nope=1"))
    assert.equal("unknown option -x", problem("-x"))
    assert.equal("unknown option ---file", problem("---file", "a"))
    assert.equal("--sha512 takes no value", problem("--sha512=yes"))
    assert.equal("-f needs a value: FILE", problem("-f"))
    assert.equal("--serve-url needs a value: BASE", problem("--serve-url"))
  end)
end)
