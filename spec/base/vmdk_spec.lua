--- base.vmdk: which VMDK can be decoded while it comes.

local vmdk = require "base.vmdk"

describe("the head of a VMDK", function()
  it("says that it is stream-optimised by two flags", function()
    local function head(flags)
      return "KDMV" .. string.pack("<I4I4", 3, flags) .. ("\0"):rep(500)
    end
    assert.is_true(vmdk.is_stream(head(0x30001)))
    for _, other in ipairs { head(3), head(0x10001), head(0x20001), "KDMV",
      "COWD" .. head(0x30001):sub(5), "", "# Disk DescriptorFile" } do
      assert.is_false(vmdk.is_stream(other))
    end
  end)
end)
