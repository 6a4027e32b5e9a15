local json = require "host.json"

local plan = require "policy.plan"
local sample = require "support.sample"

local function built(changes, spec, hook)
  return assert(plan.build(sample.input(changes, spec), hook)).virtual_machine
end

describe("policy.virtual_machine", function()
  it("is this manifest for an ordinary machine", function()
    local manifest = built()
    assert.equal("kubevirt.io/v1", manifest.apiVersion)
    assert.equal("VirtualMachine", manifest.kind)
    assert.equal("web-01", manifest.metadata.name)
    assert.equal("default", manifest.metadata.namespace)
    assert.same({
      runStrategy = "RerunOnFailure",
      template = {
        metadata = {
          annotations = { ["harvesterhci.io/sshNames"] = "[]" },
          labels = { ["harvesterhci.io/vmName"] = "web-01" },
        },
        spec = {
          domain = {
            cpu = { sockets = 2, cores = 4, threads = 1, maxSockets = 2 },
            devices = {
              disks = { { name = "disk-0", bootOrder = 1, disk = { bus = "sata" } } },
              inputs = { { bus = "usb", name = "tablet", type = "tablet" } },
              interfaces = {
                {
                  name = "migrated-0",
                  bridge = {},
                  macAddress = "00:50:56:aa:bb:00",
                  model = "virtio",
                },
              },
            },
            features = { acpi = { enabled = true } },
            machine = { type = "q35" },
            memory = { guest = "4096Mi" },
            resources = { limits = { cpu = "8", memory = "4096Mi" },
              requests = { cpu = "800m", memory = "4096Mi" } },
          },
          evictionStrategy = "LiveMigrateIfPossible",
          networks = {
            { name = "migrated-0", multus = { networkName = "default/vlan1" } },
          },
          terminationGracePeriodSeconds = 120,
          volumes = {
            {
              name = "disk-0",
              persistentVolumeClaim = { claimName = "web-01-1a2b3c4d-disk-0" },
            },
          },
        },
      },
    }, manifest.spec)
  end)

  it("connects the management network by masquerade", function()
    local spec = built(nil, { networkMapping = {} }).spec.template.spec
    assert.same({ { name = "pod-network", pod = {} } }, spec.networks)
    assert.same({}, spec.domain.devices.interfaces[1].masquerade)
    assert.is_nil(spec.domain.devices.interfaces[1].bridge)
  end)

  it("marks every list, so that an empty one stays a list", function()
    local manifest = built({ disks = {}, nics = {} }, { networkMapping = {} })
    local spec = manifest.spec.template.spec
    for _, list in ipairs({ spec.networks, spec.volumes, spec.domain.devices.disks,
      spec.domain.devices.interfaces, spec.domain.devices.inputs }) do
      assert.is_true(json.is_array(list))
    end
    local p = assert(plan.build(sample.input({ nics = {} }, { networkMapping = {} })))
    for _, list in ipairs({ p.disks, p.nics, p.findings }) do
      assert.is_true(json.is_array(list))
    end
    assert.equal("[]",
      manifest.metadata.annotations["harvesterhci.io/volumeClaimTemplates"])
  end)

  it("writes whole numbers only", function()
    local function walk(value, path)
      for key, item in pairs(value) do
        if type(item) == "table" then
          walk(item, path .. "." .. key)
        elseif type(item) == "number" then
          assert.equal("integer", math.type(item), path .. "." .. key)
        end
      end
    end
    walk(built({ memory_bytes = 1048577, guest = { family = "windows" } }), "")
  end)

  it("lists its claims for Harvester, with the image's place left to the target",
    function()
      local manifest = built({ disks = { sample.disk(0), sample.disk(1) } },
        { storageClass = "fast" })
      local text = manifest.metadata.annotations["harvesterhci.io/volumeClaimTemplates"]
      local templates = json.decode(text)
      assert.equal(2, #templates)
      assert.equal("web-01-1a2b3c4d-disk-1", templates[2].metadata.name)
      assert.equal("fast", templates[2].spec.storageClassName)
      assert.equal("10Gi", templates[2].spec.resources.requests.storage)
      assert.equal("Block", templates[2].spec.volumeMode)
    end)

  it("gives the guest cloud-init data where a hook has some", function()
    local spec = built(nil, nil, function(name, _, builtin)
      if name == "cloud_init" then
        return { user_data = "#cloud-config\n", network_data = "" }
      end
      return builtin
    end).spec.template.spec
    assert.same({
      name = "cloudinitdisk",
      cloudInitNoCloud = { userData = "#cloud-config\n" },
    }, spec.volumes[2])
    assert.equal("cloudinitdisk", spec.domain.devices.disks[2].name)
  end)

  it("takes the target's grace period", function()
    local input = sample.input()
    input.defaults = { termination_grace_seconds = 30 }
    local manifest = assert(plan.build(input)).virtual_machine
    assert.equal(30, manifest.spec.template.spec.terminationGracePeriodSeconds)
  end)

  it("may be changed by a hook, but not into another machine", function()
    local function hooked(change)
      return plan.build(sample.input(), function(name, _, builtin)
        if name == "virtual_machine" then
          change(builtin)
        end
        return builtin
      end)
    end
    local p = assert(hooked(function(manifest)
      manifest.spec.template.spec.nodeSelector = { zone = "a" }
    end))
    assert.equal("a", p.virtual_machine.spec.template.spec.nodeSelector.zone)
    for _, change in ipairs({
      function(manifest) manifest.metadata.name = "x" end,
      function(manifest) manifest.metadata.namespace = "x" end,
      function(manifest) manifest.kind = "Pod" end,
      function(manifest) manifest.spec = nil end,
      function(manifest) manifest.spec.template.spec.volumes = {} end,
      function(manifest)
        manifest.spec.template.metadata.annotations["hooks.kubevirt.io/hookSidecars"] = "[]"
      end,
    }) do
      local _, err = hooked(change)
      assert.equal("invalid", err.kind)
    end
  end)

  it("may be anything where scripts are code of the controller", function()
    local input = sample.input()
    input.site = { code = true }
    local p = assert(plan.build(input, function(name, _, builtin)
      if name == "virtual_machine" then
        builtin.spec.template.spec.priorityClassName = "high"
      elseif name == "annotations" then
        builtin["hooks.kubevirt.io/hookSidecars"] = "[]"
      end
      return builtin
    end))
    assert.equal("high", p.virtual_machine.spec.template.spec.priorityClassName)
    assert.equal("[]", p.annotations["hooks.kubevirt.io/hookSidecars"])
  end)
end)
