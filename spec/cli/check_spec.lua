local file = require "host.file"
local lab = require "support.lab"

local VLAN = [[
return {
  nic_network = function(input)
    local vlan = (input.nic.network.name or ""):match("^VLAN (%d+)")
    return vlan and "default/vlan" .. vlan
  end,
}
]]

local MACHINE = [[
id: vm-1
name: db
cpu: {sockets: 1, cores: 1}
memory_bytes: 1073741824
power_state: "on"
disks: [{id: "2000", capacity_bytes: 1048576, bus: scsi}]
nics: [{id: "4000", network: {name: VLAN 77}}]
]]

local IMPORTS = [[
apiVersion: migration.harvesterhci.io/v1beta1
kind: VirtualMachineImport
metadata: {name: other, namespace: prod}
spec: {virtualMachineName: other, targetName: wrong}
---
apiVersion: migration.harvesterhci.io/v1beta1
kind: VirtualMachineImport
metadata: {name: db, namespace: prod}
spec: {virtualMachineName: db, targetName: renamed}
]]

describe("check", function()
  local folder

  before_each(function()
    folder = lab.folder()
    assert(file.mkdir(folder.path .. "/site"))
  end)

  after_each(function()
    getmetatable(folder).__close(folder)
  end)

  local function check(files, ...)
    for name, text in pairs(files) do
      assert(file.write(folder.path .. "/" .. name, text))
    end
    return lab.run({ "check", folder.path .. "/site", ... })
  end

  local function has(text, pattern)
    assert.truthy(text:find(pattern), text)
  end

  it("prints each decision as it is built in and as the site takes it", function()
    local result = check({ ["site/10-net.lua"] = VLAN })
    assert.same({ 0, "" }, { result.status, result.stderr })
    has(result.stdout, "\nname +sample%-machine%-01 +=\n")
    has(result.stdout, "\nnic_network of 4001 +management +default/vlan20\n")
    has(result.stdout, "\ngeneration %x+: 10%-net.lua\n")
  end)

  it("takes a machine, and of a file the import that names it", function()
    local result = check({ ["site/a.lua"] = VLAN, machine = MACHINE, ["vm.yaml"] = IMPORTS },
      "--machine", folder.path .. "/machine", "--import", folder.path .. "/vm.yaml")
    assert.same({ 0, "" }, { result.status, result.stderr })
    has(result.stdout, "\nname +renamed +=\n")
    has(result.stdout, "\nnamespace +prod +=\n")
    has(result.stdout, "\nnic_network of 4000 +management +default/vlan77\n")
  end)

  it("does not guess which of several imports is meant", function()
    local result = check({ ["site/a.lua"] = "return {}", ["vm.yaml"] = IMPORTS },
      "--import", folder.path .. "/vm.yaml")
    assert.equal(1, result.status)
    has(result.stderr, "vm.yaml has 2 imports, and none of them is of Sample Machine 01")
  end)

  it("says with a finding what to do", function()
    local result = check({ ["site/a.lua"] = "return {}" })
    has(result.stdout, "\nInforms: machine: the machine is off .* %(set spec%.")
  end)

  it("says all that is wrong with the scripts, a line each, and fails", function()
    local result = check({ ["site/a.lua"] = "return {", ["site/b.lua"] =
      "return {\nnam = function() return strng end }" })
    assert.same({ 1, "" }, { result.status, result.stdout })
    has(result.stderr, "check: a.lua:1: unexpected symbol")
    has(result.stderr, "\n[%w-]+ check: b.lua:2: unknown global 'strng'\n")
    has(result.stderr, "\n[%w-]+ check: b.lua:2: unknown hook \"nam\"")
  end)

  it("fails where a hook fails, or returns what it may not", function()
    local result = check({ ["site/a.lua"] =
      "return { disk_bus = function(input)\nreturn input.nic.id end }" })
    assert.equal(1, result.status)
    has(result.stderr, "hook disk_bus of 2000: a.lua:2: attempt to index a nil value")
    result = check({ ["site/a.lua"] = "return { disk_bus = function() return 'floppy' end }" })
    assert.equal(1, result.status)
    has(result.stderr, "hook disk_bus of 2000: a.lua:1: returns a wrong value: allowed")
  end)

  it("says what it left out, and fails where nothing is left", function()
    local result = check({ ["site/README"] = "x", ["site/policy.name.lua"] = "x" })
    assert.equal(1, result.status)
    has(result.stderr, "policy.name.lua is left out: it is code of the controller")
    has(result.stderr, "holds no script")
  end)

  it("names the field of a machine that is wrong", function()
    local result = check({ ["site/a.lua"] = VLAN, machine = "{id: x}" }, "--machine",
      folder.path .. "/machine")
    assert.equal(1, result.status)
    has(result.stderr, "machine: machine%.[%w_]+: is missing")
  end)

  it("explains itself", function()
    assert.equal(0, lab.run({ "check", "--help" }).status)
    assert.equal(2, lab.run({ "check" }).status)
    assert.equal(2, lab.run({ "check", "a", "b" }).status)
  end)
end)
