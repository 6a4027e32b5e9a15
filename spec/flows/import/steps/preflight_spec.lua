local conditions = require "kube.conditions"
local create = require "flows.import.steps.create"
local disk_status = require "flows.import.disk_status"
local fake_source = require("support.source").new
local json = require "host.json"
local merge_patch = require "kube.merge_patch"
local preflight = require "flows.import.steps.preflight"
local sample = require "support.sample"

local function disks(n)
  local list = json.array({})
  for i = 1, n do
    list[i] = sample.disk(i - 1, { serial = ("6000c29%025x"):format(i), datastore =
      "datastore-01", controller = ("ParaVirtualSCSIController%d:%d"):format(i // 64, i) })
  end
  return list
end

local function nics(n)
  local list = json.array({})
  for i = 1, n do
    list[i] = sample.nic(i - 1)
  end
  return list
end

-- An import, and what a step of it needs: what it records is in import.status, as it
-- would come back from an API server.
local function world(machine, spec)
  local import = {
    metadata = { name = "web", namespace = "default", uid = sample.UID, generation = 1 },
    spec = { virtualMachineName = "web-01",
      sourceCluster = { kind = "VmwareSource", name = "vc" } },
    status = {},
  }
  for key, value in pairs(spec or {}) do
    import.spec[key] = value
  end
  local w = { import = import, made = {}, ctx = { options = {}, now = os.time } }
  function w.ctx.open_source()
    return fake_source({ machine = machine })
  end
  function w.ctx.hook(name, ...)
    return w.hook and w.hook(name, ...)
  end
  function w.ctx.record(fields)
    fields = type(fields) == "function" and fields(import.status) or fields
    import.status = json.decode(json.encode(merge_patch.apply(import.status, fields)))
  end
  w.ctx.target = { can = { images = false, run = false } }
  function w.ctx.target.check() return {} end
  function w.ctx.target.image_url() return nil end
  function w.ctx.target.put_machine(_, manifests)
    w.made = manifests[#manifests]
  end
  return w
end

local function planned(w)
  return assert(not preflight.run(w.import, w.ctx)) and w.import.status.plan
end

describe("preflight", function()
  for _, n in ipairs({ 64, 256 }) do
    it(("plans a machine of %d disks and 10 NICs"):format(n), function()
      local w = world({ disks = disks(n), nics = nics(10) },
        { networkMapping = { { sourceNetwork = "net0", destinationNetwork = "a" } },
          skipPreflightChecks = true })
      assert.equal(n, #planned(w).disks)
      create.run(w.import, w.ctx)
      assert.equal(n, #w.made.spec.template.spec.volumes)
    end)
  end

  it("leaves room in an object of 1.5 MiB for what comes of 256 disks", function()
    local w = world({ disks = disks(256) })
    planned(w)
    disk_status.change(w.import, w.ctx, function(entry, disk)
      entry.diskLocalPath = "/var/lib/vm-import/default/" .. disk.name .. ".vmdk"
      entry.VirtualMachineImage = disk.name .. "-img"
      entry.diskRoute = ("/%s/%s.raw"):format(("0"):rep(32), disk.name)
      for _, type in ipairs { "VirtualMachineDisksExported",
        "VirtualMachineImageSubmitted", "VirtualMachineImageReady" } do
        disk_status.set(entry, w.ctx, type, "True", "Reason", ("m"):rep(100))
      end
    end)
    local recorded = {}
    for i, disk in ipairs(w.import.status.plan.disks) do
      recorded[i] = { { kind = "ScratchFile", name = disk.name, diskID = disk.id },
        { kind = "VirtualMachineImage", name = disk.name .. "-img", diskID = disk.id },
        { kind = "PersistentVolumeClaim", name = disk.name, diskID = disk.id } }
    end
    w.ctx.record({ recorded = recorded })
    local size = #json.encode(w.import)
    assert.is_true(size < 2 ^ 19, size)
  end)

  it("refuses what would not fit into an object, and says what to do", function()
    local w = world()
    function w.hook(name, _, builtin)
      if name == "annotations" then
        builtin["example.com/much"] = ("x"):rep(384 * 1024)
        return builtin
      end
    end
    local outcome = preflight.run(w.import, w.ctx)
    assert.equal("PreflightFailed", outcome.invalid)
    assert.matches("the plan takes 38%d KiB, of 384 that it may", outcome.message)
    assert.matches("site's script", outcome.message, 1, true)
    assert.is_nil(w.import.status.plan)
  end)

  it("leaves nothing of an earlier plan in a new one", function()
    local w = world({ guest = { family = "windows" }, description = "notes" })
    function w.hook(name)
      return name == "cloud_init" and { user_data = "x" } or nil
    end
    planned(w)
    local fresh = world()
    w.hook, w.ctx.open_source = nil, fresh.ctx.open_source
    assert.same(planned(fresh), planned(w))
    assert.same(fresh.import.status.machine, w.import.status.machine)
  end)

  it("lets later scripts change nothing of the machine", function()
    local w = world()
    function w.hook(name, _, builtin)
      if name == "virtual_machine" then
        builtin.spec.template.spec.domain.devices.disks[1].cache = "none"
        return builtin
      end
    end
    planned(w)
    function w.hook()
      error("asked again")
    end
    create.run(w.import, w.ctx)
    assert.equal("none", w.made.spec.template.spec.domain.devices.disks[1].cache)
    assert.equal(2, #w.made.spec.template.spec.volumes)
  end)

  it("is not needed again for a plan that an earlier version made", function()
    local w = world()
    planned(w)
    create.run(w.import, w.ctx)
    local plan = w.import.status.plan
    plan.virtual_machine, plan.manifest = w.made, nil
    w.made = nil
    create.run(w.import, w.ctx)
    assert.same(plan.virtual_machine, w.made)
    assert.is_nil(conditions.find(w.import.status.conditions, "Stalled"))
  end)
end)
