--- targets.quantity: Kubernetes quantities.

local quantity = require "targets.quantity"

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
