local pace = require "support.pace"
local process = require "host.process"
local time = require "host.time"

-- Runs spec/support/hang.lua. Returns nil or what is wrong, and why it cannot be run.
local function try()
  local program = os.getenv("VIC_PROGRAM") or "/proc/self/exe"
  local result = assert(process.run({
    argv = { program, "script", "spec/support/hang.lua" },
    inherit = true,
    -- ThreadSanitizer's runtime waits a second at the end of every process.
    env = { TSAN_OPTIONS = (os.getenv("TSAN_OPTIONS") or "") .. " atexit_sleep_ms=0" },
    timeout = pace.seconds(8),
  }))
  local ended = time.monotonic()
  local reason = result.stdout:match("^skipped: (.*)")
  if reason then
    return nil, reason
  end
  local wrong, ending = result.stdout:match("^(.-)ending at ([%d.]+)\n$")
  if not wrong or wrong ~= "" or result.status ~= 0 then
    return result.stdout .. result.stderr
  end
  if ended - tonumber(ending) > pace.seconds(0.5) then
    return "the process took long to end"
  end
end

describe("a resolver that hangs", function()
  it("delays no timer, no cancel, no time-out and no exit", function()
    -- A busy machine may be late on its own, a resolver that is waited for always is.
    local wrong, reason
    for _ = 1, 3 do
      wrong, reason = try()
      if not wrong then
        break
      end
    end
    if reason then
      pending("needs a network namespace of its own: " .. reason)
    end
    assert.is_nil(wrong)
  end)
end)
