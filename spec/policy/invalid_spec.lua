local invalid = require "policy.invalid"

describe("policy.invalid", function()
  it("is an err of that kind, which says what is wrong", function()
    local err = invalid("%s is %d", "a", 7)
    assert.equal("invalid", err.kind)
    assert.equal("a is 7", err.message)
    assert.equal("a is 7", tostring(err))
  end)
end)
