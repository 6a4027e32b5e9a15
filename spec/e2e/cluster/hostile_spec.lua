-- The controller with a pod's limit of memory, ten sources that mean harm, and disks that do,
-- beside a good import: it stays small, says of each what is wrong, and the good import
-- ends right. With VIC_FULL also what takes minutes to be refused.

local cgroup = require "support.cgroup"
local ending = require "support.ending"
local file = require "host.file"
local hostile = require "support.hostile"
local kinds = require "base.kinds"
local lab = require "support.lab"
local program = require "support.program"
local site_of = require "support.site"
local task = require "host.task"
local vmdk = require "support.vmdk"
local zlib = require "support.zlib"

local MIB = 1 << 20
local LIMIT, MOST = 1024 * MIB, 96 * MIB
local CAPACITY = 2 * MIB
local MOST_SCRATCH = CAPACITY * 9 // 8 + 3 * MIB -- of one hostile disk
local LENGTH = 1 << 40                           -- bytes of a disk that does not end
local WITHIN = 240                               -- seconds
local SCRATCH = "200Mi"                          -- all disks have room in it

local SOURCES = { "ns-attributes", "elements-small", "endless-head", "endless-trailers",
  "huge-length", "maps", "deeper", "redirects", "cut-json" }
local SLOW = { "slow-tls", "drips", "drips-json" } -- 10 s, and 180 s

local DISK = { pattern = "mixed", seed = 81, capacity = "64MiB" }

-- What the disk server sends is cut off by nobody but us.
local DISKS = { marks = "the VMDK goes on", zeros = "the VMDK goes on" }

-- A VMDK as a file without end: `more` over and over, then zeros.
local function write_disk(path, text, more)
  local out = assert(io.open(path, "wb"))
  out:write(text)
  for _ = 1, more and 64 or 0 do
    out:write(more:rep(2048))
  end
  out:seek("set", LENGTH - 1)
  out:write("\0")
  out:close()
end

local function write_disks(folder)
  local small = { capacity = CAPACITY // 512, grains = { { 1, zlib.run(5, 65536) } } }
  local begun, at = vmdk.footer_style(small)
  write_disk(folder .. "/marks.vmdk", begun:sub(1, at.grain0.at), vmdk.marker(0, 4))
  write_disk(folder .. "/zeros.vmdk", (vmdk.head_style(small)))
end

local function machines()
  local list = { { name = "slow", disks = { DISK } } }
  for name in pairs(DISKS) do
    list[#list + 1] = { name = name, disks = { { vmdk = name .. ".vmdk" } } }
  end
  return { settings = { manifest = "none" },
    datacenters = { { path = "DC0", machines = list } } }
end

describe("the controller among sources that mean harm", function()
  local folder, site, group, running, namespace, sim, bad_sim, servers, sums

  local function simulator(name, opts)
    assert(file.mkdir(folder.path .. "/" .. name))
    return lab.simulator(folder.path .. "/" .. name, opts)
  end

  local function create(kind, name, fields)
    fields.apiVersion, fields.kind = kinds[kind].api_version, kind
    fields.metadata = { namespace = namespace, name = name }
    assert(site.client:create(kind, fields))
  end

  local function serve(name)
    local case = hostile.case(name)
    servers[name] = hostile.serve(case)
    local field = case.kind == "VmwareSource" and "dc" or "region"
    create(case.kind, name, { spec = { endpoint = servers[name].url, [field] = "DC0",
      credentials = { name = "u", namespace = namespace } } })
    return case
  end

  lazy_setup(function()
    folder = lab.folder()
    sums = ending.sums(folder.path, { DISK })
    write_disks(folder.path)
    sim = simulator("good", { scenario = { datacenters = { { path = "DC0",
      machines = { { name = "good", disks = { DISK } },
        { name = "late", disks = { DISK } } } } } } })
    bad_sim = simulator("bad", { scenario = machines(), disks = folder.path })
    bad_sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = 1, machine = "slow" })
    site = site_of.open()
    local why
    group, why = cgroup.memory(LIMIT)
    print("hostile_spec: " .. (group and "in a cgroup of 1 GiB" or "without a cgroup: " .. why))
    running = site:controller({ through = group and group.through,
      args = { "--scratch-limit=" .. SCRATCH } })
    namespace, servers = site:namespace(), {}
  end)

  lazy_teardown(function()
    running:stop()
    if group then
      getmetatable(group).__close(group)
    end
    for _, server in pairs(servers) do
      server.close()
    end
    getmetatable(sim).__close(sim)
    getmetatable(bad_sim).__close(bad_sim)
    site:close()
    getmetatable(folder).__close(folder)
  end)

  -- Bytes that the files of an import take in scratch.
  local function scratch_of(name)
    local bytes = 0
    for _, path in ipairs(lab.files(running.scratch)) do
      local stat = path:find(name, 1, true) and file.stat(running.scratch .. "/" .. path)
      bytes = bytes + (stat and stat.blocks_bytes or 0)
    end
    return bytes
  end

  local function peak()
    local text = assert(file.read(("/proc/%s/status"):format(running.pid)))
    return tonumber(text:match("VmHWM:%s*(%d+)")) * 1024
  end

  -- These are looked at over and over, and scratch as well.
  local function keep_asking(cases, most)
    local n = 0
    while true do
      n = n + 1
      for _, case in ipairs(cases) do
        site.client:patch(case.kind, namespace, case.name, { metadata = { annotations = {
          ["migration.harvesterhci.io/look-again"] = tostring(n) } } })
      end
      for name in pairs(DISKS) do
        most[name] = math.max(most[name] or 0, scratch_of(name))
      end
      task.sleep(1)
    end
  end

  local function wait_said(kind, name, says, seconds)
    local seen
    local ok = pcall(lab.wait_for, "", function()
      seen = site:condition(kind, namespace, name, "Stalled")
      return seen.status == "True" and seen.message:find(says)
    end, seconds)
    assert(ok, ("%s: %q is not in: %s"):format(name, says, tostring(seen.message)))
  end

  local function import_bad(name)
    create("VirtualMachineImport", name, { spec = { virtualMachineName = name,
      sourceCluster = { apiVersion = kinds.VmwareSource.api_version, kind = "VmwareSource",
        name = "bad-disks", namespace = namespace } } })
  end

  it("stays small, refuses each with a reason, and imports what is good", function()
    local cases, most = {}, {}
    site:secret(namespace, "u", { username = "u", password = "p", project_name = "p",
      domain_name = "default" })
    for _, name in ipairs(SOURCES) do
      cases[#cases + 1] = serve(name)
    end
    for _, name in ipairs(SLOW) do
      serve(name)
    end
    site:source(namespace, "bad-disks", bad_sim)
    for name in pairs(DISKS) do
      import_bad(name)
    end
    import_bad("slow")
    local asking <close> = task.spawn(keep_asking, cases, most)
    assert(asking)
    site:source(namespace, "vc", sim)
    site:import(namespace, "good", "good")
    local import = site:wait_import(namespace, "good", "virtualMachineRunning", WITHIN)
    assert.same(sums, site.harvester:pulls(namespace,
      import.status.diskImportStatus[1].VirtualMachineImage))
    for _, case in ipairs(cases) do
      wait_said(case.kind, case.name, case.says, WITHIN)
    end
    for name, says in pairs(DISKS) do
      wait_said("VirtualMachineImport", name, says, WITHIN)
      assert.truthy(most[name] <= MOST_SCRATCH, ("%s: %d bytes in scratch"):format(name,
        most[name]))
    end
    wait_said("VmwareSource", "slow-tls", hostile.case("slow-tls").says, WITHIN)
    print(("hostile_spec: peak RSS %.1f MiB"):format(peak() / MIB))
    assert.truthy(peak() <= MOST, ("%.1f MiB"):format(peak() / MIB))
    assert.equal(0, group and group:oom_kills() or 0)
  end)

  if not program.full then
    return
  end

  it("lets a good one begin beside one that has the only place, and sends a byte a second",
    function()
      running:stop()
      running = site:controller({ args = { "--max-imports=1" } })
      lab.wait_for("it is read", function()
        for _, request in ipairs(bad_sim:get("/state").nfc or {}) do
          if request.machine:find("slow", 1, true) and request["end"] == "running" then
            return true
          end
        end
      end, WITHIN)
      site:import(namespace, "late", "late")
      lab.wait_for("it waits", function()
        return site:condition("VirtualMachineImport", namespace, "late", "Reconciling").reason
          == "WaitingForPlace"
      end, WITHIN)
      site:wait_import(namespace, "late", "virtualMachineRunning", WITHIN)
      assert.equal("sourceReady", site:status("VirtualMachineImport", namespace, "slow")
        .importStatus)
    end)

  it("refuses what drips", function()
    for i = 2, #SLOW do
      local case = hostile.case(SLOW[i])
      wait_said(case.kind, case.name, case.says, 900)
    end
  end)
end)
