local json = require "host.json"
local shape = require "base.shape"

local TEXTS = { [shape.EACH] = "string" }

describe("base.shape", function()
  it("finds nothing wrong with what is right, unset or unknown", function()
    for _, case in ipairs {
      { nil, "string" }, { "a", "string" }, { 1, "integer" }, { false, "boolean" },
      { {}, "object" }, { {}, "array" }, { json.array({ 1 }), "array" }, { { a = 1 }, "object" },
      { { a = "b", c = 1 }, { a = "string" } }, { json.array({ "a" }), { "string" } },
      { { a = "b" }, TEXTS }, { {}, { "string" } }, { { a = 1 }, { [shape.NEEDED] = { "a" } } },
    } do
      assert.is_nil(shape.problem(case[1], case[2], "x"))
    end
  end)

  it("names the field, what it must be, and what it is", function()
    for _, case in ipairs {
      { 1.5, "integer", "x: must be of type integer, and is of type number" },
      { {}, "string", "x: must be of type string, and is of type object" },
      { 7, "string", "x: must be of type string, and is of type integer: put it into quotes" },
      { { a = { b = 1 } }, { a = { b = "boolean" } },
        "x.a.b: must be of type boolean, and is of type integer" },
      { json.array({ "a" }), { "array" },
        "x[0]: must be of type array, and is of type string" },
      { { a = 1 }, { "string" }, "x: must be of type array, and is of type object" },
      { { a = false }, TEXTS,
        "x.a: must be of type string, and is of type boolean: put it into quotes" },
      { { b = 1 }, { [shape.NEEDED] = { "a" } }, "x.a: is missing" },
      { "text", { a = "string" }, "x: must be of type object, and is of type string" },
    } do
      assert.equal(case[3], shape.problem(case[1], case[2], "x"))
    end
  end)
end)
