local names_of = require "controller.names"

describe("names", function()
  local names

  before_each(function()
    names = names_of.new()
  end)

  it("gives a name to the first who asks, and tells the next who has it", function()
    assert.is_true(names:take("a", "n/one", "n/web"))
    assert.is_true(names:take("a", "n/one", "n/web"))
    local ok, other = names:take("b", "n/two", "n/web")
    assert.is_false(ok)
    assert.equal("n/one", other)
    assert.is_true(names:take("b", "n/two", "m/web"))
  end)

  it("frees it when the import has ended, is invalid, or is gone", function()
    for _, state in ipairs { "VMMigrationFailed", "virtualMachineRunning",
      "virtualMachineImportInvalid", false } do
      names:take("a", "n/one", "n/web")
      names:see("a", "n/one", nil, state or nil)
      assert.is_true(names:take("b", "n/two", "n/web"))
      names:see("b", "n/two", nil, nil)
    end
  end)

  it("keeps what was just taken though status does not show it yet", function()
    names:take("a", "n/one", "n/web")
    names:see("a", "n/one", nil, "")
    assert.is_false((names:take("b", "n/two", "n/web")))
    names:see("a", "n/one", "n/web", "virtualMachineImportValid")
    names:see("a", "n/one", nil, "")
    assert.is_true(names:take("b", "n/two", "n/web"))
  end)

  it("frees the earlier name of an import that is planned anew", function()
    names:take("a", "n/one", "n/web")
    names:take("a", "n/one", "n/db")
    assert.is_true(names:take("b", "n/two", "n/web"))
    assert.is_false((names:take("c", "n/three", "n/db")))
  end)

  it("knows after a restart what status says", function()
    names:see("a", "n/one", "n/web", "sourceReady")
    names:see("b", "n/two", "n/web", "sourceReady") -- both were planned by an older version
    local _, other = names:take("c", "n/three", "n/web")
    assert.equal("n/one", other)
    names:see("b", "n/two", nil, "VMMigrationFailed")
    assert.is_false((names:take("c", "n/three", "n/web")))
  end)
end)
