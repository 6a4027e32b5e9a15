local process = require "host.process"
local time = require "host.time"

describe("a resolver that hangs", function()
  it("delays no timer, no cancel, no time-out and no exit", function()
    local program = os.getenv("VIC_PROGRAM") or "/proc/self/exe"
    local result = assert(process.run({
      argv = { program, "script", "spec/support/hang.lua" },
      inherit = true,
      timeout = 8,
    }))
    local ended = time.monotonic()
    local reason = result.stdout:match("^skipped: (.*)")
    if reason then
      pending("needs a network namespace of its own: " .. reason)
      return
    end
    local wrong, ending = result.stdout:match("^(.-)ending at ([%d.]+)\n$")
    assert.equal("", wrong or result.stdout .. result.stderr)
    assert.equal(0, result.status)
    assert.is_true(ended - tonumber(ending) < 0.5, "the process took long to end")
  end)
end)
