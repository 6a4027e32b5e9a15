-- OVAs on a web server become running machines in a cluster, by way of scratch and passed on
-- while they are read.

local json = require "host.json"
local kinds = require "base.kinds"
local lab = require "support.lab"
local ova = require "support.ova"
local shelf_of = require "support.shelf"
local site_of = require "support.site"

local WITHIN = 120 -- seconds

describe("an OvaSource in a cluster", function()
  local folder, shelf, site, running, namespace, wanted

  lazy_setup(function()
    folder = lab.folder()
    shelf = shelf_of.open(folder.path)
    local first = ova.image(folder.path, "web-disk1.vmdk", "vmdk", ova.STREAM)
    local second = ova.image(folder.path, "web-disk2.vmdk", "vmdk", ova.STREAM)
    local third = ova.image(folder.path, "odd.qcow2", "qcow2")
    wanted = { web = { first, second }, odd = { third } }
    shelf:put("web.ova", ova.pack(ova.files("web", wanted.web)))
    shelf:put_all(ova.files("odd", wanted.odd), "odd")
    site = site_of.open()
    local listen = site.free_address()
    running = site:controller({ listen = listen, env = { SVC_ADDRESS = listen } })
    namespace = site:namespace()
  end)

  lazy_teardown(function()
    running:stop()
    site:close()
    getmetatable(shelf).__close(shelf)
    getmetatable(folder).__close(folder)
  end)

  local function source(name, url)
    site:secret(namespace, name, { username = "user", password = "pass" })
    site:apply(json.encode({
      apiVersion = kinds.OvaSource.api_version, kind = "OvaSource",
      metadata = { namespace = namespace, name = name },
      spec = { url = url, httpTimeoutSeconds = 600,
        credentials = { name = name, namespace = namespace } },
    }))
  end

  local function import(name, from, machine, mode)
    site:import(namespace, name, machine, { transferMode = mode, sourceCluster = {
      apiVersion = kinds.OvaSource.api_version, kind = "OvaSource", name = from,
      namespace = namespace }, targetName = name })
  end

  -- It runs, of the right bytes, and nothing of it is left in scratch.
  local function check(name, disks, mode)
    local object = site:wait_import(namespace, name, "virtualMachineRunning", WITHIN)
    assert.equal(mode, object.status.transfer.mode)
    for i, disk in ipairs(disks) do
      local sums = site.harvester:pulls(namespace,
        object.status.diskImportStatus[i].VirtualMachineImage)
      assert.is_true(#sums >= 1)
      for _, sum in ipairs(sums) do
        assert.equal(disk.raw, sum)
      end
    end
  end

  it("is ready, and its machines run, whichever way their disks go", function()
    source("shelf", shelf:at("range-auth", "web.ova"))
    source("plain", shelf:at("plain-nohead-auth", "web.ova"))
    source("folder", shelf:at("range-auth", "odd/odd.ovf"))
    import("spooled", "shelf", "web", "Spool")
    import("streamed", "shelf", "web", "Stream")
    import("from-plain", "plain", "web", "Auto")
    import("converted", "folder", "odd", "Auto")
    check("spooled", wanted.web, "Spool")
    check("streamed", wanted.web, "Stream")
    check("from-plain", wanted.web, "Spool")
    check("converted", wanted.odd, "Spool")
    assert.equal("clusterReady", site:status("OvaSource", namespace, "shelf").status)
    assert.equal("LoggedIn", site:condition("OvaSource", namespace, "shelf", "Ready").reason)
    assert.same({}, lab.files(running.scratch))
  end)

  it("is no file of the pod, and what cannot be read again is not passed on", function()
    source("passwd", "file:///etc/passwd")
    lab.wait_for("it is refused", function()
      return site:condition("OvaSource", namespace, "passwd", "Stalled").status == "True"
    end)
    assert.matches("on the command line alone", site:condition("OvaSource", namespace,
      "passwd", "Stalled").message, 1, true)
    import("no-stream", "folder", "odd", "Stream")
    local object = site:wait_import(namespace, "no-stream", "virtualMachineImportInvalid")
    assert.equal("TransferModeUnsupported", object.status.findings[1].code)
  end)
end)
