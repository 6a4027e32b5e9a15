--- policy.cpu: processors and memory, as the source has them.

local finding = require "policy.finding"
local quantity = require "base.quantity"

local M = {}

--- cpu.decide(input) -> {sockets, cores}, findings
-- The source's own topology: guests license by socket. Where the target takes fewer
-- sockets, all cores in one.
--
--   input.defaults.max_sockets  most that the target takes (default: any number)
function M.decide(input)
  local cpu = input.machine.cpu
  local most = input.defaults and input.defaults.max_sockets
  if not most or cpu.sockets <= most then
    return { sockets = cpu.sockets, cores = cpu.cores }
  end
  local all = cpu.sockets * cpu.cores
  return { sockets = 1, cores = all }, {
    finding.informs("SocketsMerged", "machine",
      ("this Harvester takes at most %d socket: %d sockets of %d cores become one of %d")
        :format(most, cpu.sockets, cpu.cores, all)),
  }
end

--- cpu.check(value) -> {sockets, cores} | nil, message
function M.check(value)
  if type(value) ~= "table" then
    return nil, "a table {sockets, cores} is expected"
  end
  for _, field in ipairs({ "sockets", "cores" }) do
    local n = value[field]
    if math.type(n) ~= "integer" or n < 1 then
      return nil, field .. " must be a whole number, at least 1"
    end
  end
  return { sockets = value.sockets, cores = value.cores }
end

--- cpu.memory(input) -> MiB, findings
-- Harvester keeps 100 MiB of the limit for itself, as with every machine made in its UI.
function M.memory(input)
  local bytes = input.machine.memory_bytes
  local mib = quantity.mib(bytes)
  if mib * quantity.MIB == bytes then
    return mib
  end
  return mib, {
    finding.informs("MemoryRounded", "machine",
      ("%d bytes of memory are not a whole number of MiB; it becomes %d MiB"):format(
        bytes, mib)),
  }
end

--- cpu.check_memory(value) -> MiB | nil, message
function M.check_memory(value)
  if math.type(value) ~= "integer" or value < 1 then
    return nil, "memory must be a whole number of MiB, at least 1"
  end
  return value
end

return M
