local file = require "host.file"
local lab = require "support.lab"
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

  it("is no call from far away for bash, which would read its user's .bashrc", function()
    local home <close> = lab.folder()
    assert(file.write(home.path .. "/.bashrc", "echo it was read"))
    local result = assert(process.run({ argv = { "bash", "-c", "echo ran" },
      env = { HOME = home.path } }))
    assert.equal("ran\n", result.stdout)
  end)

  it("does not mind a program that does not read its stdin", function()
    local result = assert(process.run({ argv = { "true" }, stdin = ("x"):rep(1 << 20) }))
    assert.equal(0, result.status)
  end)

  it("tells the signal that ended the program", function()
    local result = assert(sh("kill -TERM $$"))
    assert.equal(15, result.signal)
    assert.equal(143, result.status) -- whoever looks at the status alone sees a failure
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

  it("kills the program when the task is cancelled, which lasts until it is gone", function()
    local path = os.tmpname()
    local t = task.spawn(sh, "echo $$ > " .. path .. "; exec sleep 60")
    local pid
    assert.is_true(eventually(function()
      pid = file.read(path):match("%d+")
      return pid
    end))
    assert.is_true(runs(pid))
    assert.is_true(t:cancel(60))
    assert.is_false(runs(pid))
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

describe("host.process.run within limits", function()
  local function limited(script, limits)
    return assert(sh(script, { limits = limits or {}, timeout = 30 }))
  end

  it("runs the program with its arguments, input and output as without", function()
    local argv = { "sh", "-c", 'read -r line; echo "$line"; echo "$1" >&2; exit 3', "sh", "a b" }
    local result = assert(process.run({ argv = argv, stdin = "text\n", limits = {} }))
    assert.same({ status = 3, stdout = "text\n", stderr = "a b\n" }, result)
  end)

  it("says that a program is missing", function()
    local _, err = process.run({ argv = { "no-such-program-anywhere" }, limits = {} })
    assert.equal("notfound", err.kind)
    assert.equal("no-such-program-anywhere: no such program", err.message)
  end)

  it("starts no other process, and becomes none", function()
    for script, said in pairs({ ["/bin/true; exit 0"] = "fork", ["exec /bin/true"] = "exec" }) do
      local result = limited(script)
      assert.not_equal(0, result.status)
      assert.truthy(result.stderr:lower():find(said, 1, true)
        or result.stderr:find("Operation not permitted", 1, true), result.stderr)
    end
  end)

  it("gets no more memory than it may have", function()
    local argv = { "dd", "if=/dev/zero", "of=/dev/null", "bs=128M", "count=1" }
    local function copied(memory)
      return assert(process.run({ argv = argv, timeout = 30,
        limits = { memory = memory, read = { "/dev/zero" }, write = { "/dev/null" } } }))
    end
    assert.equal(0, copied(1 << 30).status)
    assert.truthy(copied(64 << 20).stderr:find("memory", 1, true))
  end)

  it("gets no more time than it may have", function()
    local result = limited("while :; do :; done", { cpu = 1 })
    assert.is_true(result.signal == 24 or result.signal == 9, "SIGXCPU, then SIGKILL")
  end)

  it("writes no larger file than it may", function()
    local path = os.tmpname()
    local function written(most)
      return assert(process.run({ timeout = 30,
        argv = { "dd", "if=/dev/zero", "bs=1k", "count=9", "of=" .. path },
        limits = { file_size = most, read = { "/dev/zero" }, write = { path } } }))
    end
    assert.equal(0, written(9216).status)
    assert.equal(25, written(9215).signal) -- SIGXFSZ
    os.remove(path)
  end)

  it("is killed when the task is cancelled", function()
    local tail = process.tail()
    local running = task.spawn(sh, "echo $$; while :; do :; done", { limits = {}, tail = tail })
    local pid
    assert.is_true(eventually(function()
      pid = tail:text():match("^(%d+)\n")
      return pid
    end))
    assert.is_true(running:cancel(60))
    assert.is_false(runs(pid))
  end)
end)

describe("host.process.tail", function()
  it("tells while a program runs what it has written last", function()
    local tail = process.tail()
    assert.equal("", tail:text())
    local script = 'i=0; while [ $i -lt 99 ]; do echo "line $i"; i=$((i + 1)); done; exec sleep 60'
    local running <close> = task.spawn(sh, script, { tail = tail })
    assert.is_true(eventually(function()
      return tail:text():match("line 98\n$")
    end))
    assert.equal(256, #tail:text())
    assert.is_false(running:done())
  end)

  it("keeps the last of a large output, and outlives the run", function()
    local tail = process.tail()
    assert(sh("head -c 100000 /dev/zero | tr '\\0' x; echo end", { tail = tail }))
    collectgarbage()
    assert.equal(("x"):rep(252) .. "end\n", tail:text())
  end)
end)
