local support = require "support.ovf"

describe("product.description", function()
  it("is annotation and product", function()
    assert.equal("serves pages", support.machine("vmware").description)
    assert.equal("Intranet, 3, Example", support.machine("virtualbox").description)
    assert.equal("the database", support.machine("ovirt").description)
    assert.equal("", support.machine("hyperv").description)
  end)

  it("finds a text that stands among the Strings", function()
    assert.equal("the front of it",
      support.machine("appliance", nil, { name = "front" }).description)
  end)
end)

describe("product.properties", function()
  local function capacity(opts)
    opts.name = "back"
    return support.machine("appliance", nil, opts).disks[1].capacity_bytes
  end

  it("says what a capacity stands for, in each configuration", function()
    assert.equal(20 << 30, capacity({}))
    assert.equal(10 << 30, capacity({ configuration = "small" }))
  end)
end)
