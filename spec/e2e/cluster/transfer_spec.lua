-- How disks get into the cluster: passed on while they are read, without a byte of scratch
-- space (transferMode Stream), or by way of scratch (Spool), served while they come.
-- VIC_FULL=1: with the limits that we and Longhorn have, and pauses of minutes.

local file = require "host.file"
local harvester = require "support.harvester"
local json = require "host.json"
local lab = require "support.lab"
local program = require "support.program"
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
      machine("pair", SMALL, FULL),
    },
  } },
}

-- Seconds: what we wait for a source, what Longhorn waits for us (4 up to Harvester 1.6.0,
-- 30 later); how long the source pauses, sends nothing at all, prepares an export.
local ALL_TIMES = program.full and {
  { ours = 60, theirs = 4, pause = 25, silence = 300, preparing = 12, within = 900 },
  { ours = 60, theirs = 30, pause = 35, silence = 300, preparing = 120, within = 900 },
} or {
  { ours = 7, theirs = 4, pause = 5, silence = 60, preparing = 6, within = 120 },
}

local BACKENDS = { backingimage = "harvester-longhorn", cdi = "longhorn-v2" }

-- Runs a program with a scratch folder in which not a single byte has room.
local NO_ROOM = [[
  mount -t tmpfs -o size=4k,nr_inodes=1 none "$1"; shift; exec "$@"
]]

local function transfers(TIMES)
  local folder, site, sim, running, namespace, listen, mode

  -- In mode Stream with scratch on a file system without room.
  local function start(...)
    local scratch = site.dir .. "/scratch-" .. mode
    assert(file.mkdir(scratch, { parents = true }))
    return site:controller({ scratch = scratch,
      args = { "--idle-timeout", tostring(TIMES.ours), ... },
      listen = listen, env = { SVC_ADDRESS = listen },
      through = mode == "Stream"
        and { "unshare", "-rm", "sh", "-ec", NO_ROOM, "sh", scratch } or nil })
  end

  lazy_setup(function()
    folder = lab.folder()
    site = site_of.open({ harvester = { "--idle-timeout", TIMES.theirs .. "s" } })
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", { scenario = SCENARIO,
      settings = { leaseTimeout = 20 } })
    listen = site.free_address()
  end)

  lazy_teardown(function()
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
    sim:post("/settings", { ranges = false })
  end)

  local function scratch_files()
    return lab.files(("/proc/%s/root%s"):format(running.pid, running.scratch))
  end

  -- Every disk came whole, and nothing else ever did; nothing is left here.
  local function check(import, disks)
    for i, entry in ipairs(import.status.diskImportStatus) do
      local sums = site.harvester:pulls(namespace, entry.VirtualMachineImage)
      assert.is_true(#sums >= 1)
      for _, sum in ipairs(sums) do
        assert.equal(lab.original(folder.path, disks[i]), sum, "disk " .. i)
      end
    end
    assert.same({}, scratch_files())
    assert.same(json.array({}), import.metadata.finalizers or json.array({}))
    lab.wait_for("the lease is given back", function()
      return sim:get("/state").openLeases == 0
    end)
    assert.same({}, site.harvester:state().rejections)
  end

  local function import_machine(name, class)
    site:import(namespace, name, name, { storageClass = class, transferMode = mode })
  end

  local function reads()
    return sim:get("/state").nfc or {}
  end

  local function last_read()
    local all = reads()
    return all[#all]
  end

  -- Until the source has sent so many bytes of a disk, or of the one there.
  local function wait_read(bytes, place)
    return lab.wait_for("half of the disk is read", function()
      for _, read in ipairs(reads()) do
        if read.sent >= bytes and read.key:find(place or "", 1, true) then
          return read
        end
      end
    end, 60)
  end

  local function slow_down(rate, more)
    local rule = { on = "nfc", ["do"] = "throttle", rate = rate, count = 1 }
    for key, value in pairs(more or {}) do
      rule[key] = value
    end
    sim:post("/faults", rule)
  end

  local function wait_message(text)
    lab.wait_for(("the import says %q"):format(text), function()
      local reconciling = site:condition("VirtualMachineImport", namespace, "full",
        "Reconciling")
      return (reconciling.message or ""):find(text, 1, true)
    end, 60)
  end

  local function finished(name, ...)
    local import = site:wait_import(namespace, name or "full", "virtualMachineRunning",
      TIMES.within)
    check(import, name and { ... } or { FULL })
    return import
  end

  local function forget(name)
    for _, kind in ipairs { "VirtualMachineImport", "VirtualMachine" } do
      site:delete(kind, namespace, name)
    end
    site:wait_gone("VirtualMachine", namespace, name)
    site:wait_gone("VirtualMachineImport", namespace, name)
    site.harvester:forget()
  end

  local function exchanges()
    return site.harvester:state().exchanges or {}
  end

  -- Downloads of the whole that have ended so far: how many, and how many of them came
  -- to the length that was promised.
  local function downloads()
    local all, whole = 0, 0
    for _, exchange in ipairs(exchanges()) do
      if exchange.method == "GET" and exchange.status == 200 and exchange.done then
        all = all + 1
        whole = whole + (exchange.bytes == exchange.length and 1 or 0)
      end
    end
    return all, whole
  end

  -- Until so much of the whole was pulled by somebody who still pulls.
  local function wait_pulled(bytes)
    lab.wait_for("a part was pulled", function()
      for _, exchange in ipairs(exchanges()) do
        if exchange.method == "GET" and exchange.status == 200 and not exchange.done
          and exchange.bytes >= bytes then
          return true
        end
      end
    end, 60)
  end

  local function restart()
    running:signal("KILL")
    running:wait()
    local parts = {}
    for _, name in ipairs(mode == "Spool" and lab.files(running.scratch) or {}) do
      parts[name:match("[^.]+%.(.+)$")] =
        assert(file.stat(running.scratch .. "/" .. name)).size
    end
    running = start()
    return parts
  end

  local function in_any_mode()
    for backend, class in pairs(BACKENDS) do
      it("is chosen by the room in scratch, backend " .. backend, function()
        site:import(namespace, "three", "three", { storageClass = class })
        local import = site:wait_import(namespace, "three", "virtualMachineRunning", 480)
        assert.equal(mode, import.status.transfer.mode)
        assert.truthy(import.status.transfer.reason:find("free in scratch", 1, true))
        check(import, { SMALL, MIXED, SPARSE })
        assert.same({}, site.harvester:state().remarks)
      end)

      it("never lets a damaged stream pass for a whole image, backend " .. backend, function()
        import_machine("full", class)
        finished()
        local size = last_read().sent
        -- The end: grain, mark and table, mark and directory, mark and footer, end mark.
        for _, at in ipairs { size - 1024 + 13, size - 5632 - 1000 } do
          forget("full")
          -- CDI's look at the first bytes is a read of its own where nothing is stored.
          slow_down(4 << 20, { ["do"] = "corrupt", bytes = at,
            count = backend == "cdi" and mode == "Stream" and 2 or 1 })
          import_machine("full", class)
          finished()
          local all, whole = downloads()
          assert.equal(1, whole)
          -- A spool may have been put right before anybody asked for it.
          assert.is_true(all == 2 or mode == "Spool" and all == 1, all)
        end
      end)

      it("goes on when who pulls dies half-way, backend " .. backend, function()
        slow_down(6 << 20, { count = 0 })
        site.harvester:fault({ kind = "kill", match = "^" .. namespace, after = 8 << 20 })
        import_machine("full", class)
        finished()
        assert.equal(2, (downloads()))
        if mode == "Spool" then
          assert.equal(1, #reads())
        end
      end)
    end

    it("reads a source again that pauses for too long, and says so", function()
      sim:post("/faults", { on = "nfc", ["do"] = "stall", seconds = TIMES.silence,
        bytes = 8 << 20, rate = 8 << 20, count = 1 })
      slow_down(2 << 20) -- long enough for the status to be written
      import_machine("full")
      if mode == "Stream" and TIMES.ours < TIMES.theirs then
        wait_message(("nothing came for %d s, after"):format(TIMES.ours))
      end
      finished()
      -- Who waits for a spool gives up at their own limit, and asks again.
      local most = TIMES.ours < TIMES.theirs and 2 or 1 + TIMES.ours // TIMES.theirs
      local all, whole = downloads()
      assert.equal(1, whole)
      assert.is_true(all == 2 or mode == "Spool" and all <= most, all)
      assert.equal(2, #reads())
    end)

    it("opens another export when the lease is lost half-way", function()
      slow_down(4 << 20)
      import_machine("full")
      wait_read(8 << 20)
      wait_pulled(1 << 20)
      sim:post("/leases/expire")
      finished()
      local all, whole = downloads() -- Harvester asks again for a while, in vain
      assert.is_true(all >= 2, all)
      assert.equal(1, whole)
    end)

    it("goes on after the controller was killed half-way", function()
      slow_down(4 << 20)
      import_machine("full")
      wait_read(12 << 20)
      restart()
      finished()
      assert.equal(2, #reads())
      for _, exchange in ipairs(exchanges()) do
        assert.not_equal(404, exchange.status)
      end
    end)

    it("deletes an image whose SHA-512 is not that of what was sent", function()
      site.harvester:fault({ kind = "checksum", match = "^" .. namespace })
      import_machine("full")
      wait_message("SHA-512")
      assert.is_nil(site:get("VirtualMachine", namespace, "full"))
      local import = finished()
      assert.is_nil(import.status.attempt)
      assert.equal(2, (downloads()))
    end)
  end

  local function in_mode(name, more)
    describe(name, function()
      lazy_setup(function()
        mode = name
        running = start()
      end)

      lazy_teardown(function()
        running:stop()
      end)

      in_any_mode()
      more()
    end)
  end

  in_mode("Stream", function()
    it("ends when the disk is wrong at the same byte in a second read", function()
      import_machine("full")
      finished()
      local size, before = last_read().sent, #reads()
      forget("full")
      slow_down(8 << 20, { ["do"] = "corrupt", bytes = size - 5632 - 1000, count = 99 })
      import_machine("full")
      site:wait_import(namespace, "full", "VMMigrationFailed", TIMES.within)
      local stalled = site:condition("VirtualMachineImport", namespace, "full", "Stalled")
      assert.truthy(stalled.message:find("fetched twice", 1, true), stalled.message)
      local wrong = #reads() - before
      assert.is_true(wrong >= 2 and wrong <= 4, wrong) -- one more may be under way
    end)

    it("waits for a source that pauses", function()
      sim:post("/faults", { on = "nfc", ["do"] = "stall", seconds = TIMES.pause,
        bytes = 8 << 20, count = 1 })
      import_machine("full")
      finished()
      assert.equal(1, (downloads()))
    end)

    it("waits while the source prepares the export", function()
      sim:post("/faults", { on = "lease", ["do"] = "stall", seconds = TIMES.preparing,
        count = 1 })
      import_machine("full")
      finished()
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

  in_mode("Spool", function()
    for backend, class in pairs(BACKENDS) do
      it("is pulled while it comes, by one who waits at most, backend " .. backend, function()
        slow_down(3 << 20)
        import_machine("full", class)
        wait_pulled(4 << 20)
        assert.equal("running", last_read()["end"])
        assert.equal("sourceReady",
          site:status("VirtualMachineImport", namespace, "full").importStatus)
        finished()
        local all, whole = downloads()
        -- CDI's own importer begins one before it asks for scratch space.
        assert.equal(backend == "cdi" and harvester.real and 2 or 1, all)
        assert.equal(1, whole)
        assert.equal(1, #reads())
      end)
    end

    -- The second of two disks on its way, the first one whole. Returns all reads of it.
    -- The simulator's file names are not in the disks' order; its keys say where they are.
    local function interrupt()
      slow_down(1 << 19, { file = "Controller0:1" }) -- until it is killed
      import_machine("pair")
      local half = wait_read(3 << 20, "Controller0:1")
      lab.wait_for("one disk is whole, and both have images", function()
        local entries = site:status("VirtualMachineImport", namespace, "pair")
          .diskImportStatus
        return entries[1].VirtualMachineImage and entries[2].VirtualMachineImage
          and table.concat(scratch_files(), "\n"):find("%.vmdk\n")
      end)
      local parts = restart()
      finished("pair", SMALL, FULL)
      local again = {}
      for _, read in ipairs(reads()) do
        again[#again + 1] = read.file == half.file and read or nil
      end
      assert.equal(2, #again)
      assert.equal(3, #reads()) -- the whole disk was not read again
      return again, parts
    end

    it("keeps a whole disk when it is killed, and begins the other one again", function()
      local again = interrupt()
      assert.is_nil(again[2].range)
    end)

    it("fetches no byte again that it has, when it is killed, from a source of ranges", function()
      sim:post("/settings", { ranges = true })
      local again, parts = interrupt()
      assert.equal(("bytes=%d-"):format(parts["vmdk.part"]), again[2].range)
      assert.is_true(parts["vmdk.part"] >= 2 << 20, parts["vmdk.part"])
    end)
  end)
end

for _, times in ipairs(ALL_TIMES) do
  -- The backing-image-manager of Harvester 1.8.2 has a limit of its own: 4 s.
  if not harvester.real or times.theirs == 4 then
    describe(("transferMode, who pulls gives up after %d s,"):format(times.theirs), function()
      transfers(times)
    end)
  end
end
