local env = require "host.env"

-- stdout, stderr and exit code of this program running the Lua text, as the shell
-- command around it lets them out.
local function run(text, command)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write('local env = require "host.env"\n' .. text)
  file:close()
  command = command:gsub("PROGRAM", env.args()[0] .. " script " .. path)
  local pipe = io.popen(command)
  local out = pipe:read("a")
  pipe:close()
  os.remove(path)
  return out
end

describe("env:", function()
  it("reads the environment", function()
    assert.equal(os.getenv("PATH"), env.get("PATH"))
    assert.is_nil(env.get("NO_SUCH_VARIABLE_HERE"))
  end)

  it("knows the arguments", function()
    local args = env.args()
    assert.equal("script", args[1])
    assert.matches("vm%-import%-controller$", args[0])
  end)

  it("knows the version", function()
    assert.matches("^%d+%.%d+%.%d+$", env.version())
  end)

  it("takes 80 columns where there is no terminal", function()
    assert.equal("80 false", run(
      'env.stdout(env.columns() .. " " .. tostring(env.is_terminal(1)))',
      "PROGRAM 2>/dev/null"))
  end)

  it("knows the width of a terminal", function()
    local out = run('env.stdout(env.columns() .. " " .. tostring(env.is_terminal(1)))',
      [[script -qec "stty cols 123; PROGRAM" /dev/null]])
    assert.equal("123 true", out)
  end)
end)

describe("env.stdout:", function()
  it("writes everything, in order, beside stderr", function()
    local out = run([[
      for i = 1, 300 do
        env.stdout(("x"):rep(1000))
      end
      env.stderr("y\n")
    ]], "PROGRAM 2>&1")
    assert.equal(("x"):rep(300000) .. "y\n", out)
  end)

  it("is false when nobody reads any more", function()
    local out = run([[
      local ok = true
      while ok == true do
        ok = env.stdout(("x"):rep(4096))
      end
      env.stderr(tostring(ok))
    ]], "{ PROGRAM | head -c 1 >/dev/null; } 2>&1")
    assert.equal("false", out)
  end)

  it("gives an err when it cannot write", function()
    local out = run([[
      local ok, err = env.stdout("x")
      env.stderr(tostring(ok) .. " " .. err.kind .. " " .. err.message)
    ]], "PROGRAM 2>&1 >/dev/full")
    assert.equal("nil nospace writing to standard output: No space left on device", out)
  end)
end)
