-- What can be wrong before and while a machine is imported, and what a user reads then:
-- one line that says what and where.

local file = require "host.file"
local lab = require "support.lab"
local process = require "host.process"
local task = require "host.task"

local NAME = "vm-import-controller import: "
local SMALL = { { pattern = "text", seed = 1, capacity = "4MiB" } }

local SCENARIO = {
  datacenters = {
    { path = "DC0", machines = {
      { name = "web-server-01", folder = "Prod", disks = SMALL },
      { name = "web-server-02", folder = "Prod", disks = SMALL },
      { name = "twin", folder = "Prod", disks = SMALL },
      { name = "twin", folder = "Test", disks = SMALL },
      { name = "running", folder = "Prod", power = "on", tools = "notRunning", disks = SMALL },
      { name = "large", folder = "Prod",
        disks = { { pattern = "random", seed = 2, capacity = "24MiB" } } },
      { name = "iso-gone", folder = "Prod", power = "on", tools = "running", disks = SMALL,
        cdrom = "[datastore1] iso/tools.iso" },
      { name = "iso-here", folder = "Prod", disks = SMALL,
        cdrom = "[datastore1] machine0/machine0.vmx" }, -- any file that is there
    } },
    { path = "Europe/DC1" },
  },
}

local function has(text, part)
  assert.truthy(text:find(part, 1, true), ("%q is not in:\n%s"):format(part, text))
end

-- The one line of an import that failed; findings and progress may stand before it.
local function error_of(result)
  assert.equal(1, result.status, result.stderr)
  local lines = {}
  for line in result.stderr:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  local last = table.remove(lines)
  assert.equal(NAME, last:sub(1, #NAME), result.stderr)
  for _, line in ipairs(lines) do
    assert.falsy(line:find(NAME, 1, true), "two errors:\n" .. result.stderr)
  end
  assert.falsy(result.stderr:find("traceback", 1, true), result.stderr)
  assert.falsy(result.stderr:find("%.lua:%d+:"), result.stderr)
  assert.falsy(result.stderr:find("/nfc/", 1, true), result.stderr)
  local name = last:match("VmwareSource [%w/]+: ")
  assert.falsy(name and last:find(name, last:find(name, 1, true) + 1, true), last)
  return last
end

describe("import, when something is wrong:", function()
  local folder, sim

  lazy_setup(function()
    folder = lab.folder()
    sim = lab.simulator(folder.path, { scenario = SCENARIO })
  end)

  lazy_teardown(function()
    getmetatable(sim).__close(sim)
    getmetatable(folder).__close(folder)
  end)

  before_each(function()
    sim:post("/reset")
  end)

  after_each(function()
    assert.equal(0, sim:get("/state").openLeases)
  end)

  -- Runs an import of `machine` into a folder of its own.
  local function import(machine, opts)
    local own <close> = lab.folder()
    opts = opts or {}
    opts.imports = opts.imports
      or { { name = "vm", machine = machine, folder = opts.folder, spec = opts.spec } }
    local result = lab.import(sim, own.path, opts)
    return result, opts.out and {} or lab.files(own.path .. "/out")
  end

  local function fails(machine, opts)
    return error_of((import(machine, opts)))
  end

  it("a wrong password is refused and not repeated to the screen", function()
    local result = import("web-server-01", { secret = { password = "Pa55-of-mine" } })
    has(error_of(result), "refuses the user name or the password of the Secret")
    assert.falsy((result.stdout .. result.stderr):find("Pa55-of-mine", 1, true))
  end)

  it("an unknown CA is refused, with issuer, fingerprint and the field to set", function()
    local line = fails("web-server-01", { secret = { caCert = false } })
    has(line, "issuer CN=vsim ca")
    has(line, sim.fingerprint:match("%S+$"))
    has(line, "spec.thumbprint")
    has(line, "caCert")
    assert.equal(nil, sim:get("/state").calls.Login)
  end)

  it("another CA than the one of the Secret is refused", function()
    local other = assert(file.read(folder.path .. "/tls/other.pem"))
    has(fails("web-server-01", { secret = { caCert = other } }), "caCert of the Secret")
  end)

  local function fingerprint(algorithm)
    local result = assert(process.run({ argv = { "openssl", "x509", "-noout", "-fingerprint",
      "-" .. algorithm, "-in", folder.path .. "/tls/sdk.pem" } }))
    return result.stdout:match("=([%x:]+)")
  end

  it("the right thumbprint is believed without a CA, SHA-256 and SHA-1", function()
    for _, algorithm in ipairs { "sha256", "sha1" } do
      local print = fingerprint(algorithm)
      for _, spelling in ipairs { print, print:gsub(":", ""):lower() } do
        local result = import("web-server-01", { secret = { caCert = false },
          source = { thumbprint = spelling } })
        assert.equal(0, result.status, result.stderr)
      end
    end
  end)

  it("a wrong thumbprint is refused though the CA is known", function()
    local line = fails("web-server-01", { source = { thumbprint = ("ab"):rep(32) } })
    has(line, "spec.thumbprint")
    has(line, fingerprint("sha256"))
  end)

  it("what is no thumbprint is said to be none", function()
    has(fails("web-server-01", { source = { thumbprint = "abc" } }), "40 or 64 hex digits")
  end)

  it("an unknown datacenter is answered with those that exist", function()
    local line = fails("web-server-01", { dc = "DC9" })
    has(line, "DC9")
    has(line, "DC0")
    has(line, "Europe/DC1")
  end)

  it("a machine that is not there is answered with names like it", function()
    local line = fails("web-server-1")
    has(line, "web-server-1")
    has(line, "web-server-01")
  end)

  it("a name that two machines have is answered with both", function()
    local line = fails("twin")
    has(line, "Prod/twin")
    has(line, "Test/twin")
  end)

  it("a running machine without tools is not touched, and the field is named", function()
    has(fails("running"), "spec.forcePowerOff: true")
    local is_on = { running = true, ["iso-gone"] = true }
    for _, machine in ipairs(sim:get("/state").machines) do
      assert.equal(is_on[machine.name] and "poweredOn" or "poweredOff", machine.power)
    end
  end)

  -- A small file system at `path` while f runs; pending where none can be had.
  local function with_tmpfs(path, options, f)
    assert(file.mkdir(path, { parents = true }))
    local result = assert(process.run({ argv = { "mount", "-t", "tmpfs", "-o", options,
      "tmpfs", path } }))
    if result.status ~= 0 then
      return pending("needs the right to mount: " .. result.stderr)
    end
    local mounted <close> = setmetatable({}, { __close = function()
      task.goodbye(process.run, { argv = { "umount", path } })
    end })
    assert(mounted)
    f()
  end

  it("a machine whose attached ISO is gone is not touched, and the file is named", function()
    local line = fails("iso-gone")
    has(line, "CD/DVD drive 1: the file [datastore1] iso/tools.iso does not exist any more")
    has(line, "detach it in vSphere")
    local calls = sim:get("/state").calls
    assert.is_nil(calls.ShutdownGuest or calls.ExportVm)
    assert.equal(0, import("iso-here").status)
  end)

  it("a full folder ends the import, and keeps nothing half-made", function()
    local out = folder.path .. "/small"
    with_tmpfs(out, "size=8m", function()
      local line = fails("large", { out = out })
      has(line, "No space left on device")
      has(line, out)
      for _, name in ipairs(lab.files(out)) do
        assert.falsy(name:find("%.raw"), name)
      end
    end)
  end)

  it("a full folder that cannot even hold the objects says so", function()
    local out = folder.path .. "/tiny"
    with_tmpfs(out, "size=4k", function()
      local line = fails("large", { out = out })
      has(line, "No space left on device")
    end)
  end)

  it("a folder that cannot be written is named", function()
    local out = folder.path .. "/read-only"
    with_tmpfs(out, "ro,size=1m", function()
      local line = fails("web-server-01", { out = out })
      has(line, out)
      has(line, "Read-only file system")
    end)
  end)

  it("a file in the folder's place is named", function()
    local out = folder.path .. "/a-file"
    assert(file.write(out, "taken"))
    has(fails("web-server-01", { out = out }), out)
    has(fails("web-server-01", { out = out .. "/below" }), out)
  end)

  it("a file in the place of the disks' folder is named", function()
    local out = folder.path .. "/half"
    assert(file.mkdir(out))
    assert(file.write(out .. "/default", "taken"))
    has(fails("web-server-01", { out = out }), out .. "/default")
  end)

  it("a folder that another import writes is left to it", function()
    local out = folder.path .. "/shared"
    assert(file.mkdir(out))
    local lock <close> = assert(file.lock(out))
    assert(lock)
    has(fails("web-server-01", { out = out }), out)
  end)

  it("malformed YAML is answered with file, line and column", function()
    local yaml = "apiVersion: v1\nkind: Secret\nmetadata: {name: a\nstringData: {}\n"
    assert.truthy(fails("x", { yaml = yaml }):find("/vm%.yaml:%d+:%d+: "))
    assert.truthy(fails("x", { yaml = "a: 1\nb: [\n" }):find("/vm%.yaml:%d+:%d+: "))
  end)

  it("a kind that is none of ours is named, and what is expected", function()
    local line = fails("x", { yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n" })
    has(line, "ConfigMap")
    has(line, "VirtualMachineImport")
  end)

  it("a file without an import, without anything, or that is not there is named", function()
    has(fails("x", { imports = {} }), "no VirtualMachineImport")
    has(fails("x", { yaml = "" }), "no VirtualMachineImport")
    local result = lab.run({ "import", "-f", "/nonexistent/vm.yaml", "-o",
      folder.path .. "/nothing" })
    has(error_of(result), "/nonexistent/vm.yaml")
  end)

  it("a Secret or a source that is not in the file is named", function()
    local source = { credentials = { name = "elsewhere", namespace = "default" } }
    has(fails("web-server-01", { source = source }), "Secret default/elsewhere")
    local spec = { sourceCluster = { apiVersion = "migration.harvesterhci.io/v1beta1",
      kind = "VmwareSource", name = "unknown", namespace = "default" } }
    has(fails("web-server-01", { spec = spec }), "VmwareSource default/unknown")
  end)

  it("a kind of source that is none is named, and the field that one lacks", function()
    local function from(kind)
      return { sourceCluster = { apiVersion = "migration.harvesterhci.io/v1beta1",
        kind = kind, name = "cloud", namespace = "default" } }
    end
    has(fails("web-server-01", { spec = from("Source") }), "no kind Source")
    local yaml = lab.objects(sim, { imports = { { name = "vm", machine = "web-server-01",
      spec = from("OvaSource") } } })
    yaml = yaml .. "---\napiVersion: migration.harvesterhci.io/v1beta1\nkind: OvaSource\n"
      .. "metadata: {name: cloud}\nspec: {}\n"
    has(fails(nil, { yaml = yaml }), "spec.url is empty; it is the URL of an OVA")
  end)

  it("a Secret without a password is named by its field", function()
    has(fails("web-server-01", { secret = { password = false } }), "no password")
  end)

  it("an import without a machine's name is named by its field", function()
    has(fails(nil), "spec.virtualMachineName")
  end)

  it("an endpoint that refuses connections is named", function()
    local line = fails("web-server-01", { source = { endpoint = "https://127.0.0.1:1/sdk" } })
    has(line, "https://127.0.0.1:1/sdk")
  end)

  it("an endpoint whose name does not resolve is named", function()
    local line = fails("web-server-01", { source = { endpoint = "https://vc.invalid/sdk" } })
    has(line, "vc.invalid")
  end)

  it("an endpoint that is no vSphere is named", function()
    local endpoint = sim.control:gsub("^http", "http") .. "/sdk"
    has(fails("web-server-01", { source = { endpoint = endpoint } }), endpoint)
  end)

  it("wrong usage exits 2", function()
    for _, args in ipairs {
      { "import" },
      { "import", "-f", "vm.yaml" },
      { "import", "--output", "x" },
      { "import", "-f", "a", "-o", "b", "--no-such-option" },
      { "import", "-f", "a", "-o", "b", "surplus" },
      { "import", "-f" },
      { "import", "-f", "a", "-o", "b", "--sha512=yes" },
      { "import", "-f", "a", "-o", "b", "--serve-url", "HOST:8080" },
      { "import", "-f", "a", "-o", "b", "--serve-url", "ftp://host/" },
      { "import", "-f", "a", "-o", "b", "--serve-url", "http://host:99999" },
      { "import", "-f", "a", "-o", "b", "--serve-url", "http://me:pw@host" },
      { "import", "-f", "a", "-o", "b", "--serve-url", "http://host/?a=b" },
      { "import", "-f", "a", "-o", "b", "--serve-url", "" },
    } do
      local result = lab.run(args)
      assert.equal(2, result.status, table.concat(args, " "))
      assert.truthy(result.stderr:find("^vm%-import%-controller import: [^\n]+\n$"),
        result.stderr)
    end
    assert.equal(0, lab.run({ "import", "--help" }).status)
  end)
end)
