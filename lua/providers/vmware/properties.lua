--- providers.vmware.properties: reading properties of managed objects.
--
-- An answer may come in pages, lack what the account may not see, or refuse a property
-- that this release of vSphere does not know; the caller sees one plain table.

local bounds = require "providers.bounds"
local errors = require "host.error"
local faults = require "providers.vmware.faults"
local session_of = require "providers.vmware.session"
local soap = require "providers.vmware.soap"
local text = require "base.text"
local xml = require "host.xml"

local PAGE = 500    -- objects in one answer: some 300 KiB
local MOST_PROBLEM = 200 -- bytes of what is wrong with an answer
local RESTARTS = 2  -- of a retrieval whose pages broke off

local M = {}

-- {type -> paths} -> propSet pairs, types sorted so that a request is always the same.
local function property_sets(wanted)
  local types, sets = {}, {}
  for name in pairs(wanted) do
    types[#types + 1] = name
  end
  table.sort(types)
  for _, name in ipairs(types) do
    local set = { { "type", name } }
    for _, path in ipairs(wanted[name]) do
      set[#set + 1] = { "pathSet", path }
    end
    sets[#sets + 1] = { "propSet", set }
  end
  return sets
end

local function arguments(session, wanted, objects)
  local spec = property_sets(wanted)
  for _, object in ipairs(objects) do
    spec[#spec + 1] = { "objectSet", object }
  end
  return {
    _this = session.content.propertyCollector,
    { "specSet", spec },
    { "options", { { "maxObjects", PAGE } } },
  }
end

-- The one child of that name; throws where it is missing, or there twice.
local function only(node, name, of)
  local all = xml.children(node, name)
  if #all ~= 1 then
    error(("%s %s %s"):format(of, #all == 0 and "has no" or "has more than one", name), 0)
  end
  return all[1]
end

-- One object of a page; throws a plain text that says what is wrong with it.
local function object_of(node)
  local ref = session_of.reference(only(node, "obj", "an object"))
  if not ref then
    error("an object's obj is no reference", 0)
  end
  local object = { ref = ref, props = {}, missing = {} }
  for _, set in ipairs(xml.children(node, "propSet")) do
    local path = only(set, "name", "a propSet of " .. ref.value).text
    if object.props[path] then
      error(("%s has %s twice"):format(ref.value, path), 0)
    end
    object.props[path] = only(set, "val", path .. " of " .. ref.value)
  end
  for _, set in ipairs(xml.children(node, "missingSet")) do
    local path = only(set, "path", "a missingSet of " .. ref.value).text
    object.missing[path] = faults.of_method(path, only(set, "fault", path)).code
  end
  return object
end

-- Adds the objects of one page to `found`; nil, err: there are more than a list may have,
-- or one that lacks a part, or has it twice.
local function collect(page, found, list)
  local first = #found + 1
  for _, node in ipairs(xml.children(page, "objects")) do
    local ok, object = pcall(object_of, node)
    if not ok then
      return nil, errors.new("format", "RetrievePropertiesEx: not the answer of a "
        .. "vSphere API: " .. text.cut(object, MOST_PROBLEM))
    end
    found[#found + 1] = object
  end
  return list:add(table.move(found, first, #found, 1, {}))
end

-- All pages of one retrieval; a session that ends on the way ends the retrieval.
local function pages(session, args, opts)
  local reply, err = session:call("RetrievePropertiesEx", args, opts)
  local generation, found = session.generation, {}
  local list = bounds.list("RetrievePropertiesEx", found)
  while reply do
    local page = xml.child(reply, "returnval")
    if not page then
      return found
    end
    local ok, too_much = collect(page, found, list)
    if not ok then
      return nil, too_much
    end
    local token = xml.child_text(page, "token")
    if not token then
      return found
    end
    reply, err = session:call("ContinueRetrievePropertiesEx", {
      _this = session.content.propertyCollector, { "token", token },
    }, { bound = generation })
  end
  return nil, err
end

-- `wanted` without one property; nil when it was not in there.
local function without(wanted, path)
  local rest, removed = {}, false
  for name, paths in pairs(wanted) do
    local kept = {}
    for _, p in ipairs(paths) do
      if p == path then
        removed = true
      else
        kept[#kept + 1] = p
      end
    end
    rest[name] = kept
  end
  return removed and rest or nil
end

local function retrieve(session, wanted, objects, opts)
  local restarts = 0
  while true do
    local found, err = pages(session, arguments(session, wanted, objects), opts)
    if found then
      return found
    end
    if err.code == "InvalidProperty" then
      wanted = without(wanted, err.property)
      if not wanted then
        return nil, err
      end
    elseif restarts < RESTARTS and not (opts and opts.bound)
      and (err.code == "SessionEnded" or soap.passing(err)) then
      restarts = restarts + 1
    else
      return nil, err
    end
  end
end

--- properties.get(session, refs, wanted, opts) -> objects | nil, err    [waits]
-- Properties of the objects `refs`.
--
--   refs     list   of {type, value}
--   wanted   table  type (or a base type) -> list of property paths
--   opts     table  as session:call's
--   objects  list   {ref, props = {path -> its val node}, missing = {path -> fault}}; an
--                   unset property is simply absent
--   err      gone   one of the objects does not exist (any more)
function M.get(session, refs, wanted, opts)
  local objects = {}
  for i, ref in ipairs(refs) do
    objects[i] = { { "obj", ref }, { "skip", false } }
  end
  if #objects == 0 then
    return {}
  end
  return retrieve(session, wanted, objects, opts)
end

--- properties.one(session, ref, paths, opts) -> props | nil, err        [waits]
-- properties.get for one object.
function M.one(session, ref, paths, opts)
  local objects, err = M.get(session, { ref }, { [ref.type] = paths }, opts)
  if not objects then
    return nil, err
  elseif not objects[1] then
    return nil, errors.new("gone", ("%s %s has no answer"):format(ref.type, ref.value),
      { code = "ManagedObjectNotFound" })
  end
  return objects[1].props, objects[1].missing
end

-- A view of all objects of some types below `container`.
local function open_view(session, container, types)
  local args = {
    _this = session.content.viewManager,
    { "container", container },
  }
  for _, name in ipairs(types) do
    args[#args + 1] = { "type", name }
  end
  args[#args + 1] = { "recursive", true }
  local reply, err = session:call("CreateContainerView", args)
  if not reply then
    return nil, err
  end
  return session_of.returned(reply, "CreateContainerView")
end

local function list_once(session, container, types, wanted)
  local view, err = open_view(session, container, types)
  if not view then
    return nil, err
  end
  local bound = { bound = session.generation }
  local objects = { {
    { "obj", view },
    { "skip", true },
    { "selectSet", {
      xsi = "TraversalSpec",
      { "name", "view" }, { "type", "ContainerView" }, { "path", "view" },
      { "skip", false },
    } },
  } }
  local found, why = retrieve(session, wanted, objects, bound)
  if found or why.kind ~= "gone" then
    session:call("DestroyView", { _this = view }, bound)
  end
  return found, why
end

--- properties.list(session, container, types, wanted) -> objects | nil, err  [waits]
-- Properties of everything below `container`, as properties.get returns them.
--
--   container  {type, value}
--   types      list   of managed object types to look for
--   wanted     table  as for properties.get
function M.list(session, container, types, wanted)
  local found, err
  for _ = 0, RESTARTS do
    found, err = list_once(session, container, types, wanted)
    if found or not (err.kind == "gone" or soap.passing(err)) then
      break
    end
  end
  return found, err
end

return M
