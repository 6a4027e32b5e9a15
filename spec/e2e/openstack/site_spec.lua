-- An OpenStack that nothing is known of but how to log in and what the server is called:
-- OS_AUTH_URL, OS_PROJECT_NAME, OS_USER_DOMAIN_NAME, OS_USERNAME, OS_PASSWORD, OS_VM_NAME,
-- OS_REGION_NAME and OS_CACERT, as `openstack` reads them. Without them the lab stands for it.
-- The server is stopped. Into a cluster too where the variables are set, or VIC_FULL.

local cloud_of = require "support.cloud"
local file = require "host.file"
local lab = require "support.lab"
local program = require "support.program"
local site_of = require "support.site"

describe("an OpenStack that is only known from OS_*:", function()
  local cloud, before

  lazy_setup(function()
    cloud = cloud_of.open()
    before = cloud:ours()
  end)

  local function import(folder, opts)
    assert(file.write(folder.path .. "/vm.yaml", cloud:objects("vm", opts)))
    return lab.run({ "import", "-f", folder.path .. "/vm.yaml", "--output",
      folder.path .. "/out" }, { timeout = 7200 })
  end

  local function refused(opts, word)
    local folder <close> = lab.folder()
    local result = import(folder, opts)
    assert.equal(1, result.status, result.stderr)
    assert(result.stderr:find(word, 1, true), word .. " is not in: " .. result.stderr)
  end

  it("says what is wrong with password, region and name", function()
    refused({ secret = { OS_PASSWORD = "wrong" } }, "password")
    refused({ source = { region = "no-such-region" } }, "no region no-such-region")
    refused({ import = { virtualMachineName = "no such server" } }, "no server")
    assert.same(before, cloud:ours())
  end)

  it("moves the server into a directory", function()
    local folder <close> = lab.folder()
    local result = import(folder, {})
    assert.equal(0, result.status, result.stderr)
    local status = lab.read_object(folder.path .. "/out", "VirtualMachineImport", "vm").status
    for i, disk in ipairs(status.diskImportStatus) do
      assert.equal(status.plan.disks[i].capacity_bytes,
        assert(file.stat(disk.diskLocalPath)).size)
    end
    assert.same({}, status.recorded or {})
    assert.same(before, cloud:ours())
  end)

  if cloud_of.is_site or program.full then
    describe("into a cluster", function()
      local site, running

      lazy_setup(function()
        site = site_of.open()
        running = site:controller()
      end)

      lazy_teardown(function()
        running:stop()
        site:close()
      end)

      it("moves the server, to a running machine", function()
        site:apply(cloud:objects("vm", {}))
        local made = site:wait_import("default", "vm", "virtualMachineRunning", 7200)
        for _, entry in ipairs(made.status.diskImportStatus) do
          assert.equal(1, #site.harvester:pulls("default", entry.VirtualMachineImage))
        end
        assert.same({}, site.harvester:state().rejections)
        assert.same(before, cloud:ours())
      end)
    end)
  end
end)
