local smbios = require "providers.vmware.smbios"

local UUID = "422c5c2f-5f0d-1a2b-8c3d-4e5f60718293"

describe("providers.vmware.smbios", function()
  it("has the UUID as a guest reads it, by hardware version", function()
    for version, read in pairs({
      ["vmx-13"] = "2f5c2c42-0d5f-2b1a-8c3d-4e5f60718293",
      ["vmx-19"] = "2f5c2c42-0d5f-2b1a-8c3d-4e5f60718293",
      ["vmx-022"] = "2f5c2c42-0d5f-2b1a-8c3d-4e5f60718293",
      ["vmx-12"] = UUID, ["vmx-07"] = UUID, ["vmx-4"] = UUID,
      [""] = UUID, ["vmx-"] = UUID, ["vmx-13x"] = UUID, ["xen-19"] = UUID,
    }) do
      assert.equal(read, smbios.uuid(UUID, version), version)
    end
    assert.equal(UUID, smbios.uuid(UUID, nil))
    assert.is_nil(smbios.uuid(nil, "vmx-19"))
    assert.equal("42 2c", smbios.uuid("42 2c", "vmx-19"))
  end)

  it("has the serial of the bytes as they stand, whatever the version", function()
    assert.equal("VMware-42 2c 5c 2f 5f 0d 1a 2b-8c 3d 4e 5f 60 71 82 93", smbios.serial(UUID))
    assert.equal(smbios.serial(UUID), smbios.serial(UUID:upper()))
    for _, text in ipairs({ "", "42", UUID .. "0", (UUID:gsub("4", "g")) }) do
      assert.is_nil(smbios.serial(text), text)
    end
    assert.is_nil(smbios.serial(nil))
  end)
end)
