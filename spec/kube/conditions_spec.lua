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

describe("kube.conditions, in detail,", function()
  local function condition(more)
    local c = { type = "T", status = "True", reason = "R", message = "m" }
    for key, value in pairs(more or {}) do
      c[key] = value
    end
    return c
  end

  for key, value in pairs { status = "False", reason = "S", message = "n",
    observedGeneration = 2 } do
    it("changes when its " .. key .. " does", function()
      local before = conditions.set(nil, condition(), "t1")
      local after, changed = conditions.set(before, condition({ [key] = value }), "t2")
      assert.is_true(changed)
      assert.equal(value, after[1][key])
      assert.equal(key == "status" and "t2" or "t1", after[1].lastTransitionTime)
      local same
      same, changed = conditions.set(before, condition(), "t2")
      assert.is_false(changed)
      assert.equal(before, same)
    end)
  end

  it("is cut at 1024 bytes, and is the same then", function()
    local list = conditions.set(nil, condition({ message = ("x"):rep(1025) }), "t1")
    assert.equal(1024, #list[1].message)
    assert.equal(1024, #conditions.set(nil, condition({ message = ("x"):rep(1024) }), "t")[1]
      .message)
    assert.is_false(select(2, conditions.set(list, condition({ message = ("x"):rep(1025) }),
      "t2")))
  end)

  it("takes an absent text for an empty one", function()
    local list = conditions.set(nil, { type = "T", status = "True" }, "t1")
    assert.is_false(select(2, conditions.set(list, { type = "T", status = "True", reason = "",
      message = "" }, "t2")))
  end)

  it("stands in the place of the one of its type, or at the end", function()
    local list = conditions.set(nil, condition(), "t1")
    list = conditions.set(list, condition({ type = "U" }), "t1")
    list = conditions.set(list, condition({ status = "False" }), "t2")
    assert.equal("T U", list[1].type .. " " .. list[2].type)
    assert.equal("False", list[1].status)
    assert.is_nil(list[3])
    assert.is_nil(list[1].lastUpdateTime)
    assert.equal("t3", conditions.set(nil, condition(), "t3", { update_time = true })[1]
      .lastUpdateTime)
  end)

  it("is true when it says so", function()
    assert.is_false(conditions.is_true(nil, "T"))
    assert.is_false(conditions.is_true({ condition({ status = "False" }) }, "T"))
    assert.is_true(conditions.is_true({ condition({ type = "U" }), condition() }, "T"))
    assert.is_nil(conditions.find({ condition() }, "U"))
  end)
end)
