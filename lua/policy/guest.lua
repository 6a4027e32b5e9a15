--- policy.guest: which operating system, and what it is sure to start with.
--
-- Source of the identifiers: vSphere's VirtualMachineGuestOsIdentifier, the osType of
-- an OVF, Glance's os_distro; each names a distribution first, then a version.

local finding = require "policy.finding"

local M = {}

local LINUX = {
  "almalinux", "amazonlinux", "arch", "asianux", "centos", "coreos", "crxpod", "crxsys",
  "debian", "fedora", "flatcar", "fusionos", "genericlinux", "gentoo", "kylinlinux",
  "linux", "mandrake", "mandriva", "miraclelinux", "nld", "oes", "opensuse",
  "oraclelinux", "pardus", "prolinux", "redhat", "rhel", "rocky", "sjds", "sled", "sles",
  "suse", "turbolinux", "ubuntu", "vmwarephoton",
}

-- Free text, so no bare "win": it is in "Darwin".
local WORDS = {
  { "windows", "windows" }, { "linux", "linux" }, { "ubuntu", "linux" },
  { "debian", "linux" }, { "centos", "linux" }, { "fedora", "linux" },
  { "red hat", "linux" }, { "suse", "linux" }, { "photon", "linux" },
}

local function from_id(id)
  if id:find("^win") then
    return "windows"
  end
  if id:find("^other.*linux") then
    return "linux"
  end
  for _, prefix in ipairs(LINUX) do
    if id:sub(1, #prefix) == prefix then
      return "linux"
    end
  end
  return nil
end

local function from_name(text)
  for _, word in ipairs(WORDS) do
    if text:find(word[1], 1, true) then
      return word[2]
    end
  end
  return nil
end

--- guest.decide(input) -> "linux" | "windows" | nil
-- The label harvesterhci.io/os; nil where neither fits (Harvester then assumes Linux).
function M.decide(input)
  local guest = input.machine.guest
  if guest.family == "linux" or guest.family == "windows" then
    return guest.family
  end
  return from_id((guest.id or ""):lower()) or from_name((guest.name or ""):lower())
end

--- guest.check(value) -> value | nil, message
function M.check(value)
  if value == nil or value == "" then
    return nil
  end
  if value == "linux" or value == "windows" then
    return value
  end
  return nil, "linux or windows is expected"
end

--- guest.features(os) -> domain.features.hyperv | nil
-- Harvester overcommits processors. A Windows that is not told it is virtual takes a late
-- timer for a hardware fault and stops; these three are understood since Windows 2008,
-- ignored before, and need nothing of the node or of live migration.
function M.features(os)
  if os ~= "windows" then
    return nil
  end
  return {
    relaxed = { enabled = true },
    vapic = { enabled = true },
    spinlocks = { enabled = true, spinlocks = 8191 },
  }
end

--- guest.clock(os, time_zone) -> domain.clock | nil
-- The timers Windows keeps time with under KVM; without them it burns a core when idle.
--
--   time_zone  string  spec.timeZone: of the hardware clock; nil: UTC
function M.clock(os, time_zone)
  if os ~= "windows" then
    return time_zone and { timezone = time_zone } or nil
  end
  return {
    timezone = time_zone,
    utc = not time_zone and {} or nil,
    timer = {
      hpet = { present = false },
      hyperv = { present = true },
      pit = { tickPolicy = "delay" },
      rtc = { tickPolicy = "catchup" },
    },
  }
end

--- guest.concerns(os, time_zone) -> findings | nil
function M.concerns(os, time_zone)
  if os ~= "windows" or time_zone then
    return nil
  end
  return {
    finding.warns("WindowsClockInUtc", "machine", "Windows takes the hardware clock for "
      .. "local time, and here it is in UTC: until network time corrects it the guest's "
      .. "clock is off by its zone, and log-ins by Kerberos fail",
      "set spec.timeZone to the guest's zone, as Europe/Berlin; leave it where Windows "
      .. "itself is set to UTC"),
  }
end

return M
