local errors = require "host.error"
local json = require "host.json"

describe("error:", function()
  it("has a message that fits into a status, whatever was quoted in it", function()
    for _, err in ipairs({ errors.new("http", "502: \255\u{e4}"),
      errors.wrap("\255 thrown", "reading"), errors.of("thrown \255"),
      errors.wrap({ kind = "io", message = "x" }, "disk \255") }) do
      assert(json.encode({ message = err.message }))
      assert.matches("\u{fffd}", tostring(err), 1, true)
    end
  end)

  it("says a context once, wherever it stands already", function()
    for message, wanted in pairs({
      ["busy"] = "exporting: busy",
      ["exporting: busy"] = "exporting: busy",
      ["disk 1 of vm: exporting: busy"] = "disk 1 of vm: exporting: busy",
      ["exporting disk 2: busy"] = "exporting: exporting disk 2: busy",
      ["not exporting: busy"] = "exporting: not exporting: busy",
      ["exporting"] = "exporting: exporting",
    }) do
      assert.equal(wanted, errors.wrap(errors.new("busy", message), "exporting").message)
    end
  end)

  it("keeps kind and fields when it is wrapped", function()
    local err = errors.wrap(errors.new("invalid", "two", { candidates = { "a" } }), "vm")
    assert.equal("vm: two", err.message)
    assert.equal("invalid", err.kind)
    assert.same({ "a" }, err.candidates)
  end)
end)
