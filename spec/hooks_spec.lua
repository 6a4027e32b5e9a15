-- scripts/hooks: what they refuse, and which specs they run.

local process = require "host.process"

local function run(stdin, ...)
  return assert(process.run({ argv = { ... }, stdin = stdin, inherit = true }))
end

local function message(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  file:flush()
  local result = run(nil, "scripts/hooks/commit-msg", path)
  os.remove(path)
  return result
end

describe("scripts/hooks/commit-msg", function()
  it("takes a subject of 72 characters, however many bytes they are", function()
    assert.equal(0, message(("x"):rep(72) .. "\n").status)
    assert.equal(0, message(("\u{e9}"):rep(72) .. "\n\nWhy.\n").status)
  end)

  it("refuses a longer one, an empty one, and a body without a line between", function()
    local long = message(("x"):rep(73) .. "\n")
    assert.equal(1, long.status)
    assert.truthy(long.stderr:find("73 characters, of 72 at most", 1, true))
    assert.equal(1, message("# only a comment\n").status)
    assert.equal(1, message("Subject\nbody\n").status)
  end)
end)

describe("scripts/hooks/pre-commit", function()
  it("finds the unit specs of modules, of C files and of specs", function()
    local result = run(nil, "scripts/hooks/pre-commit", "--specs", "lua/policy/name.lua",
      "src/host/digest.c", "spec/layout_spec.lua", "spec/e2e/kube/client_spec.lua",
      "lua/policy/nothing.lua", "README.md")
    assert.equal("spec/docs_spec.lua spec/host/digest_spec.lua spec/layout_spec.lua "
      .. "spec/policy/name_spec.lua spec/troubleshooting_spec.lua ",
      (result.stdout:gsub("\n", " ")))
  end)
end)
