-- Disks that are passed on to Harvester while they are read: no scratch space at all.

local file = require "host.file"
local json = require "host.json"
local lab = require "support.lab"
local site_of = require "support.site"

local SMALL = { pattern = "text", seed = 31, capacity = "16MiB" }
local MIXED = { controller = "pvscsi", pattern = "mixed", seed = 32, capacity = "65MiB",
  every = 3 }
local SPARSE = { controller = "nvme", pattern = "mixed", seed = 33, capacity = "1GiB",
  every = 500 }
local FULL = { pattern = "random", seed = 34, capacity = "24MiB" }

local function machine(name, ...)
  return { name = name, disks = { ... }, nics = { { network = "VM Network" } } }
end

local SCENARIO = {
  datacenters = { {
    path = "DC0",
    machines = {
      machine("three", SMALL, MIXED, SPARSE),
      machine("full", FULL),
    },
  } },
}

-- Runs a program with a scratch folder in which not a single byte has room.
local NO_ROOM = [[
  mount -t tmpfs -o size=4k,nr_inodes=1 none "$1"; shift; exec "$@"
]]

describe("transferMode Stream", function()
  local folder, site, sim, running, namespace, listen

  -- With scratch on a file system without room.
  local function start(...)
    local scratch = site.dir .. "/no-room"
    assert(file.mkdir(scratch, { parents = true }))
    return site:controller({ scratch = scratch, args = { "--idle-timeout", "3", ... },
      listen = listen, env = { SVC_ADDRESS = listen },
      through = { "unshare", "-rm", "sh", "-ec", NO_ROOM, "sh", scratch } })
  end

  lazy_setup(function()
    folder = lab.folder()
    site = site_of.open({ harvester = { "--idle-timeout", "8s" } })
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", { scenario = SCENARIO,
      settings = { leaseTimeout = 20 } })
    listen = site.free_address()
    running = start()
  end)

  lazy_teardown(function()
    running:stop()
    getmetatable(sim).__close(sim)
    site:close()
    getmetatable(folder).__close(folder)
  end)

  before_each(function()
    namespace = site:namespace()
    site:source(namespace, "vc", sim)
  end)

  after_each(function()
    for _, kind in ipairs { "VirtualMachineImport", "VirtualMachine" } do
      for _, object in ipairs(assert(site.client:list(kind, namespace))) do
        site:delete(kind, namespace, object.metadata.name)
        site:wait_gone(kind, namespace, object.metadata.name)
      end
    end
    site.harvester:mend()
    site.harvester:forget()
    sim:post("/reset")
  end)

  -- Every disk came whole, and nothing else ever did; nothing was written here.
  local function check(import, disks)
    for i, entry in ipairs(import.status.diskImportStatus) do
      local sums = site.harvester:pulls(namespace, entry.VirtualMachineImage)
      assert.is_true(#sums >= 1)
      for _, sum in ipairs(sums) do
        assert.equal(lab.original(folder.path, disks[i]), sum, "disk " .. i)
      end
    end
    assert.same({}, lab.files(("/proc/%s/root%s"):format(running.pid, running.scratch)))
    assert.same(json.array({}), import.metadata.finalizers or json.array({}))
    lab.wait_for("the lease is given back", function()
      return sim:get("/state").openLeases == 0
    end)
    assert.same({}, site.harvester:state().rejections)
  end

  local function import_full(class)
    site:import(namespace, "full", "full",
      { storageClass = class, transferMode = "Stream" })
  end

  local function last_read()
    local reads = sim:get("/state").nfc
    return reads and reads[#reads]
  end

  -- Until the source has sent so many bytes of the disk.
  local function wait_read(bytes)
    lab.wait_for("half of the disk is read", function()
      local read = last_read()
      return read and read.sent >= bytes
    end, 60)
  end

  local function wait_message(text)
    lab.wait_for(("the import says %q"):format(text), function()
      local reconciling = site:condition("VirtualMachineImport", namespace, "full",
        "Reconciling")
      return (reconciling.message or ""):find(text, 1, true)
    end, 60)
  end

  local function finished()
    local import = site:wait_import(namespace, "full", "virtualMachineRunning", 120)
    check(import, { FULL })
    return import
  end

  -- Downloads of the whole that have ended so far: how many, and how many of them came
  -- to the length that was promised.
  local function downloads()
    local all, whole = 0, 0
    for _, exchange in ipairs(site.harvester:state().exchanges) do
      if exchange.method == "GET" and exchange.status == 200 and exchange.done then
        all = all + 1
        whole = whole + (exchange.bytes == exchange.length and 1 or 0)
      end
    end
    return all, whole
  end

  for backend, class in pairs { backingimage = "harvester-longhorn", cdi = "longhorn-v2" } do
    it("imports without a byte of scratch space, backend " .. backend, function()
      site:import(namespace, "three", "three", { storageClass = class })
      local import = site:wait_import(namespace, "three", "virtualMachineRunning", 120)
      assert.equal("Stream", import.status.transfer.mode)
      assert.truthy(import.status.transfer.reason:find("free in scratch", 1, true))
      check(import, { SMALL, MIXED, SPARSE })
      assert.same({}, site.harvester:state().remarks)
    end)

    it("never lets a damaged stream pass for a whole image, backend " .. backend, function()
      import_full(class)
      finished()
      local size = last_read().sent
      -- The end: grain, mark and table, mark and directory, mark and footer, end mark.
      for _, at in ipairs { size - 1024 + 13, size - 5632 - 1000 } do
        site:delete("VirtualMachineImport", namespace, "full")
        site:delete("VirtualMachine", namespace, "full")
        site:wait_gone("VirtualMachine", namespace, "full")
        site:wait_gone("VirtualMachineImport", namespace, "full")
        site.harvester:forget()
        -- CDI's look at the first bytes is a read of its own.
        sim:post("/faults", { on = "nfc", ["do"] = "corrupt", bytes = at,
          count = backend == "cdi" and 2 or 1 })
        import_full(class)
        finished()
        local all, whole = downloads()
        assert.equal(whole + 1, all)
        assert.equal(1, whole)
      end
    end)

    it("goes on when who pulls dies half-way, backend " .. backend, function()
      site.harvester:fault({ kind = "kill", match = "^" .. namespace, after = 12 << 20 })
      import_full(class)
      finished()
      assert.equal(2, (downloads()))
    end)
  end

  it("waits for a source that pauses", function()
    sim:post("/faults", { on = "nfc", ["do"] = "stall", seconds = 2, bytes = 8 << 20,
      count = 1 })
    import_full()
    finished()
    assert.equal(1, (downloads()))
  end)

  it("gives a source up that pauses for too long, says so, and reads it again", function()
    sim:post("/faults", { on = "nfc", ["do"] = "stall", seconds = 60, bytes = 8 << 20,
      count = 1 })
    sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = 8 << 20 })
    import_full()
    wait_message("nothing came for 3 s, after")
    finished()
    assert.equal(2, (downloads()))
  end)

  it("waits while the source prepares the export", function()
    sim:post("/faults", { on = "lease", ["do"] = "stall", seconds = 6, count = 1 })
    import_full()
    finished()
  end)

  it("opens another export when the lease is lost half-way", function()
    sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = 4 << 20, count = 1 })
    import_full()
    wait_read(8 << 20)
    sim:post("/leases/expire")
    finished()
    local all, whole = downloads() -- Harvester asks again for a while, in vain
    assert.is_true(all >= 2, all)
    assert.equal(1, whole)
  end)

  it("deletes an image whose SHA-512 is not that of what was sent", function()
    site.harvester:fault({ kind = "checksum", match = "^" .. namespace })
    import_full()
    wait_message("SHA-512")
    assert.is_nil(site:get("VirtualMachine", namespace, "full"))
    local import = finished()
    assert.is_nil(import.status.attempt)
    assert.equal(2, (downloads()))
  end)

  it("goes on after the controller was killed half-way", function()
    sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = 4 << 20, count = 1 })
    import_full()
    wait_read(12 << 20)
    running:signal("KILL")
    running:wait()
    running = start()
    finished()
    for _, exchange in ipairs(site.harvester:state().exchanges) do
      assert.not_equal(404, exchange.status)
    end
  end)

  it("is taken although there is room, if the import says so, and not if not", function()
    local other = site:namespace()
    site:source(other, "vc", sim)
    site:import(other, "full", "full", { transferMode = "Spool", dryRun = true })
    lab.wait_for("it is planned", function()
      return site:status("VirtualMachineImport", other, "full").transfer
    end)
    local status = site:status("VirtualMachineImport", other, "full")
    assert.equal("Spool", status.transfer.mode)
    local codes = {}
    for _, finding in ipairs(status.findings) do
      codes[finding.code] = true
    end
    assert.is_true(codes.SpaceMayRunOut)
  end)
end)
