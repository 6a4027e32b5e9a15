--- policy.mapping: which row of networkMapping speaks of which source network.
--
-- People write what their tool shows: a name, a path, `switch/portgroup`, a reference
-- (`network-7`, or `Network:network-7`). The same reading serves to find the row for a
-- NIC and to check that the source has the network at all; upstream used two, and what
-- passed the check was then not found.

local M = {}

-- vSphere stores `/ \ %` in names as %2f %5c %25, in either case of hex.
local function plain(text)
  return (text:gsub("%%2[fF]", "/"):gsub("%%5[cC]", "\\"):gsub("%%25", "%%"))
end

-- Spellings that mean exactly this network, whatever else is called alike.
local function exact_forms(network)
  local forms = {}
  if network.id then
    forms[network.id] = true
  end
  if network.path then
    local path = plain(network.path)
    forms[path] = true
    forms[path:gsub("^/", "")] = true
    local inside = path:match("/network/(.+)$")
    if inside and inside:find("/", 1, true) then
      forms[inside] = true
    end
  end
  if network.switch and network.name then
    forms[plain(network.switch) .. "/" .. plain(network.name)] = true
  end
  return forms
end

local function folded_match(text, network, forms)
  text = text:lower()
  if network.name and plain(network.name):lower() == text then
    return true
  end
  for form in pairs(forms) do
    if form:lower() == text then
      return true
    end
  end
  return false
end

--- mapping.rank(source_network, network) -> 1 | 2 | 3 | nil
-- How well a row's sourceNetwork fits {name, id, path, switch}: 1 this very network,
-- 2 its name, 3 either in another case; nil: not at all.
function M.rank(source_network, network)
  if not source_network or not network then
    return nil
  end
  local text = plain(source_network)
  local forms = exact_forms(network)
  if forms[text] or network.id and source_network:match("^%a+:(.+)$") == network.id then
    return 1
  end
  if network.name and plain(network.name) == text then
    return 2
  end
  return folded_match(text, network, forms) and 3 or nil
end

local function differ(a, b)
  return a.destinationNetwork ~= b.destinationNetwork
    or a.networkInterfaceModel ~= b.networkInterfaceModel
end

--- mapping.find(rows, network) -> row | nil, other
-- The best fitting row, the first among equals. `other` is one that fits as well and
-- says something else, or nil.
function M.find(rows, network)
  local best, best_rank, other
  for _, row in ipairs(rows) do
    local rank = M.rank(row.sourceNetwork, network)
    if rank and (not best_rank or rank < best_rank) then
      best, best_rank, other = row, rank, nil
    elseif rank and rank == best_rank and differ(row, best) then
      other = other or row
    end
  end
  return best, other
end

--- mapping.known(source_network, networks) -> boolean
-- Whether any of a list of networks fits.
function M.known(source_network, networks)
  for _, network in ipairs(networks) do
    if M.rank(source_network, network) then
      return true
    end
  end
  return false
end

return M
