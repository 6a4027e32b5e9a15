local file = require "host.file"
local pace = require "support.pace"
local process = require "host.process"
local task = require "host.task"
local time = require "host.time"

local function sh(script, opts)
  opts = opts or {}
  opts.argv = { "sh", "-c", script }
  return process.run(opts)
end

-- Whether a process of that number runs, and is no corpse.
local function runs(pid)
  local text = file.read("/proc/" .. pid .. "/stat")
  return text and text:match("%) (%a)") ~= "Z" or false
end

local eventually = pace.eventually

describe("host.process.run", function()
  it("gives the exit code and both outputs apart", function()
    local result = assert(sh("echo out; echo err >&2; exit 3"))
    assert.same({ status = 3, stdout = "out\n", stderr = "err\n" }, result)
  end)

  it("passes arguments as they are, through no shell", function()
    local argv = { "printf", "%s|", "a b", "$HOME", "*;`", "" }
    local result = assert(process.run({ argv = argv }))
    assert.equal("a b|$HOME|*;`||", result.stdout)
  end)

  it("passes stdin whole, and an empty one if there is none", function()
    local text = ("line \0 x\n"):rep(20000)
    local result = assert(process.run({ argv = { "cat" }, stdin = text }))
    assert.is_true(result.stdout == text)
    assert.equal("", assert(process.run({ argv = { "cat" } })).stdout)
  end)

  it("does not mind a program that does not read its stdin", function()
    local result = assert(process.run({ argv = { "true" }, stdin = ("x"):rep(1 << 20) }))
    assert.equal(0, result.status)
  end)

  it("tells the signal that ended the program", function()
    local result = assert(sh("kill -TERM $$"))
    assert.equal(15, result.signal)
  end)

  it("says that a program is missing, or cannot be run", function()
    local _, err = process.run({ argv = { "no-such-program-anywhere", "secret" } })
    assert.equal("notfound", err.kind)
    assert.equal("no-such-program-anywhere: no such program", err.message)
    _, err = process.run({ argv = { "/etc/passwd" } })
    assert.equal("denied", err.kind)
    _, err = process.run({ argv = { "true" }, cwd = "/no/such/folder" })
    assert.truthy(err.message:find("/no/such/folder", 1, true))
  end)

  it("kills what takes longer than the time-out, with all it has started", function()
    local path = os.tmpname()
    local timeout, pid = 0.05
    repeat -- until it was long enough for the shell to start what must die with it
      local result, err = sh("sleep 600 & echo $! > " .. path .. "; wait",
        { timeout = timeout })
      assert.is_nil(result)
      assert.equal("timeout", err.kind)
      assert.equal(("sh: timed out after %g s"):format(timeout), err.message)
      pid = file.read(path):match("(%d+)\n")
      timeout = 4 * timeout
    until pid or timeout > 100
    assert.is_true(eventually(function()
      return not runs(pid)
    end))
    os.remove(path)
  end)

  it("kills what writes more than max_output, and takes what writes as much", function()
    local _, err = sh("yes", { max_output = 100000 })
    assert.equal("exit", err.kind)
    assert.truthy(err.message:find("more than 100000 bytes", 1, true))
    assert.equal("12345", assert(sh("printf 12345", { max_output = 5 })).stdout)
    _, err = sh("printf 123; printf 456 >&2", { max_output = 5 })
    assert.equal("exit", err.kind)
  end)

  it("kills the program when the task is cancelled", function()
    local path = os.tmpname()
    local t = task.spawn(sh, "echo $$ > " .. path .. "; exec sleep 60")
    local pid
    assert.is_true(eventually(function()
      pid = file.read(path):match("%d+")
      return pid
    end))
    assert.is_true(runs(pid))
    assert.is_true(t:cancel(5))
    assert.is_true(eventually(function()
      return not runs(pid)
    end))
    os.remove(path)
  end)

  it("does not wait for what a program leaves behind with its outputs", function()
    local started = time.monotonic()
    local result = assert(sh("sleep 600 & echo done"))
    assert.equal("done\n", result.stdout)
    assert.is_true(time.monotonic() - started < 300)
  end)

  it("gives few variables, and those asked for", function()
    local env = { A = "1", LANG = "x" }
    local few = assert(process.run({ argv = { "env" }, env = env })).stdout
    for name in few:gmatch("([%w_]+)=[^\n]*\n") do
      assert.truthy(("PATH HOME LANG LC_ALL TMPDIR TZ A"):find(name, 1, true), name)
    end
    assert.truthy(few:find("A=1\n", 1, true))
    assert.truthy(few:find("LANG=x\n", 1, true))
    local all = assert(process.run({ argv = { "env" }, env = env, inherit = true }))
    assert.truthy(all.stdout:find("A=1\n", 1, true))
    assert.truthy(all.stdout:find("PWD=", 1, true))
  end)

  it("starts in the folder it is told", function()
    assert.equal("/\n", assert(process.run({ argv = { "pwd" }, cwd = "/" })).stdout)
  end)

  it("lets no descriptor but the three through", function()
    local lock <close> = assert(file.lock("/tmp"))
    local leak <close> = assert(io.open("/dev/null"))
    assert(lock and leak)
    local result = assert(process.run({ argv = { "ls", "/proc/self/fd" } }))
    -- The fourth is the folder that ls reads.
    assert.equal("0\n1\n2\n3\n", result.stdout)
  end)

  it("runs many at once", function()
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = task.spawn(sh, "echo " .. i)
    end
    for i, t in ipairs(tasks) do
      local ok, result = t:join()
      assert.is_true(ok)
      assert.equal(i .. "\n", result.stdout)
    end
  end)

  it("throws for an argument list that is none", function()
    for _, opts in ipairs({
      {}, { argv = {} }, { argv = { "a\0b" } }, { argv = { {} } },
      { argv = { "true" }, env = { ["A=B"] = "c" } }, { argv = { "true" }, typo = 1 },
    }) do
      assert.has_error(function()
        process.run(opts)
      end)
    end
  end)
end)
