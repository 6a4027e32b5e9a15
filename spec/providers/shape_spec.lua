local json = require "host.json"
local shape = require "providers.shape"

local list, map, object, needed = shape.list, shape.map, shape.object, shape.needed
local text, number = shape.text, shape.number

describe("providers.shape", function()
  for i, case in ipairs {
    { text, "a" }, { text, 1, "it is a number, not text" },
    { text, nil, "it is missing" },
    { text, json.null, "it is null, not text" },
    { number, 1.5 }, { number, "1", "it is text, not a number" },
    { shape.flag, false }, { shape.flag, "true", "it is text, not true or false" },
    { shape.scalar, false }, { shape.scalar, 1 }, { shape.scalar, "" },
    { shape.scalar, {}, "it is an object, not text, a number, true or false" },
    { shape.whole, -1 }, { shape.whole, "12" }, { shape.whole, 2.0 },
    { shape.whole, 0.5, "it is a number, not a whole number" },
    { shape.whole, "", "it is text, not a whole number" },
    { shape.whole, true, "it is true or false, not a whole number" },
    { shape.size, 0 }, { shape.size, -1, "it is below 0" },
    { shape.size, json.array({}), "it is a list, not a whole number" },
    { shape.any, nil }, { shape.any, {} },
    { shape.either(text, number), 1 }, { shape.either(text, number), "a" },
    { shape.either(text, number), {}, "it is an object, not a number" },
    { list(text), json.array({}) }, { list(text), json.array({ "a" }) },
    { list(text), {}, "it is an object, not a list" },
    { list(text), json.array({ "a", 2 }), "it[2] is a number, not text" },
    { map(text), {} }, { map(text), { a = "b" } },
    { map(text), json.array({}), "it is a list, not an object" },
    { map(text), { a = 1 }, "it.a is a number, not text" },
    { map(text), { ["a\nb"] = 1 }, "it.a\\nb is a number, not text" },
    { object { a = text }, {} }, { object { a = text }, { a = "b", c = 1 } },
    { object { a = text }, { a = 1 }, "it.a is a number, not text" },
    { object { a = needed(text) }, {}, "it.a is missing" },
    { object { a = list(object { b = text }) }, { a = json.array({ {}, { b = 1 } }) },
      "it.a[2].b is a number, not text" },
    { object { b = text, a = text }, { a = 1, b = 1 }, "it.a is a number, not text" },
  } do
    it(("%d: %s"):format(i, case[3] or "fits"), function()
      assert.equal(case[3], (case[1](case[2], "it")))
    end)
  end

  it("calls the whole of an answer so", function()
    assert.equal("the answer is text, not an object", object {}("x", ""))
    assert.equal("a is missing", object { a = needed(text) }({}, ""))
  end)

  it("shows no more of a name than fits a line", function()
    local problem = map(text)({ [("x"):rep(500)] = 1 }, "it")
    assert.equal("it." .. ("x"):rep(57) .. "... is a number, not text", problem)
  end)
end)
