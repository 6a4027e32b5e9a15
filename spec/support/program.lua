--- support.program: the program under test in the background: signals, its end, its peak
-- memory.

local env = require "host.env"
local file = require "host.file"
local lab = require "support.lab"
local process = require "host.process"
local task = require "host.task"

local M = {}

local methods = {}
local mt = { __name = "support.program", __index = methods }

-- Says who it is, then becomes the program.
local SAY_PID = 'out=$1; shift; echo $$ >"$0"; [ -z "$out" ] || exec >"$out"; exec "$@"'

--- running:signal(name)                                                 [waits]
--
--   name  "TERM", "INT", "KILL", "STOP", "CONT"
function methods:signal(name)
  local result = assert(process.run({ argv = { "kill", "-" .. name, self.pid } }))
  assert(result.status == 0, result.stderr)
end

--- running:done() -> boolean
function methods:done()
  return self.runner:done()
end

--- running:wait(timeout) -> {status, signal, stdout, stderr}            [waits]
-- Its end; throws when it has not ended within `timeout` seconds (default 120).
function methods:wait(timeout)
  local ok, result, err = self.runner:join(timeout or 120)
  assert(ok, result)
  return assert(result, err)
end

mt.__close = function(self)
  self.runner:cancel(0)
end

--- program.start(folder, args, opts) -> running, to be closed           [waits]
-- Starts `vm-import-controller args` and returns when it runs.
--
--   folder       path of a folder for a small file
--   opts.env     table, optional
--   opts.output  path of a file for its stdout, to be read while it runs
function M.start(folder, args, opts)
  local pid_file = folder .. "/pid"
  local output = opts and opts.output or ""
  assert(file.remove(pid_file, { missing_ok = true }))
  assert(output == "" or file.remove(output, { missing_ok = true }))
  local runner = task.spawn(process.run, {
    argv = { "sh", "-c", SAY_PID, pid_file, output, lab.program, table.unpack(args) },
    env = opts and opts.env,
    timeout = 1800,
  })
  local pid = lab.wait_for("the program runs", function()
    return (file.read(pid_file) or ""):match("^(%d+)\n")
  end)
  return setmetatable({ pid = pid, runner = runner }, mt)
end

--- program.peak(folder, args) -> result, bytes                          [waits]
-- Runs it to its end; its peak resident set besides (ru_maxrss).
function M.peak(folder, args)
  local path = folder .. "/peak"
  local result = assert(process.run({
    argv = { "time", "-f", "%M", "-o", path, lab.program, table.unpack(args) },
    timeout = 1800,
  }))
  return result, tonumber(assert(file.read(path)):match("(%d+)\n$")) * 1024
end

M.full = (env.get("VIC_FULL") or "") ~= ""

return M
