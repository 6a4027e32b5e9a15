local support = require "support.ovf"

describe("items.read", function()
  it("puts an Item of the configuration in the place of the common one", function()
    assert.equal(4, support.machine("appliance", nil, { name = "front" }).cpu.sockets)
    local small = support.machine("appliance", nil,
      { name = "front", configuration = "small" })
    assert.equal(1, small.cpu.sockets)
    assert.equal(0, #small.nics)
  end)

  it("takes no bound of a range for the value", function()
    local machine = support.machine("appliance", nil, { name = "front" })
    assert.equal(2048, machine.memory_bytes >> 20)
  end)

  it("refuses an Item of no type", function()
    local message = support.refusal("vmware",
      { ["<rasd:ResourceType>17</rasd:ResourceType>"] = "" })
    assert.equal('OVF: Item "Hard disk 2": its ResourceType "" is no number', message)
    message = support.refusal("vmware",
      { ["<rasd:ResourceType>17<"] = "<rasd:ResourceType>-17<" })
    assert.truthy(message:find('ResourceType "-17" is no number', 1, true), message)
  end)

  it("refuses more Items than any machine has", function()
    local many = ("<Item><rasd:ResourceType>21</rasd:ResourceType></Item>"):rep(2000)
    local message = support.refusal("vmware",
      { ["</VirtualHardwareSection>"] = many .. "</VirtualHardwareSection>" })
    assert.truthy(message:find("it has more than 2000 Items", 1, true), message)
  end)
end)
