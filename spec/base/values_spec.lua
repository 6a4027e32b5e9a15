local json = require "host.json"
local values = require "base.values"

describe("values", function()
  it("compares however deep", function()
    local a = { x = { 1, { y = "z" } } }
    assert.is_true(values.same(a, { x = { 1, { y = "z" } } }))
    assert.is_false(values.same(a, { x = { 1, { y = "Z" } } }))
    assert.is_false(values.same(a, { x = { 1, { y = "z" }, 3 } }))
    assert.is_false(values.same({ x = { 1, 2 } }, { x = { 1 } }))
    assert.is_false(values.same({}, "x"))
  end)

  it("copies however deep, and lists stay lists", function()
    local a = { x = json.array({ { y = 1 } }) }
    local b = values.copy(a)
    b.x[1].y = 2
    assert.equal(1, a.x[1].y)
    assert.is_true(json.is_array(values.copy(json.array({}))))
  end)

  it("joins two, of which the later fields win, and null is a value", function()
    local a = { x = 1, y = 2 }
    assert.same({ x = 1, y = json.null, z = 3 }, values.joined(a, { y = json.null, z = 3 }))
    assert.same({ x = 1, y = 2 }, values.joined(a))
    assert.same({ x = 1, y = 2 }, a)
  end)
end)
