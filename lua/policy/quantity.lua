--- policy.quantity: sizes as Kubernetes writes them, always binary.

local MIB = 1024 * 1024

local M = { MIB = MIB }

--- quantity.mib(bytes) -> integer
-- Whole MiB that hold `bytes`, rounded up.
function M.mib(bytes)
  return (bytes + MIB - 1) // MIB
end

--- quantity.text(mib) -> "4096Mi"
-- Memory: always Mi, so that what is compared looks the same.
function M.text(mib)
  return ("%dMi"):format(mib)
end

--- quantity.storage(bytes) -> "20Gi" | "20481Mi"
-- Rounded up to whole MiB, in Gi where that is exact (Harvester's forms show Gi).
function M.storage(bytes)
  local mib = M.mib(bytes)
  if mib % 1024 == 0 then
    return ("%dGi"):format(mib // 1024)
  end
  return M.text(mib)
end

return M
