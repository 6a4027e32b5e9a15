--- providers.ova.ovf.product: what an OVF says of the software in it: annotation,
-- product, properties. Pure.

local nodes = require "providers.ova.ovf.nodes"

local M = {}

local function holders(system)
  local list = table.move(system.above, 1, #system.above, 1, {})
  list[#list + 1] = system.node
  return list
end

-- Text by ovf:msgid, of the Strings that are in the OVF itself; the first language.
local function strings_of(root)
  local found = {}
  for _, section in ipairs(nodes.all(root, "Strings")) do
    for _, node in ipairs(nodes.all(section, "Msg")) do
      local id = nodes.attr(node, "msgid")
      if id and not found[id] then
        found[id] = node.text
      end
    end
  end
  return found
end

local function message(parent, name, strings)
  local node = parent and nodes.first(parent, name)
  local id = node and nodes.attr(node, "msgid")
  return node and (nodes.trim(node.text) or id and nodes.trim(strings[id]))
end

--- product.description(root, system) -> text
-- The annotation, and a line of product, version and vendor; 4 KiB at most.
function M.description(root, system)
  local strings, lines = strings_of(root), {}
  lines[1] = message(nodes.first(system.node, "AnnotationSection"), "Annotation", strings)
    or nodes.text(system.node, "Description")
  local section = nodes.first(system.node, "ProductSection")
  local words = {}
  for _, name in ipairs { "Product", "FullVersion", "Vendor" } do
    words[#words + 1] = message(section, name, strings)
      or name == "FullVersion" and message(section, "Version", strings) or nil
  end
  lines[#lines + 1] = #words > 0 and table.concat(words, ", ") or nil
  return nodes.cut(table.concat(lines, "\n"), 4096)
end

-- "class.key.instance"
local function full_key(section, node)
  local parts = {}
  for _, part in ipairs {
    nodes.attr(section, "class") or "", nodes.attr(node, "key") or "",
    nodes.attr(section, "instance") or "",
  } do
    parts[#parts + 1] = part ~= "" and part or nil
  end
  return table.concat(parts, ".")
end

-- In a configuration a property may have another value.
local function value_of(node, configuration)
  for _, value in ipairs(nodes.all(node, "Value")) do
    if configuration and nodes.attr(value, "configuration") == configuration then
      return nodes.attr(value, "value")
    end
  end
  return nodes.attr(node, "value")
end

--- product.properties(system, configuration) -> values, keys
--
--   values  table  full key -> text: what each property is unless somebody sets it
--   keys    list   those that whoever deploys is to set
function M.properties(system, configuration)
  local values, keys = {}, {}
  for _, holder in ipairs(holders(system)) do
    for _, section in ipairs(nodes.all(holder, "ProductSection")) do
      for _, node in ipairs(nodes.all(section, "Property")) do
        local key = full_key(section, node)
        values[key] = value_of(node, configuration)
        if nodes.attr(node, "userConfigurable") == "true" then
          keys[#keys + 1] = key
        end
      end
    end
  end
  return values, keys
end

--- product.resolver(values) -> function (text) -> text
-- Which puts in what "${key}" stands for; one that is not known stays.
function M.resolver(values)
  return function(text)
    local key = text:match("^%s*%${([^}]+)}%s*$")
    return key and values[key] or text
  end
end

return M
