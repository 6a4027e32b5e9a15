local finding = require "base.finding"
local process = require "host.process"

describe("base.finding", function()
  it("makes one of each severity", function()
    for name, severity in pairs { blocks = "Blocks", warns = "Warns", informs = "Informs" } do
      assert.same({ code = "C", severity = severity, subject = "s", message = "m",
        action = "a", detail = "d" }, finding[name]("C", "s", "m", "a", "d"))
      assert.same(finding[name]("C", "s", "m"), finding.new(severity, "C", "s", "m", ""))
    end
  end)

  it("checks every field", function()
    assert.is_true(finding.check(finding.warns("C", "s", "m")))
    assert.is_nil(finding.check("x"))
    for _, field in ipairs { "code", "subject", "message", "action", "detail", "severity" } do
      local bad = finding.warns("C", "s", "m", "a", "d")
      bad[field] = 1
      local ok, message = finding.check(bad)
      assert.is_nil(ok)
      assert.truthy(message:find(field, 1, true))
    end
    assert.is_nil(finding.check(finding.new("Alarms", "C", "s", "m")))
  end)
end)

-- Nowhere else is a table of those fields put together, and no message or action is a
-- sentence with a capital and a full stop: it stands in the midst of a line.
describe("findings", function()
  local function found(pattern)
    local result = assert(process.run({ argv = { "grep", "-rnE", pattern, "lua/policy",
      "lua/providers", "lua/targets", "lua/flows" } }))
    local lines = {}
    for line in result.stdout:gmatch("[^\n]+") do
      lines[#lines + 1] = not line:find(":%s*%-%-") and line or nil
    end
    return lines
  end

  it("are made by base.finding alone", function()
    for _, line in ipairs(found("severity = [\"a-z]")) do
      assert(line:find("providers/machine.lua", 1, true)     -- what one has to be
        or line:find("flows/import/findings.lua", 1, true)   -- some shown as one
        or line:find("RULES%["), line)
    end
  end)

  it("speak with one voice", function()
    assert.same({}, found("[a-z]\\.\"\\)?(:format\\(|\\)|,|$)"))
  end)
end)
