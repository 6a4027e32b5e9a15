local finding = require "policy.finding"

describe("policy.finding", function()
  local blocks = finding.blocks("A", "x", "m", "do")
  local warns = finding.warns("B", "x", "m")
  local informs = finding.informs("C", "x", "m")

  it("has all five fields, always", function()
    assert.same({ code = "B", severity = "Warns", subject = "x", message = "m",
      action = "" }, warns)
    assert.is_true(finding.check(warns))
  end)

  it("is sorted worst first, else as found, in a new list", function()
    local other = finding.warns("A2", "x", "m")
    local list = { informs, warns, other, blocks }
    assert.same({ blocks, warns, other, informs }, { table.unpack(finding.sorted(list)) })
    assert.equal(informs, list[1])
  end)

  it("is said once of a subject, by the worst", function()
    local list = { finding.informs("A", "x", "m"), blocks, finding.blocks("A", "y", "m") }
    local sorted = finding.sorted(list)
    assert.equal(2, #sorted)
    assert.equal("Blocks", sorted[1].severity)
    assert.equal("y", sorted[2].subject)
  end)

  it("keeps an import from starting only when it blocks", function()
    assert.is_true(finding.blocking({ informs, blocks }))
    assert.is_false(finding.blocking({ informs, warns }))
    assert.is_false(finding.blocking({}))
  end)

  it("is refused when a field is missing or the severity unknown", function()
    local wrong = {
      ["is a table"] = "x",
      ["subject must be"] = { code = "A", severity = "Blocks" },
      ["Blocks, Warns, Informs"] = { code = "A", severity = "Error", subject = "",
        message = "", action = "" },
    }
    for text, value in pairs(wrong) do
      local ok, message = finding.check(value)
      assert.is_nil(ok)
      assert.matches(text, message, 1, true)
    end
  end)
end)
