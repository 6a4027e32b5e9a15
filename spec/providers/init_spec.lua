local providers = require "providers"

describe("providers.check", function()
  it("takes the provider of every kind", function()
    for _, kind in ipairs(providers.kinds()) do
      assert(providers.check(assert(providers.of(kind)), kind))
    end
  end)

  it("names everything that a module lacks", function()
    local ok, err = providers.check({
      source = { find = print },
      export = { stream = print, progress = print, lost = print, complete = print },
    }, "providers.mine")
    assert.is_nil(ok)
    assert.equal("invalid", err.kind)
    assert.truthy(err.message:find("providers.mine", 1, true))
    assert.truthy(err.message:find("open, source:inspect", 1, true))
    assert.truthy(err.message:find("export:close", 1, true))
    assert.is_nil(err.message:find("source:find", 1, true))
    assert.is_nil(err.message:find("export:stream", 1, true))
  end)

  it("refuses what is no table", function()
    assert.is_nil((providers.check(nil)))
    assert.is_nil((providers.check("providers.vmware")))
  end)
end)

describe("providers.of", function()
  it("does not mind upper and lower case", function()
    assert.equal(providers.of("VmwareSource"), providers.of("vmwaresource"))
  end)

  it("says which kinds there are", function()
    local module, err = providers.of("HypervSource")
    assert.is_nil(module)
    assert.equal("unsupported", err.kind)
    assert.is_true(err.final)
    assert.truthy(err.message:find("VmwareSource", 1, true))
  end)
end)
