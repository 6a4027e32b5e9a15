-- deploy/scripts/directory-source: a provider that is nothing but a script, as its user
-- would have it.

local file = require "host.file"
local lab = require "support.lab"
local web = require "support.web"
local yaml = require "host.yaml"

local HERE = "deploy/scripts/directory-source/"
local SIZE = 3 * 2 ^ 20 // 1 | 0

local MACHINE = [[
cpu: {sockets: 1, cores: 2}
memory_bytes: 2147483648
disks:
- {id: web-0.raw, capacity_bytes: %d, bus: virtio}
]]

describe("deploy/scripts/directory-source", function()
  local folder, server, url

  before_each(function()
    folder = lab.folder()
    local site = web.open()
    server, url = site.server, site.url
    server:on("/machines/web.yaml", { web.answer(MACHINE:format(SIZE)) })
    server:on("/machines/web-0.raw", { web.answer(("disk"):rep(SIZE // 4)) })
    server:on("/machines/odd.yaml", { web.answer("cpu: [") })
    server:on("/machines/none.yaml", { "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n" })
  end)

  after_each(function()
    server:close()
    getmetatable(folder).__close(folder)
  end)

  -- The example as it is, with another address and machine.
  local function run(command, machine, ...)
    local text = assert(file.read(HERE .. "cluster/example.yaml"))
    text = text:gsub("http://files.example/machines", url("/machines"))
      :gsub("virtualMachineName: web", "virtualMachineName: " .. (machine or "web"))
    assert(file.write(folder.path .. "/vm.yaml", text))
    return lab.run({ command, "-f", folder.path .. "/vm.yaml", "--scripts", HERE, ... })
  end

  it("imports a machine, with --allow-code", function()
    local out = folder.path .. "/out"
    local result = run("import", nil, "--allow-code", "--output", out)
    assert.equal(0, result.status, result.stderr)
    local import = lab.read_object(out, "VirtualMachineImport", "web")
    local disk = import.status.diskImportStatus[1]
    assert(file.write(folder.path .. "/original", ("disk"):rep(SIZE // 4)))
    assert.equal(lab.sha512(folder.path .. "/original"), lab.sha512(disk.diskLocalPath))
    assert.matches("^%x+$", import.status.scriptGeneration)
    assert.equal(16, #import.status.scriptGeneration)
    local plan = import.status.plan
    assert.same({ "web", 2048, "virtio" }, { plan.name, plan.memory_mib, plan.disks[1].bus })
  end)

  it("says that it is left out without", function()
    local result = run("import", nil, "--output", folder.path .. "/out")
    assert.equal(1, result.status)
    assert.matches("providers.directory.lua is left out: it is code of the controller",
      result.stderr, 1, true)
    assert.matches("is a DirectorySource; expected are Secret, VmwareSource", result.stderr,
      1, true)
  end)

  it("plans, and says what is wrong with a description", function()
    local result = run("plan", nil, "--allow-code")
    assert.equal(0, result.status, result.stderr)
    assert.equal("web", assert(yaml.parse(result.stdout))[1].name)
    result = run("plan", "odd", "--allow-code")
    assert.equal(1, result.status)
    assert.matches("odd.yaml:", result.stderr .. result.stdout, 1, true)
    result = run("plan", "none", "--allow-code")
    assert.equal(1, result.status)
    assert.matches("/machines/none.yaml: status 404", result.stderr .. result.stdout, 1, true)
  end)

  it("is sound, as `check` looks at it", function()
    local result = lab.run({ "check", HERE, "--allow-code" })
    assert.equal(0, result.status, result.stderr)
    assert.matches("generation %x+: providers.directory.lua", result.stdout)
  end)
end)
