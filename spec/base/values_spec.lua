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

  it("weighs what is in a value, however deep", function()
    assert.equal(0, values.weight(7))
    assert.equal(0, values.weight(nil))
    assert.equal(140, values.weight(("x"):rep(100)))
    local one = values.weight({ ("x"):rep(100) })
    assert.truthy(one > 140)
    assert.truthy(values.weight({ a = { ("x"):rep(100) } }) > one)
    assert.truthy(values.weight({ [("k"):rep(1000)] = 1 }) > 1000)
  end)
end)
