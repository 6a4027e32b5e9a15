local support = require "support.ovf"
local systems = require "providers.ova.ovf.systems"
local virtualbox = require "providers.ova.ovf.virtualbox"
local xml = require "host.xml"

local function part(changes)
  return virtualbox.read(systems.read(xml.parse(support.text("virtualbox", changes)))[1])
end

describe("virtualbox.read", function()
  it("reads what the standard's Items do not say", function()
    assert.same({
      uuid = "39a69c87-0433-4945-8e25-b89431544a28", os = "Windows2019_64",
      firmware = "EFI", tpm = true,
      adapters = {
        { mac = "0800272AFB4E", model = "e1000", connected = true },
        { mac = "080027CE3144", model = "virtio", connected = false },
      },
    }, part())
  end)

  it("takes the SMBIOS UUID where it is another than the machine's", function()
    assert.equal("5a8e2a4c-1b2c-4d3e-8f90-0123456789ab", part({ ["<Hardware>"] =
      '<Hardware uuid="{5a8e2a4c-1b2c-4d3e-8f90-0123456789ab}">' }).uuid)
  end)

  it("is nothing where there is no such part, or one of another's", function()
    assert.is_nil(part({ ["http://www.virtualbox.org/ovf/machine"] = "urn:other" }))
  end)

  it("does without hardware in it", function()
    local text = support.text("virtualbox"):gsub("<Hardware>.*</Hardware>", "")
    local found = virtualbox.read(systems.read(xml.parse(text))[1])
    assert.same({}, found.adapters)
    assert.is_false(found.tpm)
  end)
end)
