local file = require "host.file"
local lab = require "support.lab"
local pace = require "support.pace"
local sample = require "support.sample"
local scripts = require "site.scripts"
local task = require "host.task"

local function names_it(name)
  return ("return { name = function() return %q end }"):format(name)
end

local function accept(value)
  return value
end

local function decided(generation)
  return generation.hook("name", { machine = { name = "m" } }, "built-in", accept)
end

-- The text of a module that is built in, with another piece in place of one.
local function code_text(module, from, to)
  local path = assert(package.searchpath(module, package.path))
  local text = assert(file.read(path))
  local first, last = text:find(from, 1, true)
  assert(first, "no " .. from)
  return text:sub(1, first - 1) .. to .. text:sub(last + 1)
end

-- The same with a function that returns "n1", "n2" ...
local function code_of(module, name, n)
  return code_text(module, ("function M.%s("):format(name),
    ("function M.%s() return 'n%d' end\nfunction M.before("):format(name, n))
end

describe("scripts", function()
  local site

  local function code_site()
    site:close()
    site = scripts.new({ deadline = pace.seconds(1), allow_code = true })
  end

  before_each(function()
    site = scripts.new({ deadline = pace.seconds(1) })
  end)

  after_each(function()
    site:close()
  end)

  it("begins with no scripts and no opinion", function()
    assert.equal("builtin", site.current.hash)
    assert.is_nil(decided(site.current))
  end)

  it("puts a set into force as a whole, and goes back when it is empty", function()
    local generation = assert(site:use({ ["a.lua"] = names_it("x") }))
    assert.equal(generation, site.current)
    assert.equal("x", decided(site.current))
    assert(site:use({}))
    assert.equal("builtin", site.current.hash)
    assert.is_nil(decided(site.current))
  end)

  it("keeps the generation before when one script is broken", function()
    local before = assert(site:use({ ["a.lua"] = names_it("x") }))
    local generation, err = site:use({ ["a.lua"] = names_it("y"), ["b.lua"] = "return {" })
    assert.is_nil(generation)
    assert.same({ "b.lua:1: unexpected symbol near <eof>" }, err.problems)
    assert.equal(before, site.current)
    assert.equal("x", decided(site.current))
  end)

  it("lets who has taken a generation end on it", function()
    local before = assert(site:use({ ["a.lua"] = names_it("x") }))
    assert(site:use({ ["a.lua"] = names_it("y") }))
    assert.equal("x", decided(before))
    assert.equal("y", decided(site.current))
  end)

  it("lets the last of two that come together win", function()
    local slow = task.spawn(function()
      return site:use({ ["a.lua"] = names_it("x"), ["b.lua"] =
        "local t = {} for i = 1, 1e6 do t[1] = i end return {}" })
    end)
    task.sleep(0)
    assert(site:use({ ["a.lua"] = names_it("y") }))
    slow:join()
    assert.equal("y", decided(site.current))
  end)

  describe("reloaded 200 times under load", function()
    -- Sanitizers keep freed memory, and slow the loading of code down most of all.
    local sanitized = assert(file.read("/proc/self/maps")):find("lib[at]san")
    local RELOADS = sanitized and 60 or 200

    local function resident()
      collectgarbage()
      return tonumber(assert(file.read("/proc/self/statm")):match("^%d+ (%d+)")) * 4096
    end

    -- Plans in four tasks, each plan with one generation, while texts(1), texts(2) ...
    -- come into force. The names that were planned, and how much larger the process is.
    local function reload(texts)
      local input = sample.input()
      local running, planned = true, {}
      local guard <close> = setmetatable({}, { __close = function()
        running = false -- also when this fails: nobody works on
      end })
      assert(guard)
      assert(site:use(texts(0)))
      local workers = {}
      for i = 1, 4 do
        workers[i] = task.spawn(function()
          while running do
            local generation, held <close> = site:take()
            assert(held)
            local policy = generation.code:require("policy.plan")
            local made = assert(policy.build(input, generation.hook))
            assert.equal(made.description, made.name)
            assert.equal(generation.hash, planned[made.name] or generation.hash)
            planned[made.name] = generation.hash
            task.sleep(0)
          end
        end)
      end
      local before
      for n = 1, RELOADS do
        local generation, err
        repeat
          generation, err = site:use(texts(n))
          if err then
            assert.equal("busy", err.kind)
            task.sleep(0)
          end
        until generation
        before = n == 50 and resident() or before
      end
      running = false
      for _, worker in ipairs(workers) do
        assert(worker:join())
      end
      return planned, resident() - before
    end

    local function check(texts)
      local planned, grown = reload(texts)
      assert.truthy(sanitized or grown < 4 * 2 ^ 20, ("%d bytes more"):format(grown))
      local generations = 0
      for _ in pairs(planned) do
        generations = generations + 1
      end
      assert.is_true(generations > 10, generations)
    end

    it("makes no plan of two generations of hooks, and leaks nothing", function()
      check(function(n)
        local hook = ("return { name = function() return 'n%d' end, "):format(n)
          .. ("description = function() return 'n%d' end }"):format(n)
        return { ["a.lua"] = hook, ["b.lua"] = "return {}" }
      end)
    end)

    it("makes no plan of two generations of code, and leaks nothing", function()
      code_site()
      check(function(n)
        return { ["policy.name.lua"] = code_of("policy.name", "decide", n),
          ["policy.metadata.lua"] = code_of("policy.metadata", "description", n) }
      end)
    end)

    it("makes no plan half of code and half of hooks of another time", function()
      code_site()
      check(function(n)
        return { ["policy.name.lua"] = code_of("policy.name", "decide", n),
          ["a.lua"] = ("return { description = function() return 'n%d' end }"):format(n) }
      end)
    end)
  end)

  describe("with --allow-code", function()
    before_each(function()
      code_site()
    end)

    local function plan_name(generation)
      local policy = generation.code:require("policy.plan")
      return assert(policy.build(sample.input(), generation.hook)).name
    end

    local function code_texts(n)
      return { ["policy.name.lua"] = code_of("policy.name", "decide", n) }
    end

    it("replaces code, and goes back to what is built in", function()
      local generation = assert(site:use(code_texts(1)))
      assert.equal("n1", plan_name(site.current))
      assert.same({ "policy.name.lua" }, generation.names)
      assert.same({}, generation.ignored)
      assert.equal(16, #generation.hash)
      assert(site:use({}))
      assert.equal("web-01", plan_name(site.current))
      assert.equal("builtin", site.current.hash)
    end)

    it("asks hooks after replaced code, and knows hooks that it adds", function()
      assert(site:use({
        ["policy.name.lua"] = code_of("policy.name", "decide", 1),
        ["policy.plan.lua"] = code_text("policy.plan", "M.decisions = {", "M.decisions = {\n"
          .. "{ name = 'flavour', decide = function() return 'plain' end,\n"
          .. "check = function(value) return value end },"),
        ["a.lua"] = "return { flavour = function(_, builtin) return builtin .. '!' end,\n"
          .. "name = function(_, builtin) return builtin .. '-site' end }",
      }))
      local policy = site.current.code:require("policy.plan")
      local made = assert(policy.build(sample.input(), site.current.hook))
      assert.same({ "plain!", "n1-site" }, { made.flavour, made.name })
    end)

    it("keeps what is in force when code is broken, or a site script beside it is", function()
      local before = assert(site:use(code_texts(1)))
      for script, text in pairs { ["policy.x.lua"] = "return {", ["a.lua"] = "return {" } do
        local texts = code_texts(2)
        texts[script] = text
        local generation, err = site:use(texts)
        assert.is_nil(generation)
        assert.truthy(err.message:find(script .. ":1: unexpected symbol", 1, true))
        assert.equal(before, site.current)
        assert.equal("n1", plan_name(site.current))
      end
    end)

    it("lets who has taken a generation end on its code", function()
      assert(site:use(code_texts(1)))
      local before, held <close> = site:take()
      assert(held)
      assert(site:use(code_texts(2)))
      assert.equal("n1", plan_name(before))
      assert.equal("n2", plan_name(site.current))
    end)

    it("keeps three older generations that are in use; the next waits, and is told", function()
      local told, held = 0, {}
      function site.on_room()
        told = told + 1
      end
      for n = 1, 4 do
        assert(site:use(code_texts(n)))
        held[n] = select(2, site:take())
      end
      local generation, err = site:use(code_texts(5))
      assert.is_nil(generation)
      assert.equal("busy", err.kind)
      assert.truthy(err.message:find("in use by imports under way", 1, true))
      assert.equal("n4", plan_name(site.current))
      assert.equal("busy", select(2, site:use({})).kind)
      assert(site:use({ ["policy.name.lua"] = code_texts(4)["policy.name.lua"],
        ["a.lua"] = names_it("x") }), "site scripts beside the same code need no room")
      held[2]:close()
      assert.equal(1, told)
      assert(site:use(code_texts(5)))
      assert.equal("n5", plan_name(site.current))
    end)

    it("takes an older one that is still in use as it is", function()
      assert(site:use(code_texts(1)))
      local before, held <close> = site:take()
      assert(held)
      assert(site:use(code_texts(2)))
      assert.equal(before.code, assert(site:use(code_texts(1))).code)
    end)

    it("forgets what nobody uses", function()
      local seen = setmetatable({}, { __mode = "k" })
      for n = 1, 5 do
        seen[assert(site:use(code_texts(n))).code] = n
      end
      collectgarbage()
      collectgarbage()
      local left = {}
      for _, n in pairs(seen) do
        left[#left + 1] = n
      end
      assert.same({ 5 }, left)
    end)
  end)

  it("says which keys are no site scripts", function()
    local generation = assert(site:use({ README = "x", ["policy.name.lua"] = "x",
      ["a.lua"] = names_it("x"), ["flowsheet.lua"] = "return {}" }))
    assert.same({ "a.lua", "flowsheet.lua" }, generation.names)
    assert.equal("README", generation.ignored[1].name)
    assert.equal("policy.name.lua", generation.ignored[2].name)
    assert.truthy(generation.ignored[2].reason:find("--allow-code", 1, true))
    assert.equal(require("site.code").builtin, generation.code)
  end)

  it("says which code replaces nothing, and takes the rest", function()
    local taking <close> = scripts.new({ allow_code = true })
    local generation = assert(taking:use({ ["a.lua"] = names_it("x"),
      ["flows.import.images.lua"] = "return {}" }))
    assert.equal("flows.import.images.lua", generation.ignored[1].name)
    assert.truthy(generation.ignored[1].reason:find("no module of that name", 1, true))
    assert.is_nil(generation.ignored[2])
  end)

  it("has the same hash for the same names and texts, and no other", function()
    local hash = scripts.hash({ a = "1", b = "2" })
    assert.equal(hash, scripts.hash({ b = "2", a = "1" }))
    assert.equal(16, #hash)
    for _, other in ipairs { { a = "2", b = "1" }, { a = "1" }, { ab = "12" }, { a = "1b2" } } do
      assert.not_equal(hash, scripts.hash(other))
    end
  end)

  it("reads a folder as a ConfigMap made of it", function()
    local folder <close> = lab.folder()
    assert(file.write(folder.path .. "/a.lua", "return {}"))
    assert(file.write(folder.path .. "/README", "x"))
    assert(file.write(folder.path .. "/a b.lua", "x"))
    assert(file.mkdir(folder.path .. "/sub.lua"))
    assert.same({ ["a.lua"] = "return {}", README = "x" }, scripts.read(folder.path))
    local texts, err = scripts.read(folder.path .. "/none")
    assert.same({ nil, "notfound" }, { texts, err.kind })
  end)
end)
