--- support.ovf: OVFs of spec/data/ovf, changed and read.

local finding = require "base.finding"
local machines = require "providers.machine"
local ovf = require "providers.ova.ovf"

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

local M = {}

--- ovf.text(name, changes?) -> text
-- spec/data/ovf/NAME.ovf; each key of `changes` must stand in it and is replaced once.
function M.text(name, changes)
  local file <close> = assert(io.open(("spec/data/ovf/%s.ovf"):format(name)))
  local text = file:read("a")
  for old, new in pairs(changes or {}) do
    local from, to = text:find(old, 1, true)
    assert(from, ("%s.ovf has no %s"):format(name, old))
    text = text:sub(1, from - 1) .. new .. text:sub(to + 1)
  end
  return text
end

--- ovf.machine(name, changes?, opts?) -> machine
function M.machine(name, changes, opts)
  return assert(ovf.read(M.text(name, changes), opts))
end

--- ovf.refusal(name, changes?, opts?) -> message, err
function M.refusal(name, changes, opts)
  local machine, err = ovf.read(M.text(name, changes), opts)
  assert(not machine, "it is read")
  return err.message, err
end

--- ovf.outcome(text) -> boolean: whether it is read
-- Throws when it is neither read to a sound Machine nor refused with a sound err.
function M.outcome(text)
  local machine, err = ovf.read(text, { name = "front" })
  if machine then
    check_machine(machine)
  else
    check_err(err)
  end
  return machine ~= nil
end

--- ovf.codes(machine) -> {code -> finding}: the last one of each code
function M.codes(machine)
  local found = {}
  for _, item in ipairs(machine.findings) do
    found[item.code] = item
  end
  return found
end

--- ovf.with(name, before, more) -> text: `more` before the first `before`
function M.with(name, before, more)
  return M.text(name, { [before] = more .. before })
end

return M
