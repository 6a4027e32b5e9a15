local errors = require "host.error"
local waits = require "flows.waits"

describe("waits.behind", function()
  it("looks again at once where another writer was quicker, and says why", function()
    assert.same({ after = 0, again = "web-01: changed" },
      waits.behind(errors.new("conflict", "web-01: changed")))
  end)

  it("leaves it for a while to the replica that leads", function()
    local result = waits.behind(errors.new("conflict", "a leads", { reason = "NotLeader" }))
    assert.is_true(result.after > 0)
    assert.equal("a leads", result.again)
  end)
end)

describe("waits", function()
  it("looks more often at what brings no change than at what does", function()
    assert.is_true(waits.UNWATCHED < waits.WATCHED)
    assert.is_true(waits.SOURCE < waits.SOURCE_READY)
  end)
end)
