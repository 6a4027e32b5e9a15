-- Machines of a real OpenStack imported into a directory by the command.

local file = require "host.file"
local json = require "host.json"
local lab = require "support.lab"
local openstack = require "support.openstack"

local function status_of(folder)
  return lab.read_object(folder.path .. "/out", "VirtualMachineImport", "vm").status
end

local function check_disks(sums, status)
  assert.equal(#sums, #status.diskImportStatus)
  for i, disk in ipairs(status.diskImportStatus) do
    assert.equal(sums[i], lab.sha512(disk.diskLocalPath), "disk " .. i)
  end
  assert.same({}, status.recorded or {})
end

describe("import --output from OpenStack", function()
  local cloud, before

  lazy_setup(function()
    cloud = openstack.cloud()
    before = cloud:inventory()
  end)

  before_each(function()
    cloud:reset()
  end)

  it("moves a server with two volumes and two ports, as they were", function()
    local folder <close> = lab.folder()
    cloud:start("openstack-demo")
    local result = cloud:import(folder.path, { machine = "openstack-demo" })
    assert.equal(0, result.status, result.stderr)
    local status = status_of(folder)
    check_disks(cloud.disks["openstack-demo"], status)
    assert.equal("SHUTOFF", cloud:status("openstack-demo"))
    assert.same(before, cloud:inventory())

    local machine = lab.read_object(folder.path .. "/out", "VirtualMachine",
      "openstack-demo")
    local spec = machine.spec.template.spec
    assert.equal("default/vlan1", spec.networks[1].multus.networkName)
    assert.equal("default/vlan2", spec.networks[2].multus.networkName)
    assert.equal("512Mi", spec.domain.memory.guest)
    assert.equal(false, spec.domain.firmware.bootloader.efi.secureBoot)
    assert.equal("the demo, ö", machine.metadata.annotations["field.cattle.io/description"])
    local ports = cloud:call("GET", "network", "/ports?device_id="
      .. cloud.servers["openstack-demo"]).ports
    for _, port in ipairs(ports) do
      local place = tonumber(port.name:match("(%d)$")) + 1
      assert.equal(port.mac_address, spec.domain.devices.interfaces[place].macAddress)
    end
  end)

  it("moves a root disk that is no volume; keeps the token out of all it writes", function()
    local folder <close> = lab.folder()
    local result = cloud:import(folder.path, { machine = cloud.servers["from-image"] })
    assert.equal(0, result.status, result.stderr)
    check_disks(cloud.disks["from-image"], status_of(folder))
    assert.same(before, cloud:inventory())
    local everything = result.stdout .. result.stderr
    for _, path in ipairs(lab.files(folder.path .. "/out")) do
      if path:find("%.yaml$") then
        everything = everything .. assert(file.read(folder.path .. "/out/" .. path))
      end
    end
    local tokens = cloud:seen().tokens
    assert.truthy(#tokens > 0)
    for _, token in ipairs(tokens) do
      assert.falsy(everything:find(token, 1, true))
    end
    assert.falsy(everything:find(cloud.password .. "\n", 1, true))
  end)

  it("moves a root disk that Nova gives as qcow2, through a file of that format", function()
    local folder <close> = lab.folder()
    local result = cloud:import(folder.path, { machine = "from-qcow2" })
    assert.equal(0, result.status, result.stderr)
    check_disks(cloud.disks["from-qcow2"], status_of(folder))
    assert.same(before, cloud:inventory())
  end)

  it("goes on after a token that is refused, answers of 503 and a broken download",
    function()
      local folder <close> = lab.folder()
      cloud:fault { match = "POST /volume/.*/snapshots", status = 503,
        headers = { ["Retry-After"] = "1" } }
      cloud:fault { match = "GET /image/v2/images/", status = 503, times = 2 }
      cloud:fault { match = "GET /image/.*/file", cut = 300 * 2 ^ 20 | 0 }
      -- As a service answers whose cache has heard of a revocation.
      cloud:fault { match = "GET /volume/.*/snapshots/", status = 401 }
      local result = cloud:import(folder.path, { machine = "lone" })
      assert.equal(0, result.status, result.stderr)
      check_disks(cloud.disks.lone, status_of(folder))
      assert.truthy(#cloud:seen().tokens > 1)
      assert.truthy(#cloud:seen().ranges > 0)
      assert.same(before, cloud:inventory())
    end)
end)

describe("import from OpenStack that cannot be:", function()
  local cloud, before

  lazy_setup(function()
    cloud = openstack.cloud()
    before = cloud:inventory()
  end)

  before_each(function()
    cloud:reset()
  end)

  -- Fails, says all of `words`, leaves nothing.
  local function refused(opts, ...)
    local folder <close> = lab.folder()
    opts.machine = opts.machine or "lone"
    local result = cloud:import(folder.path, opts)
    assert.equal(1, result.status, result.stderr)
    for _, word in ipairs({ ... }) do
      assert(result.stderr:find(word, 1, true), word .. " is not in: " .. result.stderr)
    end
    assert.same(before, cloud:inventory())
  end

  it("a wrong password", function()
    refused({ secret = { password = "wrong" } }, "401", "password")
  end)

  it("a project that the account has no role in", function()
    refused({ secret = { project_name = "elsewhere" } }, "no role in project elsewhere",
      "admin")
  end)

  it("a region that there is not", function()
    refused({ source = { region = "RegionTwo" } }, "no region RegionTwo", "RegionOne")
  end)

  it("a certificate that nothing vouches for", function()
    refused({ secret = { ca_cert = false } }, "ca_cert of the Secret", "spec.thumbprint")
  end)

  it("two servers of one name", function()
    refused({ machine = "twin" }, cloud.twins[1], cloud.twins[2], "ACTIVE", "10.20.0.")
  end)

  it("a name that is only a part of others", function()
    refused({ machine = "openstack-dem" }, "no server openstack-dem",
      cloud.servers["openstack-demo"])
  end)

  it("a service that is down for long", function()
    cloud:fault { match = "GET /volume/", status = 503, times = 0 }
    refused({}, "503", "/volume/")
  end)

  it("no quota for another snapshot, before the server is stopped", function()
    cloud:start("lone")
    cloud:quota { snapshots = 0 }
    local ok, err = pcall(refused, {}, "1 snapshot more", "quota")
    cloud:quota()
    assert(ok, err)
    assert.equal("ACTIVE", cloud:status("lone"))
  end)

  it("no quota for another volume, before the server is stopped", function()
    cloud:quota { volumes = 3 }
    local ok, err = pcall(refused, {}, "1 volume more", "quota")
    cloud:quota()
    assert(ok, err)
  end)

  it("a server that is locked and runs", function()
    cloud:start("lone")
    local path = ("/servers/%s/action"):format(cloud.servers.lone)
    cloud:call("POST", "compute", path, { lock = json.null })
    local ok, err = pcall(refused, {}, "the server is locked")
    cloud:call("POST", "compute", path, { unlock = json.null })
    assert(ok, err)
    assert.equal("ACTIVE", cloud:status("lone"))
  end)

  it("a volume in an error state, before the server is stopped", function()
    cloud:start("lone")
    local path = ("/volumes/%s/action"):format(cloud.volumes["lone-boot"])
    cloud:call("POST", "volume", path, { ["os-reset_status"] = { status = "error" } })
    local ok, err = pcall(refused, {}, "the volume is error")
    cloud:call("POST", "volume", path, { ["os-reset_status"] = { status = "in-use" } })
    assert(ok, err)
    assert.equal("ACTIVE", cloud:status("lone"))
  end)
end)
