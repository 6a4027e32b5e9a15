local file = require "host.file"
local lab = require "support.lab"
local pace = require "support.pace"
local plan = require "policy.plan"
local sample = require "support.sample"
local scripts = require "scripts"
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

describe("scripts", function()
  local site

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

  it("is reloaded 200 times under load: no plan of two generations, no leak", function()
    local function texts(n)
      local hook = ("return { name = function() return 'n%d' end, "):format(n)
        .. ("description = function() return 'n%d' end }"):format(n)
      return { ["a.lua"] = hook, ["b.lua"] = "return {}" }
    end
    local function resident()
      collectgarbage()
      return tonumber(assert(file.read("/proc/self/statm")):match("^%d+ (%d+)")) * 4096
    end
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
          local made = assert(plan.build(input, site.current.hook))
          assert.equal(made.description, made.name)
          planned[made.name] = true
        end
      end)
    end
    local before
    for n = 1, 200 do
      assert(site:use(texts(n)))
      before = n == 50 and resident() or before
    end
    running = false
    for _, worker in ipairs(workers) do
      assert(worker:join())
    end
    local grown = resident() - before
    -- Sanitizers keep freed memory.
    local sanitized = assert(file.read("/proc/self/maps")):find("lib[at]san")
    assert.truthy(sanitized or grown < 4 * 2 ^ 20, ("%d bytes more"):format(grown))
    local generations = 0
    for _ in pairs(planned) do
      generations = generations + 1
    end
    assert.is_true(generations > 10, generations)
  end)

  it("says which keys are no site scripts", function()
    local generation = assert(site:use({ README = "x", ["policy.name.lua"] = "x",
      ["a.lua"] = names_it("x"), ["flowsheet.lua"] = "return {}" }))
    assert.same({ "a.lua", "flowsheet.lua" }, generation.names)
    assert.equal("README", generation.ignored[1].name)
    assert.equal("policy.name.lua", generation.ignored[2].name)
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
