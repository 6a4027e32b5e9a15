local finding = require "policy.finding"
local terminal = require "cli.terminal"

describe("terminal.wrap", function()
  it("breaks at spaces, and indents what follows", function()
    assert.equal("aaaa bbbb cccc dddd\n  eeee ffff\n",
      terminal.wrap("aaaa bbbb cccc dddd eeee ffff", 20, "  ") .. "\n")
  end)

  it("leaves what is longer than a line whole: it may be copied", function()
    local url = ("https://host/%s"):format(("x"):rep(60))
    assert.equal("see the page at\n  " .. url .. "\n  now",
      terminal.wrap("see the page at " .. url .. " now", 24, "  "))
  end)

  it("counts characters, not bytes", function()
    local text = ("äöü "):rep(5) .. "ß"
    assert.equal(text, terminal.wrap(text, 22, ""))
  end)

  it("wraps nothing without a width, nor in one too narrow to read", function()
    local text = ("word "):rep(50)
    assert.equal(text, terminal.wrap(text))
    assert.equal(text, terminal.wrap(text, 10))
  end)
end)

describe("terminal.finding", function()
  local warns = finding.warns("A", "Hard disk 1 to 64", "encrypted by vSphere; some releases "
    .. "refuse to export such a disk", "remove the encryption policy")
  local WHOLE = "Warns: Hard disk 1 to 64: encrypted by vSphere; some releases refuse to "
    .. "export such a disk (remove the encryption policy)"

  it("is one plain line for a file", function()
    assert.equal(WHOLE, terminal.finding(warns, { colour = false }))
  end)

  for _, columns in ipairs { 40, 80, 200 } do
    it(("is as wide as a terminal of %d columns at most"):format(columns), function()
      local text = terminal.finding(warns, { columns = columns, colour = false })
      for line in text:gmatch("[^\n]+") do
        assert.is_true(#line < columns, line)
      end
      assert.equal(WHOLE, (text:gsub("\n +", " ")))
    end)
  end

  it("colours the severity alone, each in its own colour", function()
    local seen = {}
    for _, severity in ipairs { "blocks", "warns", "informs" } do
      local text = terminal.finding(finding[severity]("A", "machine", "m"),
        { columns = 80, colour = true })
      local colour, word, rest = text:match("^(\27%[[%d;]+m)(%a+)\27%[0m(.*)$")
      assert.equal(severity, word:lower())
      assert.equal(": machine: m", rest)
      assert.is_nil(seen[colour])
      seen[colour] = true
    end
  end)

  it("begins every line with what makes a comment of it", function()
    local text = terminal.finding(warns, { columns = 40, colour = true }, "# ")
    for line in text:gmatch("[^\n]+") do
      assert.equal("# ", line:sub(1, 2))
    end
    assert.matches("^# \27%[33mWarns\27%[0m: Hard", text)
  end)

  it("lets no control character of a message through", function()
    local text = terminal.finding(finding.warns("A", "x\27[2J", "m\r\n"), { colour = false })
    assert.is_nil(text:find("%c"))
  end)
end)
