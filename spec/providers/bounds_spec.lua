local bounds = require "providers.bounds"
local hostile = require "support.hostile"
local pace = require "support.pace"
local providers = require "providers"
local task = require "host.task"

local MIB = 1 << 20
local SECRET = { username = "u", password = "p", project_name = "p", domain_name = "default" }

describe("providers.bounds:", function()
  it("an answer may be small, a page larger, all of a source's at once a few MiB", function()
    assert.truthy(bounds.ANSWER.max_body < bounds.PAGE.max_body)
    assert.truthy(bounds.ANSWER.max_memory < bounds.PAGE.max_memory)
    assert.truthy(bounds.PAGE.max_body <= 4 * MIB and bounds.PAGE.max_memory <= 16 * MIB)
  end)

  it("a list ends, however small its pages are", function()
    local list = bounds.list("GET /things", {})
    for _ = 1, 1000 do
      assert(list:add({}))
    end
    local ok, err = list:add({})
    assert.is_nil(ok)
    assert.equal("format", err.kind)
    assert.equal("GET /things: a list without end", err.message)
  end)

  it("what is kept of a list's pages is counted together", function()
    local list = bounds.list("GET /things", {})
    local page = { ("x"):rep(10 * MIB) }
    assert(list:add(page))
    assert(list:add({ { name = page } }))
    assert(list:add(page))
    local ok, err = list:add(page)
    assert.is_nil(ok)
    assert.equal("GET /things: a list that takes more than 32 MiB of memory", err.message)
  end)

  it("of large lists one is read at a time, until nobody has it any more; small ones "
    .. "do not wait", function()
    local page = { ("x"):rep(3 * MIB) }
    local first = {}
    assert(bounds.list("first", first):add(page))
    local second = task.spawn("second", function()
      return bounds.list("second", {}):add(page)
    end)
    assert(bounds.list("small", {}):add({ ("x"):rep(MIB) }))
    assert.is_nil((second:join(0.05)))
    first[1] = "in use until here"
    first = nil -- luacheck: ignore
    assert.is_true(pace.eventually(function()
      collectgarbage()
      return second:done()
    end))
    assert.is_true(select(2, second:join()))
  end)

  for _, case in ipairs(hostile.cases(false)) do
    if case.kind and #case.steps == 1 and not case.says:find("broke") then
      it("what is refused as it came is not asked for again: " .. case.name, function()
        local server = hostile.serve(case)
        local closing <close> = setmetatable({}, { __close = server.close })
        assert(closing)
        local source, err = providers.open(case.kind,
          { endpoint = server.url, dc = "DC0", region = "R" }, SECRET, { name = "bad" })
        assert.is_nil(source)
        assert.matches(case.says, err.message)
        assert.equal(1, server.asked())
      end)
    end
  end
end)
