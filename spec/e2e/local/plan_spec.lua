-- What an import would do, asked of a live source; and the same tried again without one.

local file = require "host.file"
local lab = require "support.lab"
local yaml = require "host.yaml"

local SCENARIO = {
  datacenters = { { path = "DC0", machines = {
    { name = "web 01", folder = "Prod", power = "on", tools = "notRunning",
      disks = { { pattern = "text", seed = 1, capacity = "4MiB" } },
      nics = { { network = "VM Network", mac = "00:50:56:00:00:01" } } },
  } } },
}

local SITE = [[
return {
  name = function(input, builtin) return "site-" .. builtin end,
  nic_network = function() return "default/vlan9" end,
}
]]

describe("plan", function()
  local folder, sim

  setup(function()
    folder = lab.folder()
    sim = lab.simulator(folder.path, { scenario = SCENARIO })
    assert(file.mkdir(folder.path .. "/site"))
    assert(file.write(folder.path .. "/site/a.lua", SITE))
  end)

  teardown(function()
    getmetatable(sim).__close(sim)
    getmetatable(folder).__close(folder)
  end)

  local function plan(machine, ...)
    assert(file.write(folder.path .. "/vm.yaml", lab.objects(sim, { imports = { {
      name = "web", machine = machine, spec = { forcePowerOff = true } } } })))
    return lab.run({ "plan", "-f", folder.path .. "/vm.yaml", ... })
  end

  it("prints findings and plan, and writes the machine that check takes", function()
    local machine = folder.path .. "/machine.yaml"
    local result = plan("web 01", "--machine", machine)
    assert.equal(0, result.status, result.stderr)
    assert.truthy(result.stdout:find("\n# Informs: machine: \"web 01\" cannot name", 1, true),
      result.stdout)
    local made = assert(yaml.parse(result.stdout, { what = "plan" }))[1]
    assert.equal("web-01", made.name)
    assert.equal("VirtualMachine", made.virtual_machine.kind)

    result = lab.run({ "check", folder.path .. "/site", "--machine", machine, "--import",
      folder.path .. "/vm.yaml" })
    assert.equal(0, result.status, result.stderr)
    assert.truthy(result.stdout:find("\nname +web%-01 +site%-web%-01\n"), result.stdout)
  end)

  it("plans with the site's scripts", function()
    local result = plan("web 01", "--scripts", folder.path .. "/site")
    assert.equal(0, result.status, result.stderr)
    local made = assert(yaml.parse(result.stdout, { what = "plan" }))[1]
    assert.equal("site-web-01", made.name)
    assert.equal("default/vlan9", made.nics[1].network)
  end)

  it("says what blocks the import, and fails", function()
    local result = plan("web 02")
    assert.equal(1, result.status, result.stderr)
    assert.truthy(result.stdout:find("\n# Blocks: spec.virtualMachineName:", 1, true),
      result.stdout)
  end)

  it("imports as it has planned, and records which scripts decided", function()
    local result = lab.run({ "import", "-f", folder.path .. "/vm.yaml", "--output",
      folder.path .. "/out", "--scripts", folder.path .. "/site" })
    assert.equal(1, result.status) -- web 02 is not there
    plan("web 01")
    result = lab.run({ "import", "-f", folder.path .. "/vm.yaml", "--output",
      folder.path .. "/out", "--scripts", folder.path .. "/site" })
    assert.equal(0, result.status, result.stderr)
    local import = lab.read_object(folder.path .. "/out", "VirtualMachineImport", "web")
    assert.truthy(import.status.scriptGeneration:find("^%x+$"))
    assert.equal("site-web-01", import.status.plan.name)
  end)
end)
