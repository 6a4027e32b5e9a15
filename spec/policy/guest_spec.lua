local guest = require "policy.guest"
local plan = require "policy.plan"
local sample = require "support.sample"

local function os_of(source)
  return guest.decide({ machine = { guest = source } })
end

describe("policy.guest", function()
  it("believes the source where it knows the family", function()
    assert.equal("windows", os_of({ family = "windows", id = "ubuntu64Guest" }))
    assert.equal("linux", os_of({ family = "linux" }))
  end)

  it("else reads the identifier", function()
    local expected = {
      windows9_64Guest = "windows", windows2019srv_64Guest = "windows",
      winNetStandardGuest = "windows", winXPProGuest = "windows",
      ubuntu64Guest = "linux", rhel9_64Guest = "linux", sles15_64Guest = "linux",
      debian12_64Guest = "linux", other5xLinux64Guest = "linux", rocky = "linux",
      vmwarePhoton64Guest = "linux", amazonlinux3_64Guest = "linux",
    }
    for id, os in pairs(expected) do
      assert.equal(os, os_of({ family = "other", id = id }), id)
    end
  end)

  it("else the name, in which \"win\" alone means nothing", function()
    assert.equal("windows", os_of({ family = "other", name = "Microsoft Windows 11" }))
    assert.equal("linux", os_of({ family = "other", name = "Linux 2.6.32" }))
    assert.equal("linux", os_of({ family = "other", name = "SUSE openSUSE (64-bit)" }))
    assert.equal("linux", os_of({ family = "other", name = "Debian GNU" }))
    assert.is_nil(os_of({ family = "other", name = "Darwin 20", id = "darwin20_64" }))
  end)

  it("knows what it does not know", function()
    for _, id in ipairs({ "otherGuest", "otherGuest64", "freebsd13_64Guest", "",
      "os2Guest", "solaris11_64Guest", "vmkernel7Guest" }) do
      assert.is_nil(os_of({ family = "other", id = id }), id)
    end
  end)

  it("labels the machine with it, or not at all", function()
    local function label(family)
      local p = assert(plan.build(sample.input({ guest = { family = family } })))
      return p.virtual_machine.metadata.labels["harvesterhci.io/os"]
    end
    assert.equal("linux", label("linux"))
    assert.equal("windows", label("windows"))
    assert.is_nil(label("other"))
  end)

  it("tells Windows, and nobody else, that it is virtual", function()
    local function domain(family)
      local p = assert(plan.build(sample.input({ guest = { family = family } })))
      return p.virtual_machine.spec.template.spec.domain
    end
    local windows = domain("windows")
    assert.same({
      relaxed = { enabled = true },
      vapic = { enabled = true },
      spinlocks = { enabled = true, spinlocks = 8191 },
    }, windows.features.hyperv)
    assert.is_true(windows.clock.timer.hyperv.present)
    assert.is_false(windows.clock.timer.hpet.present)
    for _, family in ipairs({ "linux", "other" }) do
      assert.is_nil(domain(family).features.hyperv)
      assert.is_nil(domain(family).clock)
      assert.same({ enabled = true }, domain(family).features.acpi)
    end
  end)

  describe("and its clock", function()
    local function clock(family, zone)
      local p = assert(plan.build(sample.input({ guest = { family = family } },
        { timeZone = zone })))
      return p.virtual_machine.spec.template.spec.domain.clock, p.findings
    end

    it("is in UTC, which Windows is warned of", function()
      local windows, found = clock("windows")
      assert.same({}, windows.utc)
      assert.is_nil(windows.timezone)
      assert.equal("Warns", sample.find(found, "WindowsClockInUtc").severity)
      for _, family in ipairs({ "linux", "other" }) do
        assert.is_nil(sample.find(select(2, clock(family)), "WindowsClockInUtc"))
      end
    end)

    it("is in the zone that the import names", function()
      local windows, found = clock("windows", "Asia/Tokyo")
      assert.equal("Asia/Tokyo", windows.timezone)
      assert.is_nil(windows.utc)
      assert.is_true(windows.timer.hyperv.present)
      assert.is_nil(sample.find(found, "WindowsClockInUtc"))
      assert.same({ timezone = "Etc/GMT+1" }, clock("linux", "Etc/GMT+1"))
    end)

    it("is in no zone whose name is none", function()
      for _, zone in ipairs({ "/etc/passwd", "../UTC", "Europe/", "Europe//Berlin", "a b", "1",
        "Europe/Berlin\n", ("A"):rep(65) }) do
        local windows, found = clock("windows", zone)
        assert.is_nil(windows.timezone, zone)
        assert.equal("Blocks", sample.find(found, "TimeZoneInvalid").severity)
      end
      for _, zone in ipairs({ "UTC", "America/Argentina/Buenos_Aires", "Etc/GMT-14", "EST5EDT" }) do
        assert.equal(zone, (clock("windows", zone)).timezone)
      end
    end)
  end)
end)
