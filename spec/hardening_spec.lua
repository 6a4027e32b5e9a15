-- How the program is linked and compiled, read from its ELF file. A build with sanitizers, or
-- without optimisation, has other flags and is not looked at.

local env = require "host.env"
local process = require "host.process"

local PROGRAM = env.get("VIC_PROGRAM") or "build/vm-import-controller"

local function readelf(...)
  local result = assert(process.run({ argv = { "readelf", "-W", ..., PROGRAM },
    env = { LC_ALL = "C" }, timeout = 60, max_output = 16 << 20 }))
  assert.equal(0, result.status, result.stderr)
  return result.stdout
end

local SYMBOLS = readelf("--dyn-syms")
local SANITIZED = SYMBOLS:find("__asan_init", 1, true) or SYMBOLS:find("__tsan_init", 1, true)
  or SYMBOLS:find("__ubsan_", 1, true)

describe("the program's ELF file", not SANITIZED and function()
  local segments, dynamic = readelf("--segments"), readelf("--dynamic")

  it("is loaded anywhere (PIE)", function()
    assert.truthy(readelf("--file-header"):find("Type:%s+DYN"))
    assert.truthy(dynamic:find("FLAGS_1%)%s+Flags:[^\n]* PIE"))
  end)

  it("has its tables of functions filled and read-only before it begins (full RELRO)", function()
    assert.truthy(segments:find("GNU_RELRO", 1, true))
    assert.truthy(dynamic:find("BIND_NOW", 1, true))
    assert.truthy(dynamic:find("FLAGS_1%)%s+Flags:[^\n]*NOW"))
  end)

  it("runs no byte of its stack, and has no segment that is written and run", function()
    assert.equal("RW", segments:match("GNU_STACK[^\n]* (R[WE ]*)%s+0x"):gsub("%s", ""))
    for flags in segments:gmatch("\n  LOAD[^\n]*0x%x+ ([RWE ]+)0x") do
      assert.is_nil(flags:find("W.*E"), flags)
    end
  end)

  it("has canaries, and lengths that are checked (FORTIFY)", function()
    assert.truthy(SYMBOLS:find("__stack_chk_fail", 1, true))
    for _, name in ipairs { "__snprintf_chk", "__vsnprintf_chk", "__fprintf_chk" } do
      assert.truthy(SYMBOLS:find(name, 1, true), name)
    end
  end)

  -- Marks of calls' ends (IBT, SHSTK) count only where libc's own start has them.
  it("was compiled with all of it, every file", function()
    local intel = readelf("--file-header"):find("X86-64", 1, true)
    local commands = assert(require("host.file").read(env.get("VIC_BUILD")
      .. "/compile_commands.json"))
    local files = 0
    for command in commands:gmatch('"command": "([^\n]-)",\n') do
      if command:find("%-o CMakeFiles/vic_") or command:find("CMakeFiles/vm%-import") then
        files = files + 1
        for _, flag in ipairs { "-fstack-protector-strong", "-fstack-clash-protection",
          "_FORTIFY_SOURCE=3", "-fPI", intel and "-fcf-protection" } do
          assert.truthy(command:find(flag, 1, true), flag .. ": " .. command)
        end
        assert.truthy(not command:find("%-fno%-stack") and not command:find("%-U_FORTIFY"))
      end
    end
    assert.is_true(files > 100, files)
  end)
end or function()
  it("is of a build with sanitizers", function() end)
end)
