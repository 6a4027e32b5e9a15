--- providers.vmware.media: files that lie in a machine's drives, an ISO say.
--
-- They are no disks and do not travel, but vSphere exports nothing while it lacks one,
-- and says so only when the machine is off and the export is asked for.

local devices = require "providers.vmware.devices"
local properties = require "providers.vmware.properties"
local session_of = require "providers.vmware.session"
local tasks = require "providers.vmware.tasks"
local xml = require "host.xml"

local FILES = {
  VirtualCdromIsoBackingInfo = true,
  VirtualFloppyImageBackingInfo = true,
}
local SEARCH_TIMEOUT = 60 -- seconds for one folder of a datastore

local M = {}

-- "[ds1] iso/tools.iso" -> "[ds1] iso", "tools.iso"; nil: it is not of a datastore.
local function split(file)
  local store, path = file:match("^(%[.+%]) *(.+)$")
  local folder, name = (path or ""):match("^(.*)/([^/]+)$")
  if not store then
    return nil
  elseif not name then
    return store, path
  end
  return store .. " " .. folder, name
end

local function is_connected(node)
  local state = xml.child(node, "connectable")
  return state == nil or xml.child_text(state, "startConnected") == "true"
    or xml.child_text(state, "connected") == "true"
end

--- media.of(list) -> media
-- The files of a datastore that lie in drives. Pure.
--
--   list   node  the val of config.hardware.device, or nil
--   media  list  {drive, file, folder, name, datastore, connected}
function M.of(list)
  local found = {}
  for _, node in ipairs(list or {}) do
    local backing = xml.child(node, "backing")
    local is_file = backing and FILES[xml.type(backing)]
    local file = is_file and xml.child_text(backing, "fileName") or ""
    local datastore = session_of.reference(backing and xml.child(backing, "datastore"))
    local folder, name = split(file)
    if folder and datastore then
      found[#found + 1] = { drive = devices.label(node), file = file, folder = folder,
        name = name, datastore = datastore,
        connected = is_connected(node) }
    end
  end
  return found
end

local function search(session, browser, medium, opts)
  local reply, err = session:call("SearchDatastore_Task", {
    _this = browser,
    { "datastorePath", medium.folder },
    { "searchSpec", { { "matchPattern", medium.name } } },
  })
  if not reply then
    return nil, err
  end
  local task, info
  task, err = session_of.returned(reply, "SearchDatastore_Task")
  if not task then
    return nil, err
  end
  info, err = tasks.wait(session, task, { poll = opts.poll,
    task_timeout = math.min(opts.task_timeout, SEARCH_TIMEOUT) })
  local result = info and xml.child(info, "result")
  return result and #xml.children(result, "file") > 0, err
end

local function browser_of(session, datastore)
  local props, err = properties.one(session, datastore, { "browser" })
  if not props then
    return nil, err
  end
  return props.browser and session_of.reference(props.browser)
end

--- media.is_there(session, medium, opts) -> boolean | nil, err          [waits]
-- Whether a file of media.of() is still in its datastore; nil without an err: vSphere
-- cannot tell.
--
--   opts  poll, task_timeout seconds
--   err   denied  the account may not look into the datastore
function M.is_there(session, medium, opts)
  local browser, err = browser_of(session, medium.datastore)
  local there
  if browser then
    there, err = search(session, browser, medium, opts)
  end
  if not err then
    return there
  elseif err.code == "FileNotFound" then -- not even its folder
    return false
  elseif err.code and err.kind ~= "denied" then
    return nil
  end
  return nil, err
end

return M
