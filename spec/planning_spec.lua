local planning_of = require "planning"
local task = require "host.task"

describe("planning", function()
  it("lets so many of one source in, the next when one has ended, others at once", function()
    local planning = planning_of.new(2)
    local first, second = planning:permit("a"), planning:permit("a")
    local third = task.spawn(planning.permit, planning, "a")
    planning:permit("b"):release()
    assert.is_false(third:done())
    assert.equal("timeout", select(2, planning:permit("a", 0.01)).kind)
    second:release()
    local ok, permit = third:join(5)
    assert.is_true(ok)
    permit:release()
    first:release()
  end)
end)
