-- The controller's log, of an import that goes well and of one that fails three times:
-- all that their conditions and Events said, and with DEBUG=true no secret.

local json = require "host.json"
local lab = require "support.lab"
local site_of = require "support.site"

local PASSWORD = "Pa55-of-the-source"
local DISKS = {
  { controller = "pvscsi", pattern = "random", seed = 51, capacity = "3MiB" },
  { controller = "ahci", pattern = "random", seed = 52, capacity = "5MiB" },
}

local SCENARIO = { datacenters = { { path = "DC0", machines = {
  { name = "good-vm", disks = DISKS },
  { name = "bad-vm", disks = { DISKS[1] } },
} } } }

local function lines_of(text, fields)
  local list = {}
  for line in text:gmatch("[^\n]+") do
    local event = assert(json.decode(line), line)
    local fits = true
    for name, value in pairs(fields) do
      fits = fits and event[name] == value
    end
    list[#list + 1] = fits and event or nil
  end
  return list
end

local function plain(text)
  return (text:gsub("%d+", "#"))
end

describe("the log of a controller", function()
  local folder, site, sim, running, namespace

  lazy_setup(function()
    folder = lab.folder()
    sim = lab.simulator(folder.path, { scenario = SCENARIO, password = PASSWORD })
    site = site_of.open()
    running = site:controller({ env = { DEBUG = "true" } })
    namespace = site:namespace()
    site:source(namespace, "vc", sim)
    site:import(namespace, "good", "good-vm")
    site:wait_import(namespace, "good", "virtualMachineRunning", 120)
    sim:post("/faults", { on = "nfc", ["do"] = "http" })
    site:import(namespace, "bad", "bad-vm", { maxRetries = 2 })
    lab.wait_for("the import has failed", function()
      return site:status("VirtualMachineImport", namespace, "bad").importStatus
        == "VMMigrationFailed"
    end, 120)
  end)

  lazy_teardown(function()
    running:stop()
    site:close()
    getmetatable(sim).__close(sim)
    getmetatable(folder).__close(folder)
  end)

  local function story(name)
    return lines_of(running:log(), { import = namespace .. "/" .. name })
  end

  local function has(lines, reason, message)
    for _, line in ipairs(lines) do
      if line.reason == reason and plain(line.message) == plain(message) then
        return true
      end
    end
    return false
  end

  it("has every Event of an import in the same words", function()
    for _, name in ipairs { "good", "bad" } do
      local lines, count = story(name), 0
      for _, event in ipairs(site.client:list("Event", namespace)) do
        if event.regarding.name == name then
          count = count + 1
          assert(has(lines, event.reason, event.note), event.reason .. ": " .. event.note)
        end
      end
      assert.is_true(count > 2)
    end
  end)

  it("has the end, as the status says it", function()
    for name, type in pairs { good = "Ready", bad = "Stalled" } do
      local c = site:condition("VirtualMachineImport", namespace, name, type)
      assert(has(story(name), c.reason, c.message), c.message)
    end
  end)

  it("warns of nothing in a good import", function()
    for _, line in ipairs(story("good")) do
      assert(line.level == "info" or line.level == "debug", line.message)
    end
  end)

  it("counts the attempts of one that fails, and says its end once", function()
    local attempts, ends = {}, 0
    for _, line in ipairs(story("bad")) do
      attempts[line.attempt or 0] = true
      ends = ends + (line.level == "error" and 1 or 0)
    end
    assert.is_true(attempts[1] and attempts[2] and attempts[3])
    assert.equal(1, ends)
  end)

  it("has the requests of an import, to the source and to the API server", function()
    local hosts = {}
    for _, line in ipairs(lines_of(running:log(), { level = "debug",
      task = ("VirtualMachineImport/%s/good"):format(namespace) })) do
      hosts[line.host] = true
    end
    assert.is_true(hosts[sim.url:match("//([^/]+)")])
    local count = 0
    for _ in pairs(hosts) do
      count = count + 1
    end
    assert.equal(2, count)
  end)

  it("has no secret in any line", function()
    local log = running:log()
    assert.falsy(log:find(PASSWORD, 1, true))
    assert.falsy(log:find("vmware_soap_session", 1, true))
    assert.falsy(log:find("Bearer", 1, true))
    assert.falsy(log:find("PRIVATE KEY", 1, true))
    for _, disk in ipairs(site:status("VirtualMachineImport", namespace, "good")
      .diskImportStatus) do
      assert.falsy(log:find(disk.diskRoute, 1, true), disk.diskRoute)
    end
  end)
end)
