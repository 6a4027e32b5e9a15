-- The whole process in tens of MiB, whatever the disk's size; on the disk nothing but
-- the raw image.

local file = require "host.file"
local json = require "host.json"
local lab = require "support.lab"
local outcome = require "support.outcome"
local process = require "host.process"
local program = require "support.program"
local task = require "host.task"

local MIB = 2 ^ 20 // 1
local MOST = 48 * MIB
-- How much of its pools a transfer has used at once differs from run to run by some MiB,
-- the more the busier the machine is; 8 bytes for each grain of the large disk would be 8.
local APART = 7 * MIB

-- About as much data in both: what differs is the size.
local DISKS = {
  small = { pattern = "mixed", seed = 41, capacity = "1GiB", every = 4 },
  large = { pattern = "mixed", seed = 42, capacity = "64GiB", every = 256 },
}

local SCENARIO = {
  settings = { manifest = "sha1" },
  datacenters = { { path = "DC0", machines = {
    { name = "small", disks = { DISKS.small } },
    { name = "large", disks = { DISKS.large } },
  } } },
}

describe("import of a disk of 64 GiB", function()
  local home, sim, peaks

  lazy_setup(function()
    home = lab.folder()
    sim = lab.simulator(home.path, { scenario = SCENARIO })
    peaks = {}
  end)

  lazy_teardown(function()
    getmetatable(sim).__close(sim)
    getmetatable(home).__close(home)
  end)

  local function arguments(name, out, more)
    return lab.import_args(sim, home.path, { out = out, args = more,
      imports = { { name = "vm", machine = name } } })
  end

  -- Bytes on the disk of all files below, whatever their length; 0 for none.
  local function allocated(folder)
    local bytes = 0
    for _, path in ipairs(file.stat(folder) and lab.files(folder) or {}) do
      local stat = file.stat(folder .. "/" .. path)
      bytes = bytes + (stat and stat.blocks_bytes or 0)
    end
    return bytes
  end

  for _, name in ipairs { "small", "large" } do
    it(("stays within 48 MiB of memory (the %s one)"):format(name), function()
      local out = home.path .. "/" .. name
      local result, peak = program.peak(home.path, arguments(name, out))
      assert.equal(0, result.status, result.stderr)
      peaks[name] = peak
      print(("memory_spec: %s disk: peak RSS %.1f MiB"):format(name, peak / MIB))
      assert.truthy(peak <= MOST, ("%.1f MiB"):format(peak / MIB))
    end)
  end

  it("needs no more than one of 1 GiB", function()
    assert.truthy(math.abs(peaks.large - peaks.small) <= APART,
      ("%.1f and %.1f MiB"):format(peaks.large / MIB, peaks.small / MIB))
  end)

  it("needs no more for a checksum of the whole disk", function()
    local out = home.path .. "/summed"
    local result, peak = program.peak(home.path, arguments("small", out, { "--sha512" }))
    assert.equal(0, result.status, result.stderr)
    print(("memory_spec: with --sha512: peak RSS %.1f MiB"):format(peak / MIB))
    assert.truthy(peak <= MOST, ("%.1f MiB"):format(peak / MIB))
  end)

  it("is equal to its original", function()
    for name, disk in pairs(DISKS) do
      local original = home.path .. "/original.raw"
      local path = outcome.status(home.path .. "/" .. name).diskImportStatus[1].diskLocalPath
      assert(process.run({ argv = { lab.vsim, "disk", "--disk", json.encode(disk),
        "--output", original } }))
      local result = assert(process.run({ argv = { "qemu-img", "compare", "-f", "raw",
        "-F", "raw", original, path } }))
      assert.equal("Images are identical.\n", result.stdout, result.stderr)
      assert(file.remove(original))
    end
  end)

  it("takes no room but the image's own, at any moment", function()
    local whole = allocated(home.path .. "/large")
    local out = home.path .. "/scratch"
    local before = allocated(home.path)
    sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = 40 * MIB })
    local running <close> = program.start(home.path, arguments("large", out))
    local most, looks, written = 0, 0, 0
    while not running:done() do
      -- Wherever it went: another copy elsewhere would be counted too.
      local io = file.read("/proc/" .. running.pid .. "/io") or ""
      written = tonumber(io:match("\nwrite_bytes: (%d+)")) or written
      local most_now = allocated(home.path) - before
      most, looks = math.max(most, most_now), looks + 1
      for _, path in ipairs(file.stat(out) and lab.files(out) or {}) do
        assert.falsy(path:find("%.vmdk"), path)
      end
      task.sleep(0.05)
    end
    assert.equal(0, running:wait().status)
    print(("memory_spec: %d looks, at most %.1f MiB allocated, %.1f MiB written, the image "
      .. "and manifests have %.1f MiB"):format(looks, most / MIB, written / MIB, whole / MIB))
    assert.truthy(looks > 10)
    assert.truthy(most <= whole + MIB, ("%.1f MiB"):format(most / MIB))
    assert.truthy(written <= whole + 4 * MIB, ("%.1f MiB"):format(written / MIB))
  end)
end)
