local equivalent = require "mutate.equivalent"
local mutants = require "mutate.mutants"
local tokens = require "mutate.tokens"

-- "was -> now" of each, in order.
local function of(text)
  local list = {}
  for i, mutant in ipairs(mutants.of(text)) do
    list[i] = ("%s -> %s"):format(mutant.was, mutant.now)
  end
  return list
end

describe("mutate.tokens", function()
  it("are the text's, without comments, each with its place", function()
    local list = tokens.of("local a = [==[ ]] 1 ]==] -- 2\n--[[ 3\n]] return 'it\\'s', a..0x1F")
    local texts, lines = {}, {}
    for i, token in ipairs(list) do
      texts[i], lines[i] = token.text, token.line
    end
    assert.same({ "local", "a", "=", "[==[ ]] 1 ]==]", "return", "'it\\'s'", ",", "a", "..",
      "0x1F" }, texts)
    assert.same({ 1, 1, 1, 1, 3, 3, 3, 3, 3, 3 }, lines)
  end)
end)

describe("mutate.mutants", function()
  it("change one token each", function()
    assert.same({ "== -> ~=", "and -> or", "< -> <=", "not -> ", "true -> false", "+ -> -",
      "- -> +", "* -> /" },
      of("return a == b and a < b, not c, true, a + b, a - b, a * b"))
    local text = "return a == b"
    assert.equal("return a ~= b", mutants.of(text)[1].text)
    assert.equal(1, mutants.of(text)[1].line)
    assert.equal(10, mutants.of(text)[1].column)
    assert.equal("return a == b", mutants.of("\n  return a == b\n")[1].code)
  end)

  it("leave strings, signs, attributes and what would not compile alone", function()
    assert.same({}, of("local a <const> = 'a == b'; local b <close> = -a; return {-a, b}"))
  end)

  it("make a number one more or one less", function()
    for _ = 1, 20 do
      local now = mutants.of("return 7")[1].now
      assert.is_true(now == "8" or now == "6")
    end
  end)
end)

describe("mutate.equivalent", function()
  it("knows what nobody can tell from the original, and nothing else", function()
    local function reason(text)
      for _, mutant in ipairs(mutants.of(text)) do
        if mutant.now == "0" then
          return equivalent.reason("any.lua", mutant)
        end
      end
    end
    math.randomseed(1)
    local seen = false
    for _ = 1, 50 do
      seen = seen or reason("return a:find(b, 1, true)") ~= nil
      assert.is_nil(reason("return a:sub(1)"))
    end
    assert.is_true(seen)
  end)
end)
