local conditions = require "kube.conditions"

local function ready(status, message)
  return { type = "Ready", status = status, reason = "R", message = message or "" }
end

describe("conditions.set", function()
  it("moves lastTransitionTime only when the status does", function()
    local list = conditions.set(nil, ready("False"), "t1")
    list = conditions.set(list, ready("False", "other words"), "t2")
    assert.equal("t1", list[1].lastTransitionTime)
    assert.equal("other words", list[1].message)
    list = conditions.set(list, ready("True"), "t3")
    assert.equal("t3", list[1].lastTransitionTime)
  end)

  it("keeps the order and the other conditions", function()
    local list = conditions.set(nil, { type = "A", status = "True" }, "t")
    list = conditions.set(list, { type = "B", status = "True" }, "t")
    list = conditions.set(list, { type = "A", status = "False" }, "t")
    assert.same({ "A", "B" }, { list[1].type, list[2].type })
    assert.equal(2, #list)
  end)

  it("writes anew what was observed of another generation, or lost its message", function()
    local condition = ready("True", "fine")
    condition.observedGeneration = 1
    local list = conditions.set(nil, condition, "t1")
    condition.observedGeneration = 2
    local changed
    list, changed = conditions.set(list, condition, "t2")
    assert.is_true(changed)
    assert.equal(2, list[1].observedGeneration)
    assert.equal("t1", list[1].lastTransitionTime)
    list, changed = conditions.set(list, { type = "Ready", status = "True" }, "t3")
    assert.is_true(changed)
    assert.is_nil(list[1].message)
  end)

  it("takes a condition that others left without reason or times", function()
    local left = { { type = "Ready", status = "True", reason = "", message = "" } }
    local _, changed = conditions.set(left, { type = "Ready", status = "True" }, "t")
    assert.is_false(changed)
    local list = conditions.set(left, ready("True", "now with words"), "t")
    assert.equal("t", list[1].lastTransitionTime)
  end)

  it("says whether anything changed, and changes no list it was given", function()
    local list = conditions.set(nil, ready("True"), "t")
    local same, changed = conditions.set(list, ready("True"), "t2")
    assert.is_false(changed)
    assert.equal(list, same)
    conditions.set(list, ready("False"), "t2")
    assert.equal("True", list[1].status)
  end)
end)
