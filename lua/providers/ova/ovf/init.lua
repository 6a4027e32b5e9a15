--- providers.ova.ovf: an OVF -> the neutral Machine, and where its disks are. Pure.
--
-- Reads what VMware, VirtualBox, oVirt, Citrix and Hyper-V's converters write, in OVF 0.9
-- to 2. What cannot be read right is refused, what does not come along is a finding.

local disks_of = require "providers.ova.ovf.disks"
local errors = require "host.error"
local finding = require "base.finding"
local guest = require "providers.ova.ovf.guest"
local hardware = require "providers.ova.ovf.hardware"
local items_of = require "providers.ova.ovf.items"
local left = require "providers.ova.ovf.left"
local machines = require "providers.machine"
local nics_of = require "providers.ova.ovf.nics"
local nodes = require "providers.ova.ovf.nodes"
local product = require "providers.ova.ovf.product"
local references = require "providers.ova.ovf.references"
local settings_of = require "providers.ova.ovf.settings"
local systems = require "providers.ova.ovf.systems"
local texts = require "base.text"
local virtualbox = require "providers.ova.ovf.virtualbox"
local xml = require "host.xml"

local LARGEST, MOST_MEMORY = 4 << 20, 16 << 20 -- bytes of an OVF, as text and as nodes
local MOST_FINDINGS = 1000

local M = {}

local function parse(text)
  local root, err = xml.parse(text, { max_size = LARGEST, max_memory = MOST_MEMORY,
    what = "OVF" })
  if not root then
    error(errors.new("invalid", texts.cut(err.message, 500)), 0)
  elseif root.name ~= "Envelope" or not nodes.is_ovf(root.ns) then
    nodes.refuse('it begins with <%s> of "%s", not with an Envelope of OVF 0.9, 1 or 2',
      root.name, root.ns)
  end
  return root
end

-- What was chosen among several, and nobody asked for.
local function choices(found, opts, findings)
  local system = found.system
  local add = function(...)
    findings[#findings + 1] = finding.new(...)
  end
  if opts.name and opts.name ~= system.name and opts.name ~= system.id
    and opts.name ~= system.identifier then
    add("Warns", "OvfNameDiffers", "machine", ('the one machine of the OVF is called '
      .. '"%s", not "%s"'):format(system.name or "", opts.name),
      "see that the source is the right one")
  end
  if #found.configurations > 1 and not opts.configuration then
    add("Informs", "OvfConfigurationChosen", "machine", ("the OVF has %d configurations, "
      .. "and its default is taken"):format(#found.configurations),
      "state spec.ovfConfiguration for another one", ("%s of %s"):format(
      found.configuration, table.concat(found.configurations, ", ")))
  end
  if #system.hardware > 1 then
    add("Informs", "OvfHardwareChosen", "machine", ("the OVF describes the hardware in "
      .. "%d ways; the first is taken"):format(#system.hardware))
  end
end

local function empty_disks(machine, files, findings)
  for _, disk in ipairs(machine.disks) do
    if not files[disk.id].href then
      findings[#findings + 1] = finding.informs("OvfDiskEmpty", "disk " .. disk.id,
        "the OVF has no file for it; it comes as an empty disk")
    end
  end
end

-- Disks that other systems of the OVF use are no loss.
local function mark_used(found, used)
  for _, system in ipairs(found.systems) do
    for _, section in ipairs(system.hardware) do
      for _, node in ipairs(section) do
        local resource = nodes.text(node, "HostResource")
        local disk = resource and references.disk_of(found.refs, resource)
        if disk then
          used[disk] = true
        end
      end
    end
  end
end

-- Texts of others are cut, and shown as they are.
local function shown(findings)
  if #findings > MOST_FINDINGS then
    nodes.refuse("more than %d things in it would not come along", MOST_FINDINGS)
  end
  for _, item in ipairs(findings) do
    item.subject = texts.cut(item.subject, 100)
    item.message = texts.cut(item.message, 500)
    item.detail = item.detail and texts.cut(item.detail, 300)
  end
  return findings
end

local function findings_of(found, opts, machine, files, used, findings)
  choices(found, opts, findings)
  mark_used(found, used)
  left.devices(found.items, disks_of.items(found.items, found.refs), findings)
  left.disks(found.refs.list, used, findings)
  left.sections(found.root, found.system, findings)
  left.settings(found.settings, findings)
  left.start(found.system, found.settings, found.part, findings)
  left.properties(found.system, found.keys, findings)
  empty_disks(machine, files, findings)
end

local function collect(text, opts)
  local root = parse(text)
  local found = { root = root, systems = systems.read(root),
    refs = references.read(root) }
  found.system = systems.pick(found.systems, opts.name)
  local system = found.system
  if #system.hardware == 0 then
    nodes.refuse('virtual system "%s" has no VirtualHardwareSection', system.name or "")
  end
  found.configuration, found.configurations =
    systems.configuration(root, opts.configuration)
  found.items = items_of.read(system.hardware[1], found.configuration)
  found.settings, found.part = settings_of.read(system), virtualbox.read(system)
  found.values, found.keys = product.properties(system, found.configuration)
  return found
end

local function read(text, opts)
  local found, findings = collect(text, opts), {}
  local system, items, part = found.system, found.items, found.part
  local resolve = product.resolver(found.values)
  local disks, files, used = disks_of.read(system, items, found.refs, found.settings,
    resolve)
  local machine = assert(machines.check({
    id = nodes.cut(system.id or "machine", 253),
    name = nodes.cut(system.name or "machine", 253),
    description = product.description(found.root, system),
    uuid = guest.uuid(system, found.settings, part),
    cpu = hardware.cpu(items, found.settings),
    memory_bytes = hardware.memory(items, resolve),
    firmware = hardware.firmware(system, items, found.settings, part),
    guest = guest.read(system, part), power_state = "off", disks = disks,
    nics = nics_of.read(items, part),
  }))
  findings_of(found, opts, machine, files, used, findings)
  machine.files, machine.findings = files, shown(findings)
  return machine
end

--- ovf.read(text, opts?) -> machine | nil, err
--
--   text                string  the OVF
--   opts.name           string  which of its virtual systems; of one alone that one is
--                               taken, and a finding says when it is called otherwise
--   opts.configuration  string  which of its deployment options; else its default
--   machine             table   as providers.machine has it, and besides
--     .findings         list    what does not come along, and what was chosen
--     .files            table   disk id -> {href, name, format, compression, chunk_size,
--                               size, capacity}; no href: an empty disk; name: the href
--                               without "%20"; format: one of qemu-img's words that
--                               disk/formats.lua has, or "auto"; compression: "gzip" or
--                               nil; size: the file's, bytes, as the OVF says, or nil
--   err                 invalid   what is wrong where, or not supported
--                       notfound  several systems and none is meant, or no such
--                                 configuration; err.candidates: names of those there are
--
-- populatedSize is never looked at: it is wrong often.
-- Source: DSP0243 1.1.1 and 2.1.1.
function M.read(text, opts)
  local ok, machine = pcall(read, text, opts or {})
  if ok then
    return machine
  elseif type(machine) == "table" and machine.kind then
    return nil, machine
  end
  error(machine, 0)
end

return M
