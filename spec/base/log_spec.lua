local log = require "base.log"

local function captured()
  local lines = {}
  local sink = {}
  for _, level in ipairs { "debug", "info", "warn", "error" } do
    sink[level] = function(message, fields)
      lines[#lines + 1] = { level = level, message = message, fields = fields }
    end
  end
  return sink, lines
end

describe("base.log", function()
  it("writes each level with the log's fields and the line's", function()
    local sink, lines = captured()
    local l = log.new(sink, { a = 1 }):with({ b = 2 })
    for _, level in ipairs { "debug", "info", "warn", "error" } do
      l[level](l, "m", { c = 3 })
      assert.same({ level = level, message = "m", fields = { a = 1, b = 2, c = 3 } },
        lines[#lines])
    end
    assert.equal(4, #lines)
  end)

  it("lets the line's fields go first, and keeps its own as they were", function()
    local sink, lines = captured()
    local l = log.new(sink, { a = 1 })
    l:with({ a = 2 }):info("m", { a = 3 })
    l:info("m")
    assert.same({ a = 3 }, lines[1].fields)
    assert.same({ a = 1 }, lines[2].fields)
  end)

  it("names an import, and a source, as namespace/name", function()
    assert.same({ kind = "VirtualMachineImport", namespace = "n", name = "a", uid = "u",
      import = "n/a" }, log.subject("VirtualMachineImport", "n", "a", "u"))
    assert.same({ kind = "VmwareSource", namespace = "n", name = "a", source = "n/a" },
      log.subject("VmwareSource", "n", "a"))
    assert.same({ kind = "Secret", namespace = "n", name = "a" },
      log.subject("Secret", "n", "a"))
  end)
end)
