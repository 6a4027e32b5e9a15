local support = require "support.ovf"

describe("systems.pick", function()
  it("refuses to choose among several, and lists them", function()
    local message, err = support.refusal("appliance")
    assert.equal("notfound", err.kind)
    assert.same({ "Front end", "back" }, err.candidates)
    assert.equal('OVF: it holds 2 virtual systems; one must be chosen; there are "Front end", '
      .. '"back"', message)
    message, err = support.refusal("appliance", nil, { name = "side" })
    assert.equal("notfound", err.kind)
    assert.same({ "Front end", "back" }, err.candidates)
    assert.truthy(message:find('none of its 2 virtual systems is called "side"', 1, true))
  end)

  it("finds one by id or by name", function()
    for _, name in ipairs { "front", "Front end" } do
      assert.equal("front", support.machine("appliance", nil, { name = name }).id)
    end
    assert.equal("back", support.machine("appliance", nil, { name = "back" }).name)
  end)

  it("lists no more than a hundred, of no more than 253 bytes each", function()
    local _, err = support.refusal("appliance", { ["</VirtualSystemCollection>"] =
      ('<VirtualSystem ovf:id="%s"/>'):format(("é"):rep(500)):rep(300)
      .. "</VirtualSystemCollection>" })
    assert.equal(100, #err.candidates)
    assert.equal(("é"):rep(126), err.candidates[100])
  end)

  it("refuses a name that two have", function()
    local message, err = support.refusal("appliance", {
      ["<Info>The back</Info>"] = "<Info>The back</Info><Name>Front end</Name>",
    }, { name = "Front end" })
    assert.equal("notfound", err.kind)
    assert.truthy(message:find('several of its 2 virtual systems are called "Front end"', 1,
      true), message)
  end)
end)

describe("systems.configuration", function()
  local function cpus(opts, changes)
    opts.name = "front"
    return support.machine("appliance", changes, opts).cpu.sockets
  end

  it("takes the default, or the one that is asked for, or the first", function()
    assert.equal(4, cpus({}))
    assert.equal(1, cpus({ configuration = "small" }))
    assert.equal(1, cpus({}, { [' ovf:default="true"'] = "" }))
  end)

  it("refuses one that is not there, and lists those that are", function()
    local message, err = support.refusal("appliance", nil,
      { name = "front", configuration = "huge" })
    assert.equal("notfound", err.kind)
    assert.same({ "small", "large" }, err.candidates)
    assert.equal('OVF: it has no configuration "huge"; there are "small", "large"', message)
    message = support.refusal("vmware", nil, { configuration = "small" })
    assert.equal('OVF: it has no configuration "small"; there are none', message)
  end)
end)
