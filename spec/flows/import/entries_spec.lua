local entries = require "flows.import.entries"
local json = require "host.json"

local function entry(name, id)
  return { kind = "Image", name = name, id = id }
end

local A, B, C = entry("a"), entry("b"), entry("c")

describe("flows.import.entries", function()
  it("puts a new one at the end, and one of the same kind and name in its place", function()
    local b = entry("b", "42")
    assert.same({ A, b, C }, entries.with({ A, B }, { C, b }))
    local other = { kind = "Lease", name = "b" }
    assert.same({ B, other }, entries.with({ B }, { other }))
  end)

  it("takes out those of the same kind and name", function()
    assert.same({ A, C }, entries.without({ A, B, C }, { entry("b", "42"), entry("d") }))
    assert.same({ B }, entries.without({ B }, { { kind = "Lease", name = "b" } }))
  end)

  it("makes a list of nothing", function()
    assert.is_true(json.is_array(entries.with(nil, {})))
    assert.is_true(json.is_array(entries.without({ A }, { A })))
    assert.same({ A }, entries.with(nil, { A }))
    assert.same({}, entries.without(nil, { A }))
  end)
end)
