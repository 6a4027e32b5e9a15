local retry = require "flows.import.retry"
local time = require "host.time"

local NOW = 1.8e9

local function next_of(status, spec, options, after)
  local ctx = { options = options or {}, now = function() return NOW end }
  return retry.next({ status = status, spec = spec or {} }, ctx, after)
end

describe("flows.import.retry", function()
  it("waits twice as long each time, up to a bound", function()
    local waits = {}
    for tried = 0, 8 do
      waits[tried + 1] = next_of({ attempt = tried }, { maxRetries = 10 }).after
    end
    assert.same({ 5, 10, 20, 40, 80, 160, 300, 300, 300 }, waits)
    assert.equal(300, retry.LONGEST)
  end)

  it("says which attempt comes next, and when, and counts it", function()
    local at = time.rfc3339(NOW + 10)
    local attempt = next_of({ attempt = 1 })
    assert.equal("attempt 3 of 6 at " .. at, attempt.text)
    assert.same({ attempt = 2, nextAttemptTime = at }, attempt.fields)
  end)

  it("begins to count at nothing", function()
    assert.equal(1, next_of(nil).fields.attempt)
    assert.equal(1, next_of({}).fields.attempt)
  end)

  for what, case in pairs {
    ["six attempts"] = { 6 },
    ["as many as the options say"] = { 4, nil, { max_retries = 3 } },
    ["as many as the spec says, whatever the options say"] = { 3, { maxRetries = 2 },
      { max_retries = 9 } },
    ["one, when the spec says so"] = { 1, { maxRetries = 0 } },
  } do
    it("ends after " .. what, function()
      local most = case[1]
      if most > 1 then
        assert(next_of({ attempt = most - 2 }, case[2], case[3]))
      end
      local attempt, tried = next_of({ attempt = most - 1 }, case[2], case[3])
      assert.is_nil(attempt)
      assert.equal(most, tried)
    end)
  end

  it("waits as long as it is told", function()
    assert.equal(77, next_of({ attempt = 3 }, nil, nil, 77).after)
    assert.equal(0.5, next_of({}, nil, { retry_first = 0.5 }).after)
  end)
end)
