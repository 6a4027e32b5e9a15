local support = require "support.ovf"

local NVRAM = '<vmw:ExtraConfig ovf:required="false" vmw:key="nvram"'

describe("settings.read", function()
  it("says which required settings nobody here knows", function()
    local machine = support.machine("vmware",
      { [NVRAM] = '<vmw:ExtraConfig ovf:required="true" vmw:key="guestinfo.key"' })
    assert.equal("guestinfo.key", support.codes(machine).OvfSettingLeft.detail)
  end)

  it("says nothing of a required one that is read here", function()
    local machine = support.machine("vmware", {
      [NVRAM] = '<vmw:ExtraConfig ovf:required="true" vmw:key="firmware"',
      ['<vmw:Config ovf:required="false" vmw:key="firmware"'] =
        '<vmw:Config ovf:required="true" vmw:key="firmware"',
    })
    assert.same({}, machine.findings)
  end)

  it("keeps no value of an ExtraConfig but those it reads", function()
    local settings = require "providers.ova.ovf.settings"
    local systems = require "providers.ova.ovf.systems"
    local xml = require "host.xml"
    local system = systems.read(xml.parse(support.text("vmware",
      { ["ovf:/file/file3"] = "s3cret" })))[1]
    assert.same({}, settings.read(system).extra)
  end)
end)
