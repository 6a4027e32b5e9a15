local marks = require "base.marks"

describe("base.marks", function()
  it("knows our finalizer among others", function()
    local function held(...)
      return marks.is_held({ metadata = { finalizers = { ... } } })
    end
    assert.is_true(held("another", marks.FINALIZER))
    assert.is_false(held("another"))
    assert.is_false(marks.is_held({ metadata = {} }))
  end)
end)
