local origin = require "base.origin"

describe("base.origin", function()
  local function of(ref)
    return origin.of({ metadata = { namespace = "own" }, spec = { sourceCluster = ref } })
  end

  it("is the source that an import names, in its own namespace where none is named", function()
    assert.same({ kind = "K", name = "n", namespace = "other", from = "own" },
      of({ kind = "K", name = "n", namespace = "other" }))
    assert.same({ kind = "K", name = "n", namespace = "own", from = "own" },
      of({ kind = "K", name = "n", namespace = "" }))
    assert.same({ namespace = "own", from = "own" }, of({ kind = "", name = "" }))
    assert.same({ namespace = "own", from = "own" }, of(nil))
    assert.same({ namespace = "own", from = "own" },
      origin.of({ metadata = { namespace = "own" } }))
  end)

  it("is a text", function()
    assert.equal("K a/b", origin.text({ kind = "K", namespace = "a", name = "b" }))
  end)
end)
