-- Each part of a sound OVF dropped, doubled, replaced: it is read or refused, never more.
-- With VIC_FULL every fixture, else two of them.

local env = require "host.env"
local finding = require "base.finding"
local machines = require "providers.machine"
local mutant = require "support.mutant"
local ovf = require "providers.ova.ovf"
local support = require "support.ovf"

local FULL = (env.get("VIC_FULL") or "") ~= ""
local NAMES = FULL and { "vmware", "virtualbox", "ovirt", "xen", "hyperv", "appliance" }
  or { "hyperv", "appliance" }
local KINDS = { invalid = true, notfound = true }
local LONGEST = 1024

local function check_files(machine, files)
  for _, disk in ipairs(machine.disks) do
    local file = assert(files[disk.id], "a disk without its file")
    assert(file.capacity == disk.capacity_bytes and file.capacity > 0)
    local name = file.name or "a"
    assert(not ("/" .. name .. "/"):find("/%.*/") and not name:find("[%c\\]")
      and not name:find("^%a[%w+.-]*:"), name)
    assert(disk.id:find("^%w[%w._-]*$") and #disk.id <= 100, disk.id)
  end
end

local function check_machine(machine)
  local files, findings = machine.files, machine.findings
  machine.files, machine.findings = nil, nil
  assert(machines.check(machine))
  check_files(machine, files)
  for _, item in ipairs(findings) do
    assert(finding.check(item))
    assert(#item.message <= LONGEST and #(item.detail or "") <= LONGEST)
  end
end

local function check_err(err)
  assert(KINDS[err.kind], err.kind)
  assert(err.message:find("^OVF:") and #err.message <= LONGEST
    and not err.message:find("[\n\r]"), err.message)
end

-- How many were read, how many refused.
local function try(each)
  local counts = { 0, 0 }
  each(function(text, what)
    local ok, machine, err = pcall(ovf.read, text, { name = "front" })
    assert(ok, ("%s: %s"):format(what, tostring(machine)))
    counts[machine and 1 or 2] = counts[machine and 1 or 2] + 1
    local right, problem = pcall(machine and check_machine or check_err, machine or err)
    assert(right, ("%s: %s"):format(what, tostring(problem)))
  end)
  return table.unpack(counts)
end

describe("a mutant of an OVF", function()
  for _, name in ipairs(NAMES) do
    it("of " .. name .. " is read or refused", function()
      local read, refused = try(function(see)
        mutant.each(support.text(name), see)
      end)
      assert(read > 100 and refused > 10, ("%d read, %d refused"):format(read, refused))
    end)

    it("of " .. name .. " with other bytes is read or refused", function()
      local read, refused = try(function(see)
        mutant.bytes(support.text(name), FULL and 20000 or 500, 20261130, see)
      end)
      assert(read > 20 and refused > 20, ("%d read, %d refused"):format(read, refused))
    end)
  end
end)

describe("an OVF that is large in one place", function()
  local function seconds(text)
    local from = os.clock()
    ovf.read(text)
    return os.clock() - from
  end

  it("takes time that grows with its size alone", function()
    local spaces, zeros = (" "):rep(60000), ("0"):rep(1 << 20)
    for before, text in pairs {
      ["<Name>"] = ("<Name>%s</Name><Name>%sa%sb%s</Name>"):format(spaces, spaces, spaces,
        spaces),
      ["<Item>"] = ("<Item><rasd:ResourceType>%s</rasd:ResourceType></Item>"):format(zeros),
      ["</References>"] = ('<File ovf:id="f" ovf:href="a"/>'):rep(30000),
      ["</DiskSection>"] = ('<Disk ovf:diskId="d"/>'):rep(40000),
      ["</Envelope>"] = ("<VirtualSystem/>"):rep(50000),
    } do
      assert(seconds(support.with("vmware", before, text)) < 5, before)
    end
  end)
end)
