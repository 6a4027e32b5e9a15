local concerns = require "providers.openstack.concerns"

-- "CODE of SUBJECT: ACTION" of each that find(list) adds.
local function said(find)
  local list = {}
  find(list)
  for i, one in ipairs(list) do
    list[i] = ("%s of %s: %s"):format(one.code, one.subject, one.action)
  end
  return list
end

local function codes(find)
  local list = said(find)
  for i, one in ipairs(list) do
    list[i] = one:match("^%w+")
  end
  return list
end

describe("providers.openstack.concerns: a volume", function()
  local function of(volume)
    volume.id = "v"
    return codes(function(list)
      concerns.volume(list, volume)
    end)
  end

  it("is shared where it may be, and several servers have it", function()
    assert.same({ "DiskShared" }, of { multiattach = true, attachments = { {}, {} } })
    assert.same({}, of { multiattach = true, attachments = { {} } })
    assert.same({}, of { multiattach = true })
    assert.same({}, of { attachments = { {}, {} } })
  end)

  it("blocks where Cinder encrypts it", function()
    assert.same({ "DiskEncrypted" }, of { encrypted = true })
  end)
end)

describe("providers.openstack.concerns: the order of disks", function()
  it("is guessed where nobody says a device, and says what to look at", function()
    local disks = { { id = "a", name = "a" }, { id = "b", name = "b" } }
    local function order(list)
      concerns.order(list, disks)
    end
    assert.same({ "DiskOrderGuessed of disk a: look whether it is the one that boots",
      "DiskOrderGuessed of disk b: look whether the guest mounts its disks by UUID or label" },
      said(order))
    disks[1].rank = "a"
    assert.equal(1, #said(order))
    disks[2].rank = "b"
    assert.same({}, said(order))
  end)

  it("of one disk is no question", function()
    assert.same({}, said(function(list)
      concerns.order(list, { { id = "a", name = "a" } })
    end))
  end)
end)

describe("providers.openstack.concerns: a server", function()
  local function of(flavor, server)
    return codes(function(list)
      concerns.machine(list, { flavor = flavor, server = server or {}, image = {}, ports = {} })
    end)
  end

  it("has disks of its flavor that nobody can read", function()
    assert.same({}, of {})
    assert.same({}, of { ephemeral = 0, swap = 0 })
    assert.same({ "EphemeralDiskNotExported" }, of { ephemeral = 1 })
    assert.same({ "EphemeralDiskNotExported" }, of { ["OS-FLV-EXT-DATA:ephemeral"] = 1 })
    assert.same({ "SwapDiskNotExported" }, of { swap = 1 })
    assert.same({ "SwapDiskNotExported" }, of { swap = "1" }) -- of older ones, else ""
    assert.same({}, of { swap = "" })
  end)

  it("has a config drive, by either word for it", function()
    assert.same({ "ConfigDrive" }, of({}, { config_drive = "True" }))
    assert.same({ "ConfigDrive" }, of({}, { config_drive = true }))
    assert.same({}, of({}, { config_drive = "" }))
    assert.same({}, of({}, { config_drive = false }))
  end)
end)
