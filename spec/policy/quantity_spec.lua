local quantity = require "policy.quantity"

describe("policy.quantity", function()
  it("rounds up to whole MiB", function()
    assert.equal(0, quantity.mib(0))
    assert.equal(1, quantity.mib(1))
    assert.equal(1, quantity.mib(1048576))
    assert.equal(2, quantity.mib(1048577))
    assert.equal(68719476736, quantity.mib(1 << 56))
  end)

  it("writes Mi for memory, and Gi for storage where that is exact", function()
    assert.equal("4096Mi", quantity.text(4096))
    assert.equal("4Gi", quantity.storage(4 << 30))
    assert.equal("4097Mi", quantity.storage((4 << 30) + 1))
    assert.equal("65536Gi", quantity.storage(64 << 40))
  end)
end)
