--- hang: what a name server that never answers does to the rest of the process.
-- Prints a line for each thing found wrong, or "skipped: reason". Run by
-- spec/host/resolver_spec.lua in a process of its own.

package.path = "spec/?.lua;" .. package.path
package.cpath = (os.getenv("VIC_BUILD") or "build") .. "/spec/?.so;" .. package.cpath

local httpd = require "httpd"
local pace = require "support.pace"
local hangs, reason = httpd.hang_resolver()
if not hangs then
  print("skipped: " .. reason)
  return 0
end

local disk = require "host.disk"
local http = require "host.http"
local task = require "host.task"
local time = require "host.time"

local function check(good, ...)
  if not good then
    print(...)
  end
end

local function asking(connect_timeout)
  return task.spawn(function()
    local pool <close> = assert(http.pool({ connect_timeout = connect_timeout }))
    return pool:request({ url = "https://vcenter.example/sdk" })
  end)
end

-- A timer of 1 s is not late while names are being resolved.
local waiting = {}
for i = 1, 8 do
  waiting[i] = asking(10)
end
local started = time.monotonic()
task.sleep(1)
local took = time.monotonic() - started
check(took < 1 + pace.seconds(0.5), "a timer of 1 s took", took)
for _, t in ipairs(waiting) do
  check(not t:done(), "the resolver did not hang")
end

-- Neither is a cancel.
started = time.monotonic()
for _, t in ipairs(waiting) do
  check(t:cancel(5), "a task was not cancelled")
end
took = time.monotonic() - started
check(took < pace.seconds(0.5), "cancelling took", took)

-- Nor a time-out, which says what it waited for.
started = time.monotonic()
local ok, got, err = asking(0.2):join()
took = time.monotonic() - started
check(took < 0.2 + pace.seconds(0.5), "a time-out of 0.2 s took", took)
check(ok and not got and err.kind == "timeout", "not a time-out", got, err)
check(err and err.message == "GET https://vcenter.example/sdk: "
  .. "resolving its name timed out after 0.2 s", err)

-- Neither is a disk's.
local path = os.tmpname()
local transfer = assert(disk.transfer({
  source = { url = "https://vcenter.example/disk-0.vmdk" }, format = "vmdk", output = path,
}))
task.sleep(0.05)
started = time.monotonic()
transfer:close()
got, err = transfer:wait()
took = time.monotonic() - started
os.remove(path)
check(not got and err.kind == "cancelled", "not cancelled", got, err)
check(took < pace.seconds(0.5), "cancelling a transfer took", took)

-- Nor the end of the process: this task is still resolving.
asking(10)
task.sleep(0.01)
print(("ending at %.3f"):format(time.monotonic()))
return 0
