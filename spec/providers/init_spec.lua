local json = require "host.json"
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

describe("providers.open", function()
  local function open(rate)
    package.loaded["providers.mine"] = { open = function() return {} end }
    providers.add("MineSource", "providers.mine")
    return providers.open("MineSource", { leastRate = rate }, {})
  end

  after_each(function()
    providers.add("MineSource", nil)
    package.loaded["providers.mine"] = nil
  end)

  it("reads how slow the source may be, and refuses what is no rate", function()
    assert.equal(65536, open(65536).least_rate)
    assert.equal(0, open(0).least_rate)
    assert.is_nil(open(nil).least_rate)
    assert.is_nil(open(json.null).least_rate)
    for _, rate in ipairs { -1, 1.5, "fast" } do
      local source, err = open(rate)
      assert.is_nil(source)
      assert.equal("invalid", err.kind)
      assert.is_true(err.final)
      assert.equal(("spec.leastRate %s: must be a whole number of bytes a second, or 0")
        :format(rate), err.message)
    end
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
