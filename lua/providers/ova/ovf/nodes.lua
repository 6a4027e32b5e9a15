--- providers.ova.ovf.nodes: what the nodes of an OVF (host.xml) are called. Pure.
--
-- Names are known by the URI of their namespace, never by their prefix. Older tools
-- write <Section xsi:type="ovf:DiskSection_Type"> for <DiskSection>, oVirt and virt-v2v
-- elements of no namespace; both count.
--
-- Source: DSP0243 1.1.1 and 2.1.1; of OVF 0.9 what VMware Workstation 6.5 wrote.

local errors = require "host.error"
local texts = require "base.text"
local xml = require "host.xml"

local OVF = {
  "http://schemas.dmtf.org/ovf/envelope/1",
  "http://schemas.dmtf.org/ovf/envelope/2",
  "http://schemas.dmtf.org/ovf/envelope/1/", -- oVirt, virt-v2v
  "http://www.vmware.com/schema/ovf/1/envelope", -- 0.9
  "http://schemas.dmtf.org/ovf/1/envelope", -- 0.9
}

local LONGEST = 500 -- bytes of a message

local M = {}

--- nodes.VMWARE, nodes.VIRTUALBOX, nodes.XEN: namespaces of others
M.VMWARE = "http://www.vmware.com/schema/ovf"
M.VIRTUALBOX = "http://www.virtualbox.org/ovf/machine"
M.XEN = "http://schemas.citrix.com/ovf/envelope/1"

local known = { [""] = true }
for _, uri in ipairs(OVF) do
  known[uri] = true
end

--- nodes.fail(kind, message, fields?)
-- Throws an err that ovf.read returns.
function M.fail(kind, message, fields)
  error(errors.new(kind, texts.cut("OVF: " .. message, LONGEST), fields), 0)
end

--- nodes.refuse(form, ...)
-- Throws: the OVF cannot be imported as it is.
function M.refuse(form, ...)
  M.fail("invalid", form:format(...))
end

--- nodes.trim(text) -> text | nil: without space at its ends; nil for none
-- In time that grows with its length, however much space there is.
function M.trim(text)
  if not text or not text:find("%S") then
    return nil
  end
  return text:match("^%s*(.*%S)")
end

--- nodes.cut(text, most) -> text: its first characters, `most` bytes at most
function M.cut(text, most)
  if #text <= most then
    return text
  end
  local at = most
  while at > 0 and text:byte(at + 1) & 0xC0 == 0x80 do
    at = at - 1
  end
  return text:sub(1, at)
end

--- nodes.unique(used, wanted, place) -> id
-- `wanted`, cut short, or with its place behind it where that is used already.
function M.unique(used, wanted, place)
  local id = M.cut(wanted, 80)
  while used[id] do
    id = ("%s-%d"):format(id, place)
  end
  used[id] = true
  return id
end

--- nodes.is_ovf(uri) -> boolean: whether a namespace is OVF's, of a version that is read
function M.is_ovf(uri)
  return uri ~= "" and known[uri] == true
end

--- nodes.attr(node, name) -> text | nil
-- An attribute of OVF's, or of no namespace.
function M.attr(node, name)
  for _, uri in ipairs(OVF) do
    local value = node.attrs[("{%s}%s"):format(uri, name)]
    if value then
      return value
    end
  end
  return node.attrs[name]
end

--- nodes.foreign(node, uri, name) -> text | nil: an attribute of another namespace
function M.foreign(node, uri, name)
  return node.attrs[("{%s}%s"):format(uri, name)] or node.attrs[name]
end

--- nodes.kind(node) -> name
-- "DiskSection", however it is written.
function M.kind(node)
  local kind = (node.name == "Section" or node.name == "Content") and xml.type(node)
  return kind and kind:gsub("_Type$", "") or node.name
end

--- nodes.all(node, kind) -> nodes
-- Its children of that kind in OVF's namespace, or in none.
function M.all(node, kind)
  local found = {}
  for _, child in ipairs(node) do
    if known[child.ns] and M.kind(child) == kind then
      found[#found + 1] = child
    end
  end
  return found
end

--- nodes.first(node, kind) -> node | nil
function M.first(node, kind)
  return M.all(node, kind)[1]
end

--- nodes.text(node, ...) -> text | nil
-- The first of its children so called, in whatever namespace, that says something.
function M.text(node, ...)
  for _, name in ipairs { ... } do
    for _, child in ipairs(node) do
      local text = child.name == name and M.trim(child.text)
      if text then
        return text
      end
    end
  end
  return nil
end

--- nodes.required(node) -> true | false | nil
-- What ovf:required says; nil when it is not there.
function M.required(node)
  local value = M.trim(M.attr(node, "required"))
  if value == nil then
    return nil
  end
  return value ~= "false" and value ~= "0"
end

return M
