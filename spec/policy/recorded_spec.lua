local json = require "host.json"

local plan = require "policy.plan"
local recorded = require "policy.recorded"
local sample = require "support.sample"

local function input_of(disks, nics)
  local changes, spec = { disks = {}, nics = {} }, { networkMapping = {} }
  for i = 0, disks - 1 do
    changes.disks[i + 1] = sample.disk(i, {
      serial = ("6000c29%025x"):format(i), datastore = "datastore-of-some-length-01",
    })
  end
  for i = 0, nics - 1 do
    changes.nics[i + 1] = sample.nic(i, { mac = ("00:50:56:aa:%02x:%02x"):format(i // 256,
      i % 256) })
    spec.networkMapping[i + 1] = {
      sourceNetwork = "net" .. i, destinationNetwork = "default/vlan" .. i,
    }
  end
  return sample.input(changes, spec)
end

-- As it comes back from a status.
local function read_back(p)
  p.findings = nil
  return json.decode(json.encode(recorded.of(p)))
end

local function all_parts()
  return { "annotations", "claims", "disks", "interfaces", "networks", "volumes" }
end

describe("policy.recorded", function()
  it("gives back the machine that was planned, whatever it has", function()
    for what, input in pairs({
      ordinary = input_of(1, 1),
      ["many devices"] = input_of(64, 10),
      ["no NIC"] = input_of(1, 0),
      windows = sample.input({ guest = { family = "windows" },
        firmware = { uefi = true, secure_boot = true, tpm = true } }),
      described = sample.input({ description = "notes of the source",
        uuid = "564d1111-2222-3333-4444-555566667777" }, { targetPowerState = "Stopped" }),
    }) do
      local p = assert(plan.build(input))
      local kept = read_back(p)
      assert.is_nil(kept.virtual_machine)
      assert.same(p.virtual_machine, recorded.virtual_machine(kept), what)
    end
  end)

  it("leaves its plan as it was, and what it gives is the caller's own", function()
    local p = assert(plan.build(input_of(2, 1)))
    local before = json.encode(p)
    local kept = recorded.of(p)
    assert.equal(before, json.encode(p))
    local machine = recorded.virtual_machine(kept)
    machine.metadata.annotations.added = "x"
    machine.spec.template.spec.volumes[1].name = "x"
    assert.same(p.virtual_machine, recorded.virtual_machine(kept))
  end)

  it("keeps no part of the machine twice", function()
    local kept = read_back(assert(plan.build(input_of(3, 2))))
    assert.same(all_parts(), kept.manifest.left_out)
    local text = json.encode(kept.manifest.object)
    for _, disk in ipairs(kept.disks) do
      assert.is_nil(text:find(disk.name, 1, true))
    end
    for _, nic in ipairs(kept.nics) do
      assert.is_nil(text:find(nic.mac, 1, true))
    end
  end)

  -- What a script may do to a machine, and the part that is kept whole then.
  local changes = {
    disks = function(machine)
      machine.spec.template.spec.domain.devices.disks[2].cache = "none"
    end,
    interfaces = function(machine)
      table.remove(machine.spec.template.spec.domain.devices.interfaces)
    end,
    networks = function(machine)
      machine.spec.template.spec.networks = nil
    end,
    volumes = function(machine)
      table.insert(machine.spec.template.spec.volumes,
        { name = "more", emptyDisk = { capacity = "1Gi" } })
    end,
    annotations = function(machine)
      machine.metadata.annotations["migration.harvesterhci.io/original-cpu"] = nil
    end,
    claims = function(machine)
      machine.metadata.annotations["harvesterhci.io/volumeClaimTemplates"] = "[]"
    end,
    none = function(machine)
      machine.metadata.annotations["example.com/more"] = "text"
      machine.spec.template.spec.nodeSelector = { zone = "a" }
    end,
  }
  for part, change in pairs(changes) do
    it("keeps what a script has made of the machine: " .. part, function()
      local input = input_of(3, 2)
      input.site = { code = true }
      local p = assert(plan.build(input, function(name, _, builtin)
        if name == "virtual_machine" then
          change(builtin)
        end
        return builtin
      end))
      local kept = read_back(p)
      for _, name in ipairs(kept.manifest.left_out) do
        assert.not_equal(part, name)
      end
      assert.equal(part == "none" and 6 or 5, #kept.manifest.left_out)
      assert.same(p.virtual_machine, recorded.virtual_machine(kept))
    end)
  end

  it("reads the plan of an earlier version, which has the machine whole", function()
    local p = assert(plan.build(input_of(2, 1)))
    assert.same(p.virtual_machine, recorded.virtual_machine(json.decode(json.encode(p))))
  end)

  it("says so when a newer version has left out more than is known here", function()
    local kept = read_back(assert(plan.build(input_of(1, 1))))
    table.insert(kept.manifest.left_out, "efi")
    local ok, err = pcall(recorded.virtual_machine, kept)
    assert.is_false(ok)
    assert.matches("leaves out efi", tostring(err), 1, true)
  end)

  it("says in which field a plan is none, and makes no machine of it", function()
    for _, case in ipairs {
      { "status.plan.disks: must be of type array", function(kept) kept.disks = "x" end },
      { "status.plan.disks[0].capacity_bytes: must be of type integer",
        function(kept) kept.disks[1].capacity_bytes = "1" end },
      { "status.plan.nics[0].binding: is missing",
        function(kept) kept.nics[1].binding = nil end },
      { "status.plan.name: is missing", function(kept) kept.name = nil end },
      { "status.plan.manifest: is missing", function(kept) kept.manifest = nil end },
      { "status.plan.manifest.object.spec.template: must be of type object",
        function(kept) kept.manifest.object.spec.template = "x" end },
      { "status.plan.annotations: is missing", function(kept) kept.annotations = nil end },
    } do
      local kept = read_back(assert(plan.build(input_of(1, 1))))
      assert.is_nil(recorded.problem(kept))
      case[2](kept)
      assert.matches(case[1], recorded.problem(kept), 1, true)
      local ok, err = pcall(recorded.virtual_machine, kept)
      assert.is_false(ok)
      assert.equal("invalid", err.kind)
    end
  end)

  it("takes some 300 bytes per disk and NIC, and little else", function()
    local function size(disks, nics)
      return #json.encode(read_back(assert(plan.build(input_of(disks, nics)))))
    end
    assert.is_true(size(1, 1) < 3 * 1024, size(1, 1))
    assert.is_true(size(64, 10) < 24 * 1024, size(64, 10))
    assert.is_true(size(256, 256) < 128 * 1024, size(256, 256))
  end)
end)
