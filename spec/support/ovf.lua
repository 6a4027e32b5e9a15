--- support.ovf: OVFs of spec/data/ovf, changed and read.

local ovf = require "providers.ova.ovf"

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
