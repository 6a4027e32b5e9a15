-- Every subcommand explains itself, and refuses what it does not know.

local lab = require "support.lab"

local COMMANDS = { "check", "controller", "disk", "import", "plan", "release", "script",
  "serve" }

describe("the command", function()
  for _, name in ipairs(COMMANDS) do
    it(name .. " prints its usage and ends well when asked to", function()
      for _, option in ipairs { "--help", "-h" } do
        local result = lab.run({ name, option })
        assert.equal(0, result.status)
        assert.matches("^usage: vm%-import%-controller ", result.stdout)
        assert.equal("", result.stderr)
      end
    end)

    it(name .. " refuses an option that it does not know, and names it", function()
      local result = lab.run({ name, "--no-such" })
      assert.equal(2, result.status)
      assert.equal("", result.stdout)
      assert.matches("unknown option %-%-no%-such; see %-%-help\n$", result.stderr)
    end)
  end

  it("without a name, or with a wrong one, says which there are", function()
    assert.equal(0, lab.run({ "--help" }).status)
    local result = lab.run({ "no-such" })
    assert.equal(2, result.status)
    for _, name in ipairs(COMMANDS) do
      assert.matches("\n  " .. name, result.stderr, 1, true)
    end
  end)

  it("script says which file it wants, and which it cannot read", function()
    local result = lab.run({ "script" })
    assert.equal(2, result.status)
    assert.matches("needs FILE.lua; see --help", result.stderr, 1, true)
    result = lab.run({ "script", "/no/such.lua" })
    assert.equal(1, result.status)
    assert.matches("^vm%-import%-controller script: .*/no/such.lua", result.stderr)
  end)
end)
