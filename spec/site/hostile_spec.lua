-- Site scripts that want out, up or through, in one call each; those that want time or memory,
-- and the ways out by name, are in sandbox_spec. None reaches anything, none outlives its limits,
-- and after each of them the next script is answered.

local json = require "host.json"
local pace = require "support.pace"
local plan = require "policy.plan"
local sandbox = require "site.sandbox"

-- {what, body of a hook, what must be seen in the message; nil: it answers "fine"}
local HOSTILE = {
  -- names of libraries, by every way to a global
  { "_G.os", "return rawget(_G, 'os') == nil and 'fine'" },
  { "_G.io by next",
    "for k in next, _G do if k == 'io' then return 'reached' end end return 'fine'" },
  { "_G by pairs", "local n = 0 for k in pairs(_G) do n = n + 1 end return n < 30 and 'fine'" },
  { "a computed name", "return _G['o' .. 's'] and 'reached'", "unknown global 'os'" },
  { "require by name", "return _G['req' .. 'uire']('os')", "unknown global 'require'" },
  { "_ENV's metatable", "return getmetatable(_ENV) == false and 'fine'" },
  { "_ENV replaced, then _G", "local g = _G local _ENV = { g = g } return g.os", "unknown global" },
  { "_G by setmetatable", "setmetatable(_G, { __index = error })", "protected" },
  { "_G by rawset of os", "rawset(_G, 'os', {}) return os.execute", "unknown global 'os'" },
  { "the registry", "return debug and debug.getregistry()", "unknown global 'debug'" },
  { "getfenv", "return getfenv(1)", "unknown global 'getfenv'" },
  { "setfenv", "return setfenv(1, {})", "unknown global 'setfenv'" },
  { "module", "module('x')", "unknown global 'module'" },
  { "newproxy", "return newproxy(true)", "unknown global 'newproxy'" },
  { "print", "print('x')", "unknown global 'print'" },
  { "warn", "warn('@on')", "unknown global 'warn'" },
  { "arg", "return arg[0]", "unknown global 'arg'" },
  { "math.random", "return math.random == nil and math.randomseed == nil and 'fine'" },
  -- code from text
  { "load of a function", "return rawget(_G, 'load') == nil and 'fine'" },
  { "load through string's metatable", "return ('').load == nil and 'fine'" },
  { "dump through a string", "return ('').dump == nil and 'fine'" },
  { "dump by rawget", "return rawget(string, 'dump') == nil and 'fine'" },
  { "loadstring of bytecode", "return loadstring('\\27Lua')", "unknown global 'loadstring'" },
  { "dofile of a device", "return dofile('/dev/stdin')", "unknown global 'dofile'" },
  -- what all strings, lists and functions share
  { "string.format replaced", "string.format = function() return 'x' end return 'fine'" },
  { "string.rep replaced in the next call", "string.rep = nil return ('x').rep == nil and 'fine'" },
  { "the strings' metatable", "return getmetatable('x') == false and 'fine'" },
  { "a metatable for numbers", "setmetatable(1, {})", "table expected" },
  { "a metatable for functions", "setmetatable(error, {})", "table expected" },
  { "the lists' mark", "return getmetatable(json.array()) == false and 'fine'" },
  { "json of anything else", "return json.decode == nil and json.encode == nil and 'fine'" },
  { "table.insert of oneself", "table.insert(table, 1, table) return 'fine'" },
  -- finalizers
  { "__gc in a new metatable", "setmetatable({}, { __gc = error })", "__gc is not available" },
  { "__gc of false", "setmetatable({}, { __gc = false })", "__gc is not available" },
  { "__gc by __newindex", "local m = setmetatable({}, { __newindex = rawset }) m.__gc = error\n"
    .. "setmetatable({}, m)", "__gc is not available" },
  { "__gc by __index", "setmetatable({}, setmetatable({}, { __index = { __gc = error } }))\n"
    .. "return 'fine'" },
  { "__mode", "setmetatable({}, { __mode = 'kv' })[{}] = {} return 'fine'" },
  { "__close of a number", "local x <close> = 1", "non-closable" },
  { "__close that throws", "local x <close> = setmetatable({}, { __close = error }) return 'fine'",
    "a table" },
  { "__metatable forged", "return getmetatable(setmetatable({}, { __metatable = _G })).os",
    "unknown global" },
  { "__name forged", "return #setmetatable({}, { __name = 'vic.sandbox' }) == 0 and 'fine'" },
  { "__tostring of no string",
    "tostring(setmetatable({}, { __tostring = function() return {} end }))",
    "must return a string" },
  { "__len of text", "return #setmetatable({}, { __len = function() return 'x' end }) == 'x'\n"
    .. "and 'fine'" },
  { "__len for table.concat",
    "table.concat(setmetatable({}, { __len = function() return 1e9 end }))",
    "" },
  { "__index for table.unpack",
    "table.unpack(setmetatable({}, { __index = error }), 1, 3)", "a table" },
  { "__call of itself", "local t = setmetatable({}, {}) getmetatable(t).__call = t t()", "" },
  { "__pairs forged",
    "for k in pairs(setmetatable({}, { __pairs = function() return next, _G end }))\n"
    .. "do if k == 'os' then return 'reached' end end return 'fine'" },
  -- error objects
  { "an error that is a table with a message", "error({ message = 'made up' })", "made up" },
  { "an error whose message is a function", "error({ message = error })", "a table" },
  { "an error whose __index throws", "error(setmetatable({}, { __index = error }))", "a table" },
  { "an error that is json.array", "error(json.array {})", "a table" },
  { "an error of a boolean", "error(false)", "a boolean" },
  { "an error with format marks", "error('%s%n%x')", "%s%n%x" },
  { "an error with a line end", "error('a\\nb')", "a" },
  { "assert of a table", "assert(nil, {})", "a table" },
  -- numbers and sizes that are none
  { "string.rep of a negative", "return ('x'):rep(-1) == '' and 'fine'" },
  { "string.rep with an overflow", "return ('x'):rep(math.maxinteger, 'yy')", "" },
  { "string.sub from the ends",
    "return ('x'):sub(math.mininteger, math.maxinteger) == 'x' and 'fine'" },
  { "string.byte of all", "return ('x'):rep(1e6):byte(1, -1)", "too long" },
  { "string.char of too much", "return string.char(256)", "out of range" },
  { "string.format of a width", "return ('%9999d'):format(1)", "invalid conversion" },
  { "string.format %p of a function", "return type(('%p'):format(error)) == 'string' and 'fine'" },
  { "string.format %q of a table", "return ('%q'):format({})", "" },
  { "string.pack of a huge number", "return string.pack('i17', 1)", "" },
  { "string.unpack beyond the end", "return string.unpack('z', 'x')", "unfinished" },
  { "string.unpack of a lying length", "return string.unpack('s8', ('\\255'):rep(8))", "" },
  { "utf8.char of too much", "return utf8.char(1 << 40)", "" },
  { "utf8.codepoint beyond the end", "return utf8.codepoint('x', 9)", "out of bounds" },
  { "select from far away", "return select(-9, 1)", "" },
  { "table.unpack of all", "return table.unpack({}, 1, 1e8)", "too many results" },
  { "table.concat of holes", "return table.concat({ 1, nil, 3 }, '', 1, 3)", "invalid value" },
  { "table.insert far away", "table.insert({}, 9, 1)", "out of bounds" },
  { "table.move over the end", "table.move({}, 1, math.maxinteger, 2)", "" },
  { "table.sort of an order that is none",
    "local t = {} for i = 1, 200 do t[i] = i % 7 end\n"
    .. "table.sort(t, function() return true end)", "" },
  { "tonumber of a base", "return tonumber('z', 99)", "out of range" },
  { "division by zero", "return 1 // 0", "zero" },
  { "shifts beyond all", "return 1 << 1000 == 0 and 'fine'" },
  -- patterns
  { "an unfinished class", "return ('x'):find('[')", "malformed" },
  { "an unfinished escape", "return ('x'):find('%')", "malformed" },
  { "a capture that is not there", "return ('x'):gsub('x', '%9')", "" },
  { "a balance without ends", "return ('x'):find('%b')", "" },
  { "a frontier without a class", "return ('x'):find('%f')", "" },
  { "a class of zero bytes", "return ('a\0b'):find('[%z]') == 2 and 'fine'" },
  { "gsub by a table that throws",
    "return ('x'):gsub('x', setmetatable({}, { __index = error }))", "" },
  -- answers
  { "a function as a key", "return { [error] = 1 }", "" },
  { "a list in the answer's length", "return setmetatable({}, { __len = error }) and 'fine'" },
  { "a boolean as a key", "return { [true] = 1 }", "" },
  { "a float as a key", "return { [1.5] = 1 }", "" },
  { "a list from 0", "return { [0] = 1, 2 }", "" },
  { "a list with a huge index", "return { [1 << 40] = 1 }", "" },
  { "a key that is not UTF-8", "return { ['\\255'] = 1 }", "UTF" },
  { "minus infinity", "return -1 / 0", "number" },
  { "a hundred levels", "local t = {} for i = 1, 200 do t = { t } end return t", "deeper" },
  { "half a megabyte in pieces",
    "local t = {} for i = 1, 9e4 do t[i] = 'xxxxx' end return t", "KiB" },
  { "a table that grows while it is written",
    "return setmetatable({ 1 }, { __index = function(t, i) return i end }) and 'fine'" },
  { "its own input", "input.self = input return input", "deeper" },
  { "its input's metatable", "return getmetatable(input) == nil and 'fine'" },
  { "a write into its input", "input.machine.name = {} return 'fine'" },
  { "log as an answer", "return log", "" },
  { "a log of a table", "log.warn({}) return 'fine'" },
  { "a log of nothing", "log.info() return 'fine'" },
  { "a log level that there is not", "log.fatal('x')", "" },
  { "a log replaced", "log.info = nil return 'fine'" },
  -- frames and depth
  { "pcall of pcall", "return pcall(pcall, pcall, error) and 'fine'" },
  { "pcall without anything", "return pcall()", "" },
  { "xpcall without a handler", "return xpcall(error)", "" },
  { "varargs by the thousand", "local function f(...) return f(1, ...) end f()", "" },
  { "a constructor of varargs", "local t = {} for i = 1, 5e4 do t[i] = i end\n"
    .. "return #{ table.unpack(t) } == 5e4 and 'fine'" },
  { "recursion in __eq", "local m = {} m.__eq = function(a, b) return setmetatable({}, m) ==\n"
    .. "setmetatable({}, m) end return setmetatable({}, m) == setmetatable({}, m)", "overflow" },
  { "recursion in __concat",
    "local m = {} m.__concat = function(a, b) return setmetatable({}, m) .. b\n"
    .. "end return setmetatable({}, m) .. 'x'", "overflow" },
  { "recursion in __newindex", "local t = setmetatable({}, {}) getmetatable(t).__newindex =\n"
    .. "function(s, k, v) s[k] = v end t.x = 1", "overflow" },
  { "recursion in sort", "local function f() table.sort({ 1, 2, 3 }, f) end f()", "" },
  { "recursion in tostring", "local m = {} m.__tostring = function(s) return tostring(s) end\n"
    .. "return tostring(setmetatable({}, m))", "overflow" },
  { "a goto into nothing", "goto fine do return end ::fine:: return 'fine'" },
  { "200 locals", "local a = 1 " .. ("local b = a "):rep(150) .. "return 'fine'" },
  { "a long chain of strings", "return 'x'" .. (" .. 'x'"):rep(150) .. " and 'fine'" },
}

local INPUT = {
  machine = { name = "web", disks = {}, nics = {} },
  spec = {}, import = { name = "i", namespace = "n" }, plan = {},
}

local function same(value)
  return value
end

describe("site.sandbox", function()
  local box

  setup(function()
    box = sandbox.new({ deadline = pace.seconds(0.5) })
  end)
  teardown(function()
    box:close()
  end)

  -- A hook with that body: what it answered | nil, err.
  local function ask(body)
    local text = "return { name = function(input, builtin)\n" .. body .. "\nend }"
    local set, err = box:load({ ["a.lua"] = text }, plan)
    if not set then
      return nil, err
    end
    return set:hook("name", json.decode(json.encode(INPUT)), nil, same)
  end

  it("knows of so many hostile scripts", function()
    local names = {}
    for _, case in ipairs(HOSTILE) do
      assert(not names[case[1]], case[1])
      names[case[1]] = true
    end
    assert.is_true(#HOSTILE >= 110, tostring(#HOSTILE)) -- and 85 in sandbox_spec
  end)

  for first = 1, #HOSTILE, 20 do
    local last = math.min(first + 19, #HOSTILE)
    it(("withstands scripts %d to %d"):format(first, last), function()
      for i = first, last do
        local what, body, message = table.unpack(HOSTILE[i])
        local value, err = ask(body)
        if message then
          assert(value == nil and err, what .. ": it has answered " .. tostring(value))
          assert(err.message:find(message, 1, true), what .. ": " .. err.message)
        else
          assert(value == "fine", ("%s: %s"):format(what, value or err and err.message))
        end
        assert.equal("good", assert(ask("return 'good'")))
      end
    end)
  end
end)
