local quantity = require "base.quantity"

describe("base.quantity", function()
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

describe("quantity.parse", function()
  local CASES = { ["0"] = 0, ["12"] = 12, ["10Gi"] = 10 << 30, ["1.5Mi"] = 3 << 19,
    ["1k"] = 1000, ["3G"] = 3000000000, ["2e3"] = 2000, ["1E"] = 10 ^ 18 // 1 | 0,
    ["100m"] = 1, ["1500m"] = 2, ["1E3"] = 1000 }
  for text, value in pairs(CASES) do
    it("reads " .. text, function()
      assert.equal(value, quantity.parse(text))
    end)
  end

  it("takes nothing else for one", function()
    for _, text in ipairs { "", "x", "1Xi", "Gi", "-", "1 Gi" } do
      assert.is_nil(quantity.parse(text))
    end
    assert.is_nil(quantity.parse(nil))
    assert.equal(5, quantity.parse(5))
  end)
end)
