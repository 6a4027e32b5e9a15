local finding = require "policy.finding"
local findings = require "flows.import.findings"
local json = require "host.json"
local sample = require "support.sample"

local function machine_of(disks, nics)
  local machine = { disks = {}, nics = {} }
  for i = 1, disks do
    machine.disks[i] = sample.disk(i - 1)
  end
  for i = 1, nics or 0 do
    machine.nics[i] = sample.nic(i - 1)
  end
  return sample.machine(machine)
end

-- A finding of each disk that `which` names by its number, from 1.
local function of_disks(which, make)
  local list = {}
  for i, n in ipairs(which) do
    list[i] = make("disk " .. 1999 + n, n)
  end
  return list
end

local function encrypted(subject)
  return finding.warns("Encrypted", subject, "encrypted", "decrypt it")
end

describe("findings.arrange", function()
  -- Disks it is true of, by their numbers -> what is said of whom.
  for text, which in pairs {
    ["Hard disk 1"] = { 1 },
    ["Hard disk 1, 2"] = { 1, 2 },
    ["Hard disk 1 to 3"] = { 3, 1, 2 },
    ["Hard disk 1 to 3, 5, 8 to 11"] = { 1, 2, 3, 5, 8, 9, 10, 11 },
  } do
    it("says it once of " .. text, function()
      local list = findings.arrange(of_disks(which, encrypted), { machine = machine_of(12) })
      assert.same({ { code = "Encrypted", severity = "Warns", subject = text,
        message = "encrypted", action = "decrypt it" } }, { table.unpack(list) })
    end)
  end

  it("says of all 256 disks what is true of them in one short line", function()
    local all = {}
    for i = 1, 256 do
      all[i] = i
    end
    local list = findings.arrange(of_disks(all, encrypted), { machine = machine_of(256) })
    assert.equal("Warns: Hard disk 1 to 256: encrypted (decrypt it)",
      findings.line(list[1]))
  end)

  it("names what differs from one to the next behind what does not", function()
    local list = findings.arrange({
      finding.blocks("NicNotMapped", "nic 4001", "not mapped", "Add a row.", '"VLAN 2"'),
      finding.blocks("NicNotMapped", "nic 4002", "not mapped", "Add a row.", '"VLAN 3"'),
      finding.blocks("NicNotMapped", "nic 4004", "not mapped", "Add a row.", '"Backup"'),
      finding.blocks("NicNotMapped", "nic 4005", "not mapped", "Add a row.", '"VLAN 4"'),
    }, { machine = machine_of(1, 10) })
    assert.equal('Blocks: Network adapter 2, 3, 5, 6: not mapped: "VLAN 2 to 4", "Backup" '
      .. "(Add a row.)", findings.line(list[1]))
    assert.is_nil(list[1].detail)
  end)

  it("keeps every message and action where those of a kind differ", function()
    local list = findings.arrange({
      finding.warns("Volume", "disk 2000", "is in error", "mend it"),
      finding.warns("Volume", "disk 2001", "is detaching", "wait"),
    }, { machine = machine_of(2) })
    assert.equal("Warns: Hard disk 1, 2: is in error; is detaching (mend it; wait)",
      findings.line(list[1]))
  end)

  it("keeps kinds and severities apart, the worst first", function()
    local list = findings.arrange({
      finding.informs("C", "machine", "m"), finding.warns("A", "x", "m"),
      finding.blocks("A", "y", "m"), finding.warns("B", "z", "m"),
    }, {})
    local seen = {}
    for i, item in ipairs(list) do
      seen[i] = item.severity .. item.code
    end
    assert.same({ "BlocksA", "WarnsA", "WarnsB", "InformsC" }, seen)
  end)

  it("names fields of a list as one", function()
    local list = {}
    for i = 0, 3 do
      list[i + 1] = finding.informs("Unused",
        ("spec.networkMapping[%d].sourceNetwork"):format(i), "unused")
    end
    assert.equal("spec.networkMapping[0 to 3].sourceNetwork",
      findings.arrange(list, {})[1].subject)
  end)

  it("counts by no digits of a UUID, and tells two of one name apart", function()
    local machine = sample.machine({ disks = {
      sample.disk(0, { name = "0a1b-71", id = "a" }),
      sample.disk(1, { name = "data", id = "b" }),
      sample.disk(2, { name = "data", id = "c" }),
      sample.disk(3, { name = "", id = "d" }),
      sample.disk(4, { name = "f00d1", id = "e" }),
      sample.disk(5, { name = "f00d2", id = "f" }),
    } })
    local list = {}
    for i, id in ipairs { "a", "b", "c", "d", "e", "f" } do
      list[i] = encrypted("disk " .. id)
    end
    assert.equal("0a1b-71, data (disk b), data (disk c), disk d, f00d1, f00d2",
      findings.arrange(list, { machine = machine })[1].subject)
  end)

  it("turns what can be skipped into warnings, and nothing else", function()
    local list = findings.arrange({ finding.blocks("ToolsNotRunning", "machine", "m"),
      finding.blocks("Suspended", "machine", "m") }, { skip = true })
    assert.equal("Suspended", list[1].code)
    assert.equal("Warns", list[2].severity)
  end)

  it("has no action where there is nothing to do", function()
    for _, action in ipairs { "", "nothing", "Nothing." } do
      local item = findings.arrange({ finding.informs("A", "machine", "m", action) }, {})[1]
      assert.equal("", item.action)
      assert.equal("Informs: machine: m", findings.line(item))
    end
  end)

  it("counts what does not fit, and loses no kind that blocks to one that does not",
    function()
      local list = {}
      for i = 1, 40 do
        list[i] = finding.informs("I" .. i, "machine", ("x"):rep(4000))
        list[40 + i] = finding.blocks("B" .. i, "machine", "short")
      end
      local arranged = findings.arrange(list, {})
      assert.is_true(#json.encode(arranged) < 70 * 1024)
      assert.equal("Blocks", arranged[40].severity)
      assert.equal("MoreFindings", arranged[#arranged].code)
      assert.matches("^%d+ more kinds", arranged[#arranged].message)
    end)
end)

describe("findings.blocking", function()
  it("names whom it is about, once", function()
    local list = findings.arrange({
      finding.blocks("A", "disk 2000", "lies nowhere", "move it"),
      finding.blocks("B", "spec.x", "spec.x is not set"),
      finding.blocks("C", "machine", "it is suspended"),
      finding.warns("D", "machine", "more"),
    }, { machine = machine_of(1) })
    assert.equal("Hard disk 1: lies nowhere (move it); spec.x is not set; it is suspended",
      findings.blocking(list))
    assert.is_nil(findings.blocking({ list[4] }))
  end)
end)

describe("findings.arrange with skip", function()
  for code, skipped in pairs { ToolsNotRunning = true, SnapshotsPresent = true,
    ConsolidationNeeded = true, NoRoomOnClass = true, NetworkNotMapped = false } do
    it(("%s %s"):format(skipped and "warns of" or "is still blocked by", code), function()
      local list = findings.arrange({ { code = code, severity = "Blocks", subject = "s",
        message = "m" } }, { skip = true })
      assert.equal(skipped and "Warns" or "Blocks", list[1].severity)
      list = findings.arrange({ { code = code, severity = "Informs", subject = "s",
        message = "m" } }, { skip = true })
      assert.equal("Informs", list[1].severity)
    end)
  end
end)
