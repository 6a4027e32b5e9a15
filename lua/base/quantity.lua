--- base.quantity: quantities as Kubernetes writes them: made, always binary, and read.

local MIB = 1024 * 1024

local M = { MIB = MIB }

local UNITS = { [""] = 1, k = 1e3, M = 1e6, G = 1e9, T = 1e12, P = 1e15, E = 1e18,
  Ki = 2 ^ 10, Mi = 2 ^ 20, Gi = 2 ^ 30, Ti = 2 ^ 40, Pi = 2 ^ 50, Ei = 2 ^ 60, m = 1e-3 }

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

--- quantity.parse(text) -> integer | nil
-- "10Gi", "3", "1.5T", "2e3"; rounded up. Nil: it is none.
--
-- Source: k8s.io/apimachinery, resource.Quantity.
function M.parse(text)
  if math.type(text) == "integer" then
    return text
  end
  local number, unit = tostring(text):match("^([%d.]+[eE]?[+-]?%d*)(%a*)$")
  local value = tonumber(number)
  if not value then -- "1E" is ten to the power of 18
    number, unit = tostring(text):match("^([%d.]+)(%a*)$")
    value = tonumber(number)
  end
  local factor = value and UNITS[unit]
  return factor and math.tointeger(math.ceil(value * factor)) or nil
end

return M
