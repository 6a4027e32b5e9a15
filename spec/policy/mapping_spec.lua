local mapping = require "policy.mapping"

local PORT_GROUP = {
  name = "dvs_10",
  id = "dvportgroup-31",
  path = "/DC0/network/Switches/dvs_10",
  switch = "DSwitch",
}

describe("policy.mapping", function()
  it("knows a network by everything a user may read of it", function()
    for _, text in ipairs({
      "dvportgroup-31",
      "DistributedVirtualPortgroup:dvportgroup-31",
      "/DC0/network/Switches/dvs_10",
      "DC0/network/Switches/dvs_10",
      "Switches/dvs_10",
      "DSwitch/dvs_10",
    }) do
      assert.equal(1, mapping.rank(text, PORT_GROUP), text)
    end
    assert.equal(2, mapping.rank("dvs_10", PORT_GROUP))
    assert.equal(3, mapping.rank("DVS_10", PORT_GROUP))
    assert.equal(3, mapping.rank("dswitch/DVS_10", PORT_GROUP))
  end)

  it("takes nothing that is merely similar", function()
    assert.is_nil(mapping.rank("net", { name = "other", path = "/DC0/network/net" }))
    for _, text in ipairs({ "dvs_1", "dvs_100", "DSwitch", "Other/dvs_10", "dvs.10", "",
      "dvportgroup-3", "network/Switches/dvs_10", "/DC1/network/Switches/dvs_10", "*",
      ".*", "%w+" }) do
      assert.is_nil(mapping.rank(text, PORT_GROUP), text)
    end
    assert.is_nil(mapping.rank(nil, PORT_GROUP))
    assert.is_nil(mapping.rank("a", nil))
    assert.is_nil(mapping.rank("a", {}))
  end)

  it("reads %2f, %5c and %25 as the characters they stand for", function()
    local network = { name = "a/b 50%", path = "/DC/network/a%2fb 50%25" }
    for _, text in ipairs({ "a/b 50%", "a%2Fb 50%25", "A%2fB 50%" }) do
      assert.is_truthy(mapping.rank(text, network), text)
    end
    assert.equal(2, mapping.rank("c%5Cd", { name = "c\\d" }))
  end)

  it("prefers the row that means this very network", function()
    local rows = {
      { sourceNetwork = "DVS_10", destinationNetwork = "case" },
      { sourceNetwork = "dvs_10", destinationNetwork = "name" },
      { sourceNetwork = "DSwitch/dvs_10", destinationNetwork = "exact" },
    }
    assert.equal("exact", mapping.find(rows, PORT_GROUP).destinationNetwork)
    table.remove(rows)
    assert.equal("name", mapping.find(rows, PORT_GROUP).destinationNetwork)
    table.remove(rows)
    assert.equal("case", mapping.find(rows, PORT_GROUP).destinationNetwork)
    table.remove(rows)
    assert.is_nil(mapping.find(rows, PORT_GROUP))
  end)

  it("tells apart two port groups of one name", function()
    local other = { name = "dvs_10", id = "dvportgroup-99", switch = "Backup" }
    local rows = {
      { sourceNetwork = "DSwitch/dvs_10", destinationNetwork = "a" },
      { sourceNetwork = "Backup/dvs_10", destinationNetwork = "b" },
    }
    assert.equal("a", mapping.find(rows, PORT_GROUP).destinationNetwork)
    assert.equal("b", mapping.find(rows, other).destinationNetwork)
  end)

  it("reports a second row that fits as well and says something else", function()
    local rows = {
      { sourceNetwork = "dvs_10", destinationNetwork = "a" },
      { sourceNetwork = "dvs_10", destinationNetwork = "b" },
    }
    local row, other = mapping.find(rows, PORT_GROUP)
    assert.equal("a", row.destinationNetwork)
    assert.equal("b", other.destinationNetwork)
    rows[2].destinationNetwork = "a"
    row, other = mapping.find(rows, PORT_GROUP)
    assert.equal("a", row.destinationNetwork)
    assert.is_nil(other)
  end)
end)
