-- Sources and disks that mean harm, all at once and over again in one process, beside a good
-- import: each is refused with a reason that names the thing, the process stays small, and
-- the good import ends right. With VIC_FULL also those that only time tells, ten at a time,
-- and ten of one kind.

local file = require "host.file"
local hostile = require "support.hostile"
local json = require "host.json"
local lab = require "support.lab"
local outcome = require "support.outcome"
local program = require "support.program"

local MIB = 1 << 20
local MOST = 96 * MIB
local AT_ONCE = 10
local PROCESS = "spec/support/hostile_process.lua"
local DISK = { pattern = "mixed", seed = 7, capacity = "32MiB" }
local SCENARIO = { datacenters = { { path = "DC0", machines = {
  { name = "good", disks = { DISK } },
} } } }

-- Each one at its server, ten of a kind where `times` is ten.
local function serve(cases, times)
  local asked, servers = {}, {}
  for _, case in ipairs(cases) do
    for n = 1, times do
      servers[#servers + 1] = hostile.serve(case)
      asked[#asked + 1] = { name = case.name .. (times > 1 and "-" .. n or ""),
        kind = case.kind, url = servers[#servers].url, format = case.format,
        capacity = case.capacity, least_rate = case.least_rate, rate_over = case.rate_over }
    end
  end
  return asked, setmetatable({}, { __close = function()
    for _, server in ipairs(servers) do
      server:close()
    end
  end })
end

describe("an import beside hostile sources", function()
  local home, sim, original

  lazy_setup(function()
    home = lab.folder()
    sim = lab.simulator(home.path, { scenario = SCENARIO })
    original = lab.original(home.path, DISK)
  end)

  lazy_teardown(function()
    getmetatable(sim).__close(sim)
    getmetatable(home).__close(home)
  end)

  -- Of `cases`, each asked `times` times at once.
  local function check(what, cases, times)
    local asked, closing = serve(cases, times or 1)
    local _ <close> = closing
    local out, list = home.path .. "/" .. what, home.path .. "/" .. what .. ".json"
    assert(file.write(list, json.encode(asked)))
    local args = lab.import_args(sim, home.path, { out = out,
      imports = { { name = "vm", machine = "good" } } })
    local result, peak = program.peak(home.path, { "script", PROCESS, list,
      table.unpack(args, 2) })
    assert.equal(0, result.status, result.stderr)
    print(("hostile_spec: %s: %d at once of %d kinds, peak RSS %.1f MiB"):format(what,
      #asked, #cases, peak / MIB))
    local said = assert(json.decode(result.stdout:match("[^\n]*\n$")))
    for name, case in pairs(hostile.by_name(asked, cases)) do
      assert.truthy((said[name] or ""):find(case.says), ("%s: %q is not in: %s"):format(
        name, case.says, tostring(said[name])))
    end
    assert.truthy(peak <= MOST, ("%.1f MiB"):format(peak / MIB))
    local disk = outcome.status(out).diskImportStatus[1]
    assert.equal(original, lab.sha512(disk.diskLocalPath))
  end

  local cases = hostile.cases(program.full)
  it("ends right, and each is refused, all at once", function()
    check("all", hostile.cases(false))
  end)

  if not program.full then
    return
  end

  for first = 1, #cases, AT_ONCE do
    it(("ends right, and each is refused (ten, from the %dth on)"):format(first), function()
      check("from" .. first, table.move(cases, first,
        math.min(first + AT_ONCE, #cases + 1) - 1, 1, {}))
    end)
  end

  for _, case in ipairs(cases) do
    if case.alone then
      it("ends right beside ten of one kind: " .. case.name, function()
        check("ten-" .. case.name, { case }, AT_ONCE)
      end)
    end
  end
end)
