local spec = require "policy.spec"

local function codes(findings)
  local list = {}
  for i, item in ipairs(findings) do
    list[i] = item.severity .. " " .. item.code .. " " .. item.subject
  end
  return list
end

describe("policy.spec", function()
  it("reads an empty spec as nothing wanted", function()
    local clean, findings = spec.read({})
    assert.same({ networkMapping = {}, diskMapping = {}, skipPreflightChecks = false },
      clean)
    assert.same({}, findings)
  end)

  it("reads \"\" as unset, also for a whole list", function()
    local clean, findings = spec.read({
      targetName = "",
      storageClass = "",
      networkMapping = "",
      diskMapping = { { disk = "0", storageClass = "", busType = "" } },
    })
    assert.is_nil(clean.targetName)
    assert.is_nil(clean.storageClass)
    assert.same({}, clean.networkMapping)
    assert.same({ disk = "0", path = "spec.diskMapping[0]" }, clean.diskMapping[1])
    assert.same({}, findings)
  end)

  it("reads a number where YAML makes one of a text", function()
    local clean = spec.read({ diskMapping = { { disk = 2000 } }, targetName = 7 })
    assert.equal("2000", clean.diskMapping[1].disk)
    assert.equal("7", clean.targetName)
  end)

  it("names the field that has the wrong type", function()
    local wrong = {
      ["spec:"] = "text",
      ["spec.targetName:"] = { targetName = true },
      ["spec.storageClass:"] = { storageClass = {} },
      ["spec.networkMapping:"] = { networkMapping = { sourceNetwork = "a" } },
      ["spec.networkMapping[1]:"] = { networkMapping = { {}, "b" } },
      ["spec.diskMapping[0].disk:"] = { diskMapping = { { disk = 1.5 } } },
      ["spec.diskMapping:"] = { diskMapping = 3 },
      ["spec.skipPreflightChecks:"] = { skipPreflightChecks = "yes" },
    }
    for field, value in pairs(wrong) do
      local clean, err = spec.read(value)
      assert.is_nil(clean, field)
      assert.equal("invalid", err.kind)
      assert.equal(1, tostring(err):find(field, 1, true), tostring(err))
    end
  end)

  it("blocks on values that are not allowed, names the allowed, plans without", function()
    local clean, findings = spec.read({
      targetPowerState = "running",
      defaultDiskBusType = "ide",
      defaultNetworkInterfaceModel = "vmxnet3",
      storageClass = "Fast",
      networkMapping = {
        { sourceNetwork = "a", networkInterfaceModel = "E1000" },
      },
      diskMapping = { { disk = "0", busType = "nvme", storageClass = "a/b" } },
    })
    assert.same({
      "Blocks TargetPowerStateInvalid spec.targetPowerState",
      "Blocks DiskBusInvalid spec.defaultDiskBusType",
      "Blocks NetworkInterfaceModelInvalid spec.defaultNetworkInterfaceModel",
      "Blocks StorageClassInvalid spec.storageClass",
      "Blocks NetworkInterfaceModelInvalid spec.networkMapping[0].networkInterfaceModel",
      "Blocks DiskBusInvalid spec.diskMapping[0].busType",
      "Blocks StorageClassInvalid spec.diskMapping[0].storageClass",
    }, codes(findings))
    assert.matches("Running, Stopped", findings[1].message, 1, true)
    assert.matches("sata, scsi, usb, virtio", findings[2].message, 1, true)
    assert.matches("e1000, e1000e, ne2k_pci, pcnet, rtl8139, virtio",
      findings[3].message, 1, true)
    assert.is_nil(clean.targetPowerState)
    assert.is_nil(clean.diskMapping[1].busType)
  end)

  it("blocks on destinations that cannot name a network", function()
    for _, destination in ipairs({ "a/b/c", "/vlan1", "default/", "Default/vlan1",
      "default/VLAN 1", "vlan_1", " vlan1", "..", "default/vlan1\n" }) do
      local _, findings = spec.read({
        networkMapping = { { sourceNetwork = "a", destinationNetwork = destination } },
      })
      assert.same({
        "Blocks DestinationNetworkInvalid spec.networkMapping[0].destinationNetwork",
      }, codes(findings), destination)
    end
    for _, destination in ipairs({ "vlan1", "default/vlan1", "team-a/net.10" }) do
      assert.is_true(spec.is_destination(destination))
    end
  end)

  it("blocks on a row that leads from nowhere", function()
    local _, findings = spec.read({
      networkMapping = { { sourceNetwork = "", destinationNetwork = "vlan1" }, {} },
    })
    assert.same({ "Blocks SourceNetworkMissing spec.networkMapping[0].sourceNetwork" },
      codes(findings))
  end)
end)
