local json = require "host.json"

local machine = require "providers.machine"
local sample = require "support.sample"

local function least()
  return {
    id = "vm-42",
    name = "web 01",
    cpu = { sockets = 1, cores = 2 },
    memory_bytes = 1 << 30,
    power_state = "off",
    disks = { { id = "2000", capacity_bytes = 0, bus = "scsi" } },
    nics = { { id = "4000" } },
  }
end

describe("providers.machine", function()
  it("fills in what a source need not say", function()
    assert.same({
      id = "vm-42",
      name = "web 01",
      description = "",
      path = "",
      cpu = { sockets = 1, cores = 2 },
      memory_bytes = 1 << 30,
      firmware = { uefi = false, secure_boot = false, tpm = false },
      guest = { id = "", family = "other", name = "", tools_running = false },
      power_state = "off",
      disks = {
        { id = "2000", name = "2000", capacity_bytes = 0, bus = "scsi", controller = "" },
      },
      nics = {
        { id = "4000", name = "4000", network = {}, model = "", addresses = {},
          connected = true },
      },
      snapshots = 0,
      concerns = {},
    }, machine.check(least()))
  end)

  it("says the same of what it has checked already", function()
    local once = machine.check(least())
    assert.same(once, machine.check(machine.check(least())))
  end)

  it("keeps false where the default is true", function()
    local m = least()
    m.nics[1].connected = false
    assert.is_false(machine.check(m).nics[1].connected)
  end)

  it("marks its lists, so that an empty one is recorded as a list", function()
    local m = least()
    m.nics = nil
    m = machine.check(m)
    for _, list in ipairs({ m.disks, m.nics, m.concerns }) do
      assert.is_true(json.is_array(list))
    end
    assert.is_true(json.is_array(sample.machine().nics[1].addresses))
  end)

  it("takes every value it documents, and the least of each number", function()
    local m = least()
    m.memory_bytes, m.cpu.cores, m.snapshots = 1, 1, 0
    m.disks[1].boot_order = 1
    for i, severity in ipairs({ "Blocks", "Warns", "Informs" }) do
      m.concerns = m.concerns or {}
      m.concerns[i] = { code = "A", severity = severity, subject = "s", message = "m" }
    end
    for i, bus in ipairs({ "scsi", "sata", "nvme", "ide", "virtio", "usb" }) do
      m.disks[i + 1] = { id = tostring(i), capacity_bytes = 1, bus = bus }
    end
    for _, state in ipairs({ "on", "off", "suspended" }) do
      m.power_state = state
      assert.is_not_nil(machine.check(m))
    end
  end)

  it("says which type it met", function()
    local m = least()
    m.memory_bytes = 1e9
    local _, err = machine.check(m)
    assert.matches("expected integer, not float", err.message, 1, true)
    m.memory_bytes = "1e9"
    _, err = machine.check(m)
    assert.matches("expected integer, not string", err.message, 1, true)
  end)

  it("names the field that is wrong", function()
    local wrong = {
      ["machine.id"] = function(m) m.id = nil end,
      ["machine.name"] = function(m) m.name = 7 end,
      ["machine.cpu.sockets"] = function(m) m.cpu.sockets = 0 end,
      ["machine.cpu.cores"] = function(m) m.cpu.cores = 2.0 end,
      ["machine.cpu.cores: 0"] = function(m) m.cpu.cores = 0 end,
      ["machine.memory_bytes"] = function(m) m.memory_bytes = 1e9 end,
      ["machine.memory_bytes: 0"] = function(m) m.memory_bytes = 0 end,
      ["machine.power_state"] = function(m) m.power_state = "poweredOn" end,
      ["machine.firmware.uefi"] = function(m) m.firmware = { uefi = "efi" } end,
      ["machine.guest.family"] = function(m) m.guest = { family = "bsd" } end,
      ["machine.snapshots"] = function(m) m.snapshots = -1 end,
      ["machine.disks"] = function(m) m.disks = nil end,
      ["machine.disks[1].bus"] = function(m) m.disks[1].bus = "pvscsi" end,
      ["machine.disks[1].boot_order"] = function(m) m.disks[1].boot_order = 0 end,
      ["machine.disks[2].id"] = function(m)
        m.disks[2] = { id = "2000", capacity_bytes = 1, bus = "sata" }
      end,
      ["machine.disks[2]"] = function(m) m.disks[2] = "disk" end,
      ["machine.nics[1].network.name"] = function(m)
        m.nics[1].network = { name = 1 }
      end,
      ["machine.nics[1].addresses[1]"] = function(m) m.nics[1].addresses = { 1 } end,
      ["machine.concerns[1].severity"] = function(m)
        m.concerns = { { code = "A", severity = "Error", subject = "s", message = "m" } }
      end,
      ["machine.concerns[1].message"] = function(m)
        m.concerns = { { code = "A", severity = "Warns", subject = "s" } }
      end,
      ["machine: no such field: moref"] = function(m) m.moref = "vm-42" end,
      ["machine.disks[1]: no such field: size"] = function(m) m.disks[1].size = 1 end,
    }
    for field, change in pairs(wrong) do
      local m = least()
      change(m)
      local checked, err = machine.check(m)
      assert.is_nil(checked, field)
      assert.equal("invalid", err.kind)
      assert.equal(1, err.message:find(field, 1, true), err.message)
    end
  end)

  it("refuses what is no table at all", function()
    for _, value in ipairs({ "vm", 1, true }) do
      assert.is_nil(machine.check(value))
    end
  end)

  it("leaves a foolish capacity or MAC to policy, which reports it", function()
    local m = least()
    m.disks[1].capacity_bytes = -1
    m.nics[1].mac = "nonsense"
    assert.is_not_nil(machine.check(m))
  end)
end)
