--- targets.quantity: a Kubernetes quantity as a number. Pure.

local M = {}

local UNITS = { [""] = 1, k = 1e3, M = 1e6, G = 1e9, T = 1e12, P = 1e15, E = 1e18,
  Ki = 2 ^ 10, Mi = 2 ^ 20, Gi = 2 ^ 30, Ti = 2 ^ 40, Pi = 2 ^ 50, Ei = 2 ^ 60, m = 1e-3 }

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
