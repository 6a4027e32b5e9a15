local conditions = require "kube.conditions"
local create = require "flows.import.steps.create"
local disk_status = require "flows.import.disk_status"
local fake_source = require("support.source").new
local json = require "host.json"
local merge_patch = require "kube.merge_patch"
local preflight = require "flows.import.steps.preflight"
local sample = require "support.sample"
local errors = require "host.error"
local steps = require "support.steps"

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
  it("knows a machine that the import itself has shut down before", function()
    local w = world(sample.machine({ power_state = "off" }), { targetPowerState = "AsSource" })
    assert.equal("Stopped", planned(w).power_state)
    w.import.status = { importConditions = json.array({ steps.is("VMPoweredOff", "True"),
      steps.is("VMShutdownGuest", "True") }) }
    assert.equal("Running", planned(w).power_state)
  end)

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

describe("flows.import.steps.preflight, alone,", function()
  local function of(spec, opts)
    opts = opts or {}
    opts.spec = spec
    return steps.world(opts)
  end

  local function findings(w)
    local list = {}
    for i, finding in ipairs(w:status().findings) do
      list[i] = ("%s %s %s: %s (%s)"):format(finding.code, finding.severity, finding.subject,
        finding.message, finding.action)
    end
    return list
  end

  -- What blocks it, before the source is asked.
  local function invalid(spec)
    local w = of(spec)
    local outcome = preflight.run(w.import, w.ctx)
    assert.equal("PreflightFailed", outcome.invalid)
    assert.same({}, w.asked)
    assert.is_nil(w:status().plan or w:status().machine)
    return table.concat(findings(w), "\n"), outcome.message
  end

  it("records machine, plan and what it was planned from", function()
    local w = of()
    assert.is_nil(preflight.run(w.import, w.ctx))
    local status = w:status()
    assert.equal("vm-1", status.machine.id)
    assert.is_nil(status.machine.concerns)
    assert.is_nil(status.plan.findings)
    assert.equal("web 01", status.plannedFrom.virtualMachineName)
    assert.equal(1, status.observedGeneration)
    assert.is_nil(status.scriptGeneration)
    assert.same({ "open_source VmwareSource default/vc" }, w.asked)
  end)

  local SOURCE = { kind = "VmwareSource", name = "vc", namespace = "default" }

  local function source(more)
    local result = {}
    for key, value in pairs(SOURCE) do
      result[key] = value
    end
    for key, value in pairs(more) do
      result[key] = value
    end
    return result
  end

  for expected, spec in pairs {
    ["SpecInvalid Blocks spec.virtualMachineName: spec.virtualMachineName is not set (name the "
      .. "machine as the source does)"] = { virtualMachineName = "" },
    ["SpecInvalid Blocks spec.giveUpAfter: spec.giveUpAfter is soon (write a duration such as "
      .. "90m or 24h)"] = { giveUpAfter = "soon" },
    ["SpecInvalid Blocks spec.sourceCluster.kind: spec.sourceCluster.kind is not set (name the "
      .. "source object)"] = { sourceCluster = source({ kind = "" }) },
    ["SpecInvalid Blocks spec.sourceCluster.name: spec.sourceCluster.name is not set (name the "
      .. "source object)"] = { sourceCluster = source({ name = "" }) },
    ["SpecInvalid Blocks spec.sourceCluster.apiVersion: spec.sourceCluster.apiVersion is v2 "
      .. "(write migration.harvesterhci.io/v1beta1)"] = {
      sourceCluster = source({ apiVersion = "v2" }) },
  } do
    it("refuses a spec that cannot be: " .. expected:match("(spec%.[%w.]+):"), function()
      assert.equal(expected, (invalid(spec)))
    end)
  end

  it("refuses to restore power, which nobody can", function()
    local text, message = invalid({ onFailure = "RestorePower" })
    assert.truthy(text:find("^OnFailureUnsupported Blocks spec.onFailure: "))
    assert.truthy(text:find("(use Leave)", 1, true))
    assert.truthy(message:find("RestorePower", 1, true))
  end)

  it("takes a spec that can be", function()
    local w = of({ giveUpAfter = "90m", onFailure = "Leave", sourceCluster = source({
      apiVersion = "migration.harvesterhci.io/v1beta1" }) })
    assert.is_nil(preflight.run(w.import, w.ctx))
    w = of({ giveUpAfter = "", sourceCluster = source({ apiVersion = "" }) })
    assert.is_nil(preflight.run(w.import, w.ctx))
  end)

  for kind, code in pairs { notfound = "VirtualMachineNotFound",
    invalid = "VirtualMachineAmbiguous" } do
    it("says that the machine is not there, or there twice: " .. kind, function()
      local w = of({}, { find_error = errors.new(kind, "web 01 it is not") })
      assert.equal("PreflightFailed", preflight.run(w.import, w.ctx).invalid)
      assert.same({ code .. " Blocks spec.virtualMachineName: web 01 it is not (correct "
        .. "virtualMachineName or folder)" }, findings(w))
    end)
  end

  it("throws what is no answer", function()
    local w = of({}, { find_error = errors.new("timeout", "too slow") })
    assert.equal("too slow", w:fails(preflight.run).message)
    w = of()
    w.env.hook = function() return nil, errors.new("busy", "too busy") end
    assert.equal("too busy", w:fails(preflight.run).message)
  end)

  it("says which script is wrong", function()
    local w = of()
    w.env.hook = function()
      return nil, errors.new("invalid", "a.lua:3: boom", { script = "a.lua" })
    end
    preflight.run(w.import, w.ctx)
    assert.same({ "SiteScriptFailed Blocks script a.lua: a.lua:3: boom (correct the script; "
      .. "`vm-import-controller check` shows what it does)" }, findings(w))
  end)

  it("asks for networks where some are mapped alone", function()
    local asked = 0
    local function plan_with(mapping)
      local w = of({ networkMapping = mapping })
      local networks = w.source.networks
      function w.source:networks()
        asked = asked + 1
        return networks(self)
      end
      preflight.run(w.import, w.ctx)
    end
    plan_with(json.array({}))
    assert.equal(0, asked)
    plan_with(json.array({ { sourceNetwork = "VM Network", destinationNetwork = "default/v" } }))
    assert.equal(1, asked)
  end)

  it("collects what source and target find", function()
    local w = of({}, { findings = { { code = "A", severity = "Warns", subject = "machine",
      message = "a", action = "do" } } })
    w.target.findings = { { code = "B", severity = "Warns", subject = "machine", message = "b",
      action = "do" } }
    assert.is_nil(preflight.run(w.import, w.ctx))
    local text = table.concat(findings(w), "\n")
    assert.truthy(text:find("A Warns", 1, true))
    assert.truthy(text:find("B Warns", 1, true))
  end)

  describe("of the name", function()
    local function reserving(...)
      local answers, w = { ... }, of({ dryRun = false })
      w.takes = {}
      w.env.reserve_name = function(import, plan, take)
        assert.equal("web", import.metadata.name)
        assert.truthy(plan.name)
        w.takes[#w.takes + 1] = take
        return answers[#w.takes] ~= false, "default/other"
      end
      return w
    end

    it("takes it, once all is found good", function()
      local w = reserving()
      assert.is_nil(preflight.run(w.import, w.ctx))
      assert.same({ false, true }, w.takes)
    end)

    it("is blocked while another import has it, before or just now", function()
      for _, w in ipairs { reserving(false), reserving(true, false) } do
        local outcome = preflight.run(w.import, w.ctx)
        assert.equal("PreflightFailed", outcome.invalid)
        assert.truthy(findings(w)[1]:find("^VirtualMachineNameTaken Blocks web%-01: "
          .. "VirtualMachineImport default/other is under way, and will make VirtualMachine "
          .. "default/web%-01 %(set spec.targetName, or wait until it has ended%)"), findings(w)[1])
      end
    end)

    it("takes none in a dry run", function()
      local w = reserving()
      w.import.spec.dryRun = true
      preflight.run(w.import, w.ctx)
      assert.same({ false, false }, w.takes)
    end)
  end)

  describe("of its source", function()
    it("is invalid while that does not exist", function()
      local w = of()
      w.open_error = errors.new("notfound", "no source vc", { reason = "SourceNotFound" })
      assert.same({ invalid = "SourceNotFound", message = "no source vc" },
        preflight.run(w.import, w.ctx))
    end)

    it("waits while that cannot be used", function()
      local w = of()
      w.open_error = errors.new("denied", "wrong password")
      assert.same({ wait = "SourceNotReady", after = 30, trouble = true,
        message = "wrong password" }, preflight.run(w.import, w.ctx))
    end)

    it("throws an outage", function()
      local w = of()
      w.open_error = errors.new("timeout", "too slow")
      assert.equal("SourceUnreachable", w:fails(preflight.run).outage)
    end)
  end)

  describe("of the permit to plan", function()
    -- Each is a permit (true), or an err.
    local function permitted(...)
      local list, w = { ... }, of()
      w.patience, w.given_back = {}, 0
      w.env.plan_permit = function(_, seconds)
        w.patience[#w.patience + 1] = seconds or "for ever"
        local answer = list[#w.patience]
        if answer ~= true then
          return nil, answer
        end
        return setmetatable({}, { __close = function()
          w.given_back = w.given_back + 1
        end })
      end
      return w
    end

    it("gives it back", function()
      local w = permitted(true)
      assert.is_nil(preflight.run(w.import, w.ctx))
      assert.same({ 5 }, w.patience)
      assert.equal(1, w.given_back)
    end)

    it("says that it stands in line", function()
      local w = permitted(errors.new("timeout", "in line"), true)
      assert.is_nil(preflight.run(w.import, w.ctx))
      assert.same({ 5, "for ever" }, w.patience)
      assert.equal("WaitingForPlan", w:condition("Reconciling").reason)
    end)

    it("throws why it got none", function()
      local w = permitted(errors.new("cancelled", "at an end"))
      assert.equal("at an end", w:fails(preflight.run).message)
    end)
  end)

  it("gives files in a directory the names of the new plan", function()
    local w = of({ targetName = "other" }, { status = { diskImportStatus = steps.entries() } })
    w.target.can = { images = false, run = false }
    assert.is_nil(preflight.run(w.import, w.ctx))
    local names = {}
    for i, disk in ipairs(w:status().plan.disks) do
      names[i] = disk.name
    end
    assert.same({ "rename web-0 " .. names[1], "rename web-1 " .. names[2] },
      w:asked_for("^rename"))
    assert.equal(names[1], w:status().diskImportStatus[1].diskName)
    assert.equal(names[2], w:status().diskImportStatus[2].diskName)
    w.asked = {}
    assert.is_nil(preflight.run(w.import, w.ctx))
    assert.same({}, w:asked_for("^rename"))
    assert.equal(names[1], w:status().diskImportStatus[1].diskName)
  end)

  it("renames nothing in a cluster, or of what is blocked", function()
    local w = of({ targetName = "other" })
    preflight.run(w.import, w.ctx)
    assert.same({}, w:asked_for("^rename"))
    w = of({ targetName = "other" }, { findings = { { code = "A", severity = "Blocks",
      subject = "machine", message = "a", action = "do" } } })
    w.target.can = { images = false, run = false }
    preflight.run(w.import, w.ctx)
    assert.same({}, w:asked_for("^rename"))
  end)
end)
