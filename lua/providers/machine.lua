--- providers.machine: the neutral Machine, what every source's inspect returns.
--
-- All that policy sees of a source, and recorded in status.machine: no secret is in it,
-- and no field is vendor-specific. Sizes are bytes.
--
--   id            string   the source's own, stable
--   name          string   as people read it (`a/b`, not `a%2fb`), UTF-8
--   description   string   notes                                          (default "")
--   path          string   where it stands in the source                  (default "")
--   uuid          string   SMBIOS UUID as the guest reads it, 8-4-4-4-12 hex digits
--                                                                         (optional)
--   serial        string   SMBIOS serial, as the guest reads it           (optional)
--   cpu           {sockets, cores}: cores of each socket; both at least 1
--   memory_bytes  integer  more than 0
--   firmware      {uefi, secure_boot, tpm}: booleans                      (default false)
--   guest         {id, family, name, tools_running, hostname}
--                   id        string   the source's identifier            (default "")
--                   family    "linux" | "windows" | "other"               (default other)
--                   name      string   for people                         (default "")
--                   tools_running  boolean  can be shut down from inside  (default false)
--                   hostname  string                                      (optional)
--   power_state   "on" | "off" | "suspended"
--   disks         list, in the machine's order
--     id              string   unique in the machine; the export knows the disk by it
--     name            string   for people                                 (default id)
--     capacity_bytes  integer
--     bus             "scsi" | "sata" | "nvme" | "ide" | "virtio" | "usb"
--     controller      string   class bus:unit, "ParaVirtualSCSIController0:0"; a SCSI
--                              controller whose class begins with "virtio" is
--                              virtio-scsi                                (default "")
--     boot_order      integer  1 first                                    (optional)
--     serial          string   as the guest reads it                      (optional)
--     datastore       string                                              (optional)
--   nics          list, in the machine's order                            (default {})
--     id              string   unique in the machine
--     name            string   for people                                 (default id)
--     mac             string   lower case, colons                         (optional)
--     network         {name, id, path, switch}: strings, each optional    (default {})
--     model           string   the source's word: "vmxnet3", "e1000"      (default "")
--     addresses       list of strings, as far as the guest tells          (default {})
--     connected       boolean  would be connected after a start           (default true)
--   snapshots     integer                                                 (default 0)
--   concerns      list of findings                                        (default {})
--                 {code, severity "Blocks"|"Warns"|"Informs", subject, message, action,
--                 detail}, as policy.finding has them

local errors = require "host.error"
local json = require "host.json"

local M = {}

local FAMILIES = { linux = true, windows = true, other = true }
local POWER_STATES = { on = true, off = true, suspended = true }
local BUSES = { scsi = true, sata = true, nvme = true, ide = true, virtio = true,
  usb = true }
local SEVERITIES = { Blocks = true, Warns = true, Informs = true }

-- A field's rule: the type, whether it must be there, what it is if it is not.
local function required(kind)
  return { kind = kind, required = true }
end

local function optional(kind, default)
  return { kind = kind, default = default }
end

local MACHINE = {
  id = required("string"), name = required("string"),
  description = optional("string", ""), path = optional("string", ""),
  uuid = optional("string"), serial = optional("string"), cpu = required("table"),
  memory_bytes = required("integer"), firmware = optional("table"),
  guest = optional("table"), power_state = required("string"),
  disks = required("table"), nics = optional("table"),
  snapshots = optional("integer", 0), concerns = optional("table"),
}
local CPU = { sockets = required("integer"), cores = required("integer") }
local FIRMWARE = {
  uefi = optional("boolean", false), secure_boot = optional("boolean", false),
  tpm = optional("boolean", false),
}
local GUEST = {
  id = optional("string", ""), family = optional("string", "other"),
  name = optional("string", ""), tools_running = optional("boolean", false),
  hostname = optional("string"),
}
local DISK = {
  id = required("string"), name = optional("string"),
  capacity_bytes = required("integer"), bus = required("string"),
  controller = optional("string", ""), boot_order = optional("integer"),
  serial = optional("string"), datastore = optional("string"),
}
local NIC = {
  id = required("string"), name = optional("string"), mac = optional("string"),
  network = optional("table"), model = optional("string", ""),
  addresses = optional("table"), connected = optional("boolean", true),
}
local NETWORK = {
  name = optional("string"), id = optional("string"), path = optional("string"),
  switch = optional("string"),
}
local FINDING = {
  code = required("string"), severity = required("string"),
  subject = required("string"), message = required("string"),
  action = optional("string", ""), detail = optional("string"),
}

local function is_a(value, kind)
  if kind == "integer" then
    return math.type(value) == "integer"
  end
  return type(value) == kind
end

-- Throws a plain string; check turns it into an err.
local function wrong(path, text)
  error(path .. ": " .. text, 0)
end

local function fields(value, rules, path)
  if type(value) ~= "table" then
    wrong(path, "a table is expected, not a " .. type(value))
  end
  for field in pairs(value) do
    if not rules[field] then
      wrong(path, ("no such field: %s"):format(tostring(field)))
    end
  end
  for field, rule in pairs(rules) do
    local item = value[field]
    if item == nil and rule.required then
      wrong(path .. "." .. field, "is missing")
    elseif item == nil then
      value[field] = rule.default
    elseif not is_a(item, rule.kind) then
      wrong(path .. "." .. field, ("expected %s, not %s"):format(rule.kind,
        math.type(item) or type(item)))
    end
  end
end

local function one_of(value, allowed, path)
  if not allowed[value] then
    wrong(path, ("\"%s\" is none of the values allowed"):format(value))
  end
end

local function at_least(value, least, path)
  if value < least then
    wrong(path, ("%d is less than %d"):format(value, least))
  end
end

-- Each item of a list by `check`; an id twice is refused.
local function each(list, path, check)
  local seen = {}
  for i, item in ipairs(list) do
    local here = ("%s[%d]"):format(path, i)
    check(item, here)
    local id = type(item) == "table" and item.id
    if id and seen[id] then
      wrong(here .. ".id", ("\"%s\" is there twice"):format(id))
    end
    seen[id or i] = true
  end
end

local function check_disk(disk, path)
  fields(disk, DISK, path)
  disk.name = disk.name or disk.id
  one_of(disk.bus, BUSES, path .. ".bus")
  if disk.boot_order then
    at_least(disk.boot_order, 1, path .. ".boot_order")
  end
end

local function check_nic(nic, path)
  fields(nic, NIC, path)
  nic.name = nic.name or nic.id
  nic.network = nic.network or {}
  fields(nic.network, NETWORK, path .. ".network")
  nic.addresses = json.array(nic.addresses or {})
  for i, address in ipairs(nic.addresses) do
    if type(address) ~= "string" then
      wrong(("%s.addresses[%d]"):format(path, i), "a string is expected")
    end
  end
end

local function check_finding(item, path)
  fields(item, FINDING, path)
  one_of(item.severity, SEVERITIES, path .. ".severity")
end

local function check_machine(machine)
  fields(machine, MACHINE, "machine")
  fields(machine.cpu, CPU, "machine.cpu")
  at_least(machine.cpu.sockets, 1, "machine.cpu.sockets")
  at_least(machine.cpu.cores, 1, "machine.cpu.cores")
  at_least(machine.memory_bytes, 1, "machine.memory_bytes")
  at_least(machine.snapshots, 0, "machine.snapshots")
  machine.firmware = machine.firmware or {}
  fields(machine.firmware, FIRMWARE, "machine.firmware")
  machine.guest = machine.guest or {}
  fields(machine.guest, GUEST, "machine.guest")
  one_of(machine.guest.family, FAMILIES, "machine.guest.family")
  one_of(machine.power_state, POWER_STATES, "machine.power_state")
  machine.disks = json.array(machine.disks)
  machine.nics = json.array(machine.nics or {})
  machine.concerns = json.array(machine.concerns or {})
  each(machine.disks, "machine.disks", check_disk)
  each(machine.nics, "machine.nics", check_nic)
  each(machine.concerns, "machine.concerns", check_finding)
end

--- machine.check(m) -> m | nil, err
-- Checks every field and fills in the defaults, in `m` itself; lists are marked as such.
-- A disk of 0 bytes or a foolish MAC is not its business: policy reports those.
--
--   err  invalid: names the field ("machine.disks[1].bus: ...")
function M.check(m)
  local ok, message = pcall(check_machine, m)
  if ok then
    return m
  end
  return nil, errors.new("invalid", message)
end

return M
