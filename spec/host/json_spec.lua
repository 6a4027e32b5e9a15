local json = require "host.json"

-- The err that encoding the value throws.
local function refusal(value)
  local ok, err = pcall(json.encode, value)
  assert.is_false(ok)
  return err
end

local function nested(depth)
  return ("["):rep(depth) .. ("]"):rep(depth)
end

describe("json.decode:", function()
  it("reads every kind of value", function()
    local text = ' {"s":"x", "t":true,"f":false , "l":[1,"2"],"m":{}} '
    local value = assert(json.decode(text))
    assert.same({ s = "x", t = true, f = false, l = { 1, "2" }, m = {} }, value)
  end)

  it("makes Lua integers of whole numbers, however they are written", function()
    for text, number in pairs({ ["7"] = 7, ["-0"] = 0, ["1e3"] = 1000, ["2.50e1"] = 25,
      ["9007199254740992"] = 2 ^ 53 }) do
      local value = assert(json.decode(text))
      assert.equal(number, value)
      assert.equal("integer", math.type(value))
    end
  end)

  it("makes floats of all other numbers", function()
    assert.equal(0.1, json.decode("0.1"))
    assert.equal(-1.5e-7, json.decode("-1.5E-7"))
  end)

  it("refuses numbers beyond 2^53 and names their path", function()
    for _, number in ipairs({ "9007199254740993", "-9007199254740993", "1e300", "1e999",
      "123456789012345678901234567890" }) do
      local value, err = json.decode('{"spec":{"disks":[{"size":' .. number .. "}]}}")
      assert.is_nil(value)
      assert.equal("format", err.kind)
      assert.matches("spec.disks[1].size: a number beyond 2^53", err.message, 1, true)
    end
  end)

  it("takes numbers beyond 2^53 when asked to, exact as far as 64 bits go", function()
    for literal, expected in pairs({
      ["9007199254740993"] = 9007199254740993,
      ["-9223372036854775808"] = math.mininteger,
      ["9223372036854775807"] = math.maxinteger,
      ["9223372036854775808"] = 2.0 ^ 63,
      ["1e300"] = 1e300,
    }) do
      local value = assert(json.decode("[" .. literal .. "]", { big = true }))
      assert.equal(expected, value[1])
      assert.equal(math.type(expected), math.type(value[1]))
    end
    local _, err = json.decode("[1e999]", { big = true })
    assert.equal("format", err.kind)
  end)

  it("refuses what only looks like a number", function()
    for _, text in ipairs({ "01", "+1", ".5", "1.", "0x1", "1e", "-", "NaN", "nan",
      "Infinity", "-Infinity", "1_000" }) do
      assert.is_nil(json.decode(text), text)
    end
  end)

  it("tells an empty list from an empty map", function()
    local value = json.decode('{"l":[],"m":{}}')
    assert.is_true(json.is_array(value.l))
    assert.is_false(json.is_array(value.m))
  end)

  it("marks lists that are not empty", function()
    assert.is_true(json.is_array(json.decode("[1]")))
  end)

  it("drops null from maps and lists, and keeps one that is alone", function()
    assert.same({ b = 1 }, json.decode('{"a":null,"b":1}'))
    assert.same({ 1, 2 }, json.decode("[1,null,2]"))
    assert.equal(json.null, json.decode("null"))
  end)

  it("unescapes strings, also pairs of surrogates", function()
    assert.equal('"\\/\b\f\n\r\té€😀',
      json.decode([["\"\\\/\b\f\n\r\t\u00e9\u20AC\ud83d\ude00"]]))
    assert.equal("a\0b", json.decode([["a\u0000b"]]))
  end)

  it("refuses strings that are not sound", function()
    for _, text in ipairs({ '"', '"\\', '"\\x"', '"\\u12"', '"\\u12g4"', '"\\ud800"',
      '"\\ud800\\u0041"', '"\\udc00"', '"\1"', '"a\nb"', '"\\' }) do
      assert.is_nil(json.decode(text), text)
    end
  end)

  it("refuses text that is not UTF-8 and says at which byte", function()
    for _, text in ipairs({ '"\255"', '"\192\128"', '"\237\160\128"',
      '"\244\144\128\128"', '"\226\130"' }) do
      local value, err = json.decode(text)
      assert.is_nil(value)
      assert.matches("byte 1: text that is not UTF-8", err.message, 1, true)
    end
  end)

  it("refuses broken structure", function()
    for _, text in ipairs({ "", " ", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{",
      '{"a"', '{"a":', '{"a":1', '{"a":1,}', '{"a" 1}', "{a:1}", "{1:2}", "]", "tru",
      "nul", "1 2", "[] x", "{} {}" }) do
      local value, err = json.decode(text)
      assert.is_nil(value, text)
      assert.equal("format", err.kind)
    end
  end)

  it("goes 64 levels deep and no further", function()
    assert(json.decode(nested(64)))
    local value, err = json.decode(nested(65))
    assert.is_nil(value)
    assert.matches("nested too deep", err.message)
    assert.is_nil(json.decode(nested(1000000)))
  end)

  it("takes no more memory than it may, whatever the document is made of", function()
    local made_of = {
      ["empty maps"] = "[" .. ("{},"):rep(20000) .. "{}]",
      ["small maps"] = "[" .. ('{"a":0},'):rep(10000) .. "0]",
      ["nested lists"] = "[" .. (("["):rep(58) .. ("]"):rep(58) .. ","):rep(300) .. "0]",
      numbers = "[" .. ("0,"):rep(70000) .. "0]",
      strings = "[" .. ('"' .. ("s"):rep(1000) .. '",'):rep(2000) .. "0]",
      ["short strings"] = "[" .. ('"",'):rep(40000) .. "0]",
    }
    for what, text in pairs(made_of) do
      collectgarbage()
      local before = collectgarbage("count")
      local value, err = json.decode(text, { max_memory = 1 << 20 })
      assert.is_nil(value, what)
      assert.equal("format", err.kind)
      assert.matches("takes more than 1024 KiB of memory", err.message, what)
      assert.truthy(collectgarbage("count") - before < 1600, what)
      assert(json.decode(text, { max_memory = 1 << 24 }), what)
    end
  end)

  it("takes 64 MiB of memory at most, unless it is told otherwise", function()
    local _, err = json.decode('{"token":[' .. ("{},"):rep(1000000) .. "{}]}")
    assert.matches("takes more than 65536 KiB of memory", err.message)
  end)

  it("never fails but by an err, whatever the bytes", function()
    local pieces = { "{", "}", "[", "]", ",", ":", '"', "\\", "a", "1", "-", "e", ".",
      "null", "true", "\\u", "d8", " ", "\255", "\0" }
    math.randomseed(3)
    for _ = 1, 3000 do
      local text = {}
      for i = 1, math.random(1, 12) do
        text[i] = pieces[math.random(#pieces)]
      end
      local value, err = json.decode(table.concat(text))
      assert.is_true(value ~= nil or err.kind == "format")
    end
  end)
end)

describe("json.encode:", function()
  it("sorts keys, so that equal values have equal texts", function()
    assert.equal('{"a":1,"aa":2,"b":3}', json.encode({ b = 3, aa = 2, a = 1 }))
  end)

  it("writes whole numbers exactly", function()
    assert.equal("[9223372036854775807,-9223372036854775808,1099511627776,2]",
      json.encode({ math.maxinteger, math.mininteger, 2 ^ 40, 2.0 }))
  end)

  it("writes floats so that they read back", function()
    for _, number in ipairs({ 0.1, 1 / 3, -2.5e-10, 123456.789, 5e-324 }) do
      assert.equal(number, json.decode(json.encode(number)))
    end
    assert.equal("0.1", json.encode(0.1))
  end)

  it("tells lists from maps by the mark or by the keys", function()
    assert.equal('{"l":[],"m":{},"n":["x"]}',
      json.encode({ l = json.array({}), m = {}, n = { "x" } }))
  end)

  it("keeps json.null, which deletes in a merge patch", function()
    assert.equal('{"status":{"error":null}}',
      json.encode({ status = { error = json.null } }))
  end)

  it("escapes what must be escaped", function()
    assert.equal([["\"\\\n\u0001é/"]], json.encode('"\\\n\1é/'))
  end)

  it("indents by two if asked to", function()
    assert.equal('{\n  "a": [\n    1,\n    2\n  ],\n  "b": {},\n  "c": []\n}',
      json.encode({ a = { 1, 2 }, b = {}, c = json.array() }, { pretty = true }))
  end)

  it("names the path of text that is not UTF-8", function()
    local err = refusal({ status = { conditions = { { message = "\255" } } } })
    assert.equal("invalid", err.kind)
    assert.equal("status.conditions[1].message: text that is not UTF-8", err.message)
    assert.equal("invalid", refusal({ ["\255"] = 1 }).kind)
  end)

  it("names the path of numbers that JSON cannot hold", function()
    assert.matches("^a.b: a number", refusal({ a = { b = 0 / 0 } }).message)
    assert.matches("^the value: a number", refusal(math.huge).message)
  end)

  it("refuses tables that are neither list nor map", function()
    assert.matches("^a: a list that also has keys", refusal({ a = { 1, x = 2 } }).message)
    assert.matches("^a: a list with holes", refusal({ a = { [1] = 1, [3] = 3 } }).message)
    assert.matches("^a: a key that is a boolean", refusal({ a = { [true] = 1 } }).message)
    assert.matches("^the value: a list that", refusal(json.array({ x = 1 })).message)
  end)

  it("refuses functions and other values", function()
    assert.matches("^a: a function", refusal({ a = print }).message)
    assert.matches("^the value: a nil", refusal(nil).message)
  end)

  it("refuses a cycle", function()
    local loop = {}
    loop.again = loop
    assert.matches("nested deeper than 64", refusal(loop).message)
  end)

  it("reads back what it wrote", function()
    local value = { a = { 1, 2.5, "x", { b = true } }, e = json.array({}), m = {} }
    local again = json.decode(json.encode(value))
    assert.same(value, again)
    assert.is_true(json.is_array(again.e))
  end)
end)

describe("json.array:", function()
  it("marks the table it is given and returns it", function()
    local list = {}
    assert.equal(list, json.array(list))
    assert.is_true(json.is_array(list))
  end)

  it("marks nothing else", function()
    assert.is_false(json.is_array({}))
    assert.is_false(json.is_array("x"))
    assert.is_false(json.is_array(setmetatable({}, {})))
  end)
end)
