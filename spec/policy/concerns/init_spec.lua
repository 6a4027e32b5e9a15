local plan = require "policy.plan"
local sample = require "support.sample"

local function findings(changes, spec)
  return assert(plan.build(sample.input(changes, spec))).findings
end

describe("policy.concerns", function()
  it("mentions snapshots, which do not come along", function()
    assert.matches("3 snapshots",
      sample.find(findings({ snapshots = 3 }), "HasSnapshots").message, 1, true)
    assert.is_nil(sample.find(findings({}), "HasSnapshots"))
  end)

  it("says once that MAC addresses are kept", function()
    local count = 0
    for _, item in ipairs(findings({ nics = { sample.nic(0), sample.nic(1) } })) do
      count = count + (item.code == "MacAddressesKept" and 1 or 0)
    end
    assert.equal(1, count)
    assert.is_nil(sample.find(findings({ nics = {} }), "MacAddressesKept"))
  end)

  it("blocks on more devices than KubeVirt takes", function()
    local disks = {}
    for i = 0, 256 do
      disks[i + 1] = sample.disk(i)
    end
    assert.equal("machine disks",
      sample.find(findings({ disks = disks }), "TooManyDevices").subject)
    disks[257] = nil
    assert.is_nil(sample.find(findings({ disks = disks }), "TooManyDevices"))
  end)

  it("counts the disk of cloud-init among them", function()
    local disks = {}
    for i = 0, 255 do
      disks[i + 1] = sample.disk(i)
    end
    local p = assert(plan.build(sample.input({ disks = disks }), function(name)
      return name == "cloud_init" and { user_data = "x" } or nil
    end))
    assert.matches("257 disks, with that of cloud-init",
      sample.find(p.findings, "TooManyDevices").message, 1, true)
  end)

  -- Bus and number of disks, beside one NIC -> whether their ports may not suffice.
  for _, case in ipairs({ { "virtio", 23, false }, { "virtio", 24, true },
    { "scsi", 256, false }, { "sata", 256, false } }) do
    local bus, number, warns = table.unpack(case)
    it(("%s of %d disks on bus %s"):format(warns and "warns" or "is silent", number, bus),
      function()
        local disks = {}
        for i = 1, number do
          disks[i] = sample.disk(i - 1)
        end
        local p = assert(plan.build(sample.input({ disks = disks },
          { defaultDiskBusType = bus })))
        local found = sample.find(p.findings, "ManyVirtioDisks")
        assert.equal(warns, found ~= nil)
        assert.is_true(not found or found.action:find("scsi", 1, true) ~= nil)
      end)
  end
end)
