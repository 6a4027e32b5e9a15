-- Scripts and replaced code of a cluster, applied, broken, mended and deleted while
-- imports are under way; a second replica; a provider that is a script alone.

local file = require "host.file"
local json = require "host.json"
local kinds = require "base.kinds"
local lab = require "support.lab"
local site_of = require "support.site"
local time = require "host.time"
local web = require "support.web"

local DIRECTORY = "deploy/scripts/directory-source/"
local RATE = 1024 * 1024         -- bytes a second, of the disk that is slow
local WITHIN = 5                 -- seconds until an edit is live, or refused
local SIZE = 2 * 1024 * 1024

local SCENARIO = {
  datacenters = { { path = "DC0", machines = {
    { name = "slow",
      disks = { { pattern = "random", seed = 1, capacity = "16MiB" } },
      nics = { { network = "VM Network", mac = "00:50:56:00:00:01" } } },
    { name = "web",
      disks = { { pattern = "text", seed = 2, capacity = "4MiB" } },
      nics = { { network = "VM Network", mac = "00:50:56:00:00:02" } } },
  } } },
}

local MACHINE = [[
cpu: {sockets: 1, cores: 1}
memory_bytes: 1073741824
disks: [{id: shelved-0.raw, capacity_bytes: %d, bus: virtio}]
]]

local function mapped_to(network)
  return ("return { nic_network = function() return %q end }\n"):format(network)
end

-- The built-in policy.name with another decision.
local function named(name)
  local text = assert(file.read("lua/policy/name.lua"))
  local first, last = text:find("function M.decide(", 1, true)
  return ("%sfunction M.decide() return %q end\nfunction M.before(%s"):format(
    text:sub(1, first - 1), name, text:sub(last + 1))
end

describe("scripts and code in a cluster", function()
  local folder, site, sim, leading, standing, namespace

  local function scripts(data)
    site:apply(json.encode({ apiVersion = "v1", kind = "ConfigMap",
      metadata = { name = "vm-import-scripts", namespace = "default" }, data = data }))
  end

  -- The Event, soon.
  local function event(reason, text, seconds)
    return lab.wait_for(reason .. " " .. text, function()
      for _, item in ipairs(site.client:list("Event", "default") or {}) do
        if item.reason == reason and item.note:find(text, 1, true) then
          return item
        end
      end
    end, seconds or WITHIN)
  end

  local function generation_of(item)
    return (item.note:match("^generation (%x+)"))
  end

  local function status(name)
    return site:status("VirtualMachineImport", namespace, name)
  end

  local function planned(name)
    return lab.wait_for(name .. " is planned", function()
      local now = status(name)
      return now.plan and now
    end)
  end

  local function try(name)
    site:import(namespace, name, "web", { dryRun = true })
    return planned(name)
  end

  local function decided(now)
    return { now.plan.name, now.plan.nics[1].network or now.plan.nics[1].binding }
  end

  lazy_setup(function()
    folder = lab.folder()
    site = site_of.open()
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", { scenario = SCENARIO })
    sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = RATE, machine = "slow" })
    namespace = site:namespace()
    site:source(namespace, "vc", sim)
    leading = site:controller({ args = { "--allow-code" } })
    standing = site:controller({ args = { "--allow-code" }, wait = false })
  end)

  lazy_teardown(function()
    kinds.use({})

    standing:stop()
    getmetatable(sim).__close(sim)
    site:close()
    getmetatable(folder).__close(folder)
  end)

  local first

  it("decide on what is made afterwards; what is under way is not disturbed", function()
    site:import(namespace, "a", "slow")
    lab.wait_for("a is being copied", function()
      return sim:get("/state").openLeases == 1
    end)
    local before = json.encode(status("a").plan)
    scripts({ ["10-net.lua"] = mapped_to("default/vlan1"),
      ["policy.name.lua"] = named("by-code") })
    first = event("ScriptsInForce", "10-net.lua, policy.name.lua")
    site:import(namespace, "b", "web")
    local now = planned("b")
    assert.same({ "by-code", "default/vlan1" }, decided(now))
    assert.equal(generation_of(first), now.scriptGeneration)
    assert.equal("sourceReady", status("a").importStatus, "a is still being copied")
    site:wait_import(namespace, "b", "virtualMachineRunning", 120)
    site:wait_import(namespace, "a", "virtualMachineRunning", 120)
    now = status("a")
    assert.equal(before, json.encode(now.plan))
    assert.same({ "slow", "masquerade" }, decided(now))
    assert.equal("builtin", now.scriptGeneration)
    assert.same({ lab.original(folder.path .. "/sim", SCENARIO.datacenters[1].machines[1]
      .disks[1]) }, site.harvester:pulls(namespace,
      now.diskImportStatus[1].VirtualMachineImage))
  end)

  it("stay as they were while code is broken; the next good edit is live", function()
    site:delete("VirtualMachine", namespace, "by-code") -- its name is wanted again
    site:wait_gone("VirtualMachine", namespace, "by-code")
    scripts({ ["10-net.lua"] = mapped_to("default/vlan2"),
      ["policy.name.lua"] = "return {\nx = }" })
    local said = event("ScriptsRejected", "policy.name.lua:2: unexpected symbol")
    assert.equal("Warning", said.type)
    assert.same({ "by-code", "default/vlan1" }, decided(try("c")))
    scripts({ ["10-net.lua"] = mapped_to("default/vlan2"), ["policy.name.lua"] = "return {}" })
    event("ScriptsRejected", "policy.name.lua: lacks what the module policy.name")
    scripts({ ["10-net.lua"] = mapped_to("default/vlan2"),
      ["policy.name.lua"] = named("mended") })
    local live = event("ScriptsInForce", "generation ")
    assert(live)
    lab.wait_for("the mended ones decide", function()
      return leading:log():match('site scripts in force[^\n]*\n.*site scripts in force')
    end, WITHIN)
    assert.same({ "mended", "default/vlan2" }, decided(try("d")))
  end)

  it("are the same on the replica that takes over", function()
    local before = status("d").scriptGeneration
    leading:stop()
    standing:wait_log('"leading"')
    local now = try("e")
    assert.same({ "mended", "default/vlan2" }, decided(now))
    assert.equal(before, now.scriptGeneration)
  end)

  it("may be a provider, whose kind is reported until the cluster has it", function()
    local shelf = web.open()
    shelf.server:on("/shelved.yaml", { web.answer(MACHINE:format(SIZE)) })
    shelf.server:on("/shelved-0.raw", { web.answer(("disk"):rep(SIZE // 4)) })
    scripts({ ["providers.directory.lua"] =
      assert(file.read(DIRECTORY .. "providers.directory.lua")) })
    event("SourceKindMissing", "DirectorySource is not to be had yet", 3 * WITHIN)
    assert.same({ "web", "masquerade" }, decided(try("f")), "all else goes on")
    site:apply(assert(file.read(DIRECTORY .. "cluster/directorysource.yaml")))
    event("SourceKindServed", "DirectorySource", 60)
    local text = assert(file.read(DIRECTORY .. "cluster/example.yaml"))
      :gsub("http://files.example/machines", shelf.url(""))
      :gsub("virtualMachineName: web", "virtualMachineName: shelved")
      :gsub("namespace: default", "namespace: " .. namespace)
    site:apply(text)
    local import = site:wait_import(namespace, "web", "virtualMachineRunning", 120)
    kinds.use({ { kind = "DirectorySource", plural = "directorysources" } })
    assert.equal("clusterReady", site:status("DirectorySource", namespace, "shelf").status)
    assert(file.write(folder.path .. "/original", ("disk"):rep(SIZE // 4)))
    assert.same({ lab.sha512(folder.path .. "/original") }, site.harvester:pulls(namespace,
      import.status.diskImportStatus[1].VirtualMachineImage))
    shelf.close()
  end)

  it("are gone with the ConfigMap", function()
    site:delete("ConfigMap", "default", "vm-import-scripts")
    local since = time.monotonic()
    lab.wait_for("builtin is in force", function()
      return standing:log():find('in force","generation":"builtin"', 1, true)
    end, WITHIN)
    assert.is_true(time.monotonic() - since < WITHIN)
    local now = try("g")
    assert.same({ "web", "masquerade" }, decided(now))
    assert.equal("builtin", now.scriptGeneration)
  end)
end)
