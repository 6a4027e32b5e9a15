-- Each part of a sound OVF dropped, doubled, replaced: it is read or refused, never more.
-- With VIC_FULL every fixture, else two of them.

local env = require "host.env"
local mutant = require "support.mutant"
local ovf = require "providers.ova.ovf"
local support = require "support.ovf"

local FULL = (env.get("VIC_FULL") or "") ~= ""
local NAMES = FULL and { "vmware", "virtualbox", "ovirt", "xen", "hyperv", "appliance" }
  or { "hyperv", "appliance" }

-- How many were read, how many refused.
local function try(each)
  local counts = { 0, 0 }
  each(function(text, what)
    local ok, is_read = pcall(support.outcome, text)
    assert(ok, ("%s: %s"):format(what, tostring(is_read)))
    counts[is_read and 1 or 2] = counts[is_read and 1 or 2] + 1
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
