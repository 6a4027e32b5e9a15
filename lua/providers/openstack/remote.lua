--- providers.openstack.remote: what an export makes in OpenStack: snapshots, volumes and
-- images, by name.
--
-- Each is recorded under its name before it is asked for, so that whoever comes later
-- can find it, use it or remove it.

local errors = require "host.error"
local pace = require "providers.openstack.pace"
local session_of = require "providers.openstack.session"
local shapes = require "providers.openstack.shapes"
local task = require "host.task"
local time = require "host.time"

local M = {}

local TRIES = 3 -- of making one thing

-- What makes a service say "not now" about a DELETE.
local BUSY = { invalid = true, conflict = true, busy = true }

--- remote.KINDS: kind -> where it lives.
--
--   what  for messages;  key, one  of the documents: {volumes: [...]}, {volume: {...}}
M.KINDS = {
  snapshot = { service = "volume", path = "/snapshots", list = "/snapshots/detail",
    key = "snapshots", one = "snapshot", what = "snapshot" },
  volume = { service = "volume", path = "/volumes", list = "/volumes/detail",
    key = "volumes", one = "volume", what = "volume" },
  image = { service = "image", path = "/images", list = "/images",
    key = "images", what = "image" },
}

--- remote.ORDER: in which they can be removed: what depends on another comes first.
M.ORDER = { "image", "volume", "snapshot" }

--- remote.get(session, kind, id) -> object | nil, err                   [waits]
--
--   err  notfound  it is gone
function M.get(session, kind, id)
  local place = M.KINDS[kind]
  local document, err = session:call(place.service, "GET",
    ("%s/%s"):format(place.path, id), { shape = shapes[kind] })
  if not document then
    return nil, err
  end
  return place.one and document[place.one] or document
end

--- remote.find(session, kind, name) -> objects | nil, err               [waits]
-- All that have exactly this name.
function M.find(session, kind, name)
  local place = M.KINDS[kind]
  local listed, err = session:list(place.service, ("%s?name=%s"):format(place.list, name),
    place.key)
  if not listed then
    return nil, err
  end
  local found = {}
  for _, object in ipairs(listed) do
    if object.name == name then
      found[#found + 1] = object
    end
  end
  return found
end

--- remote.reason(session, kind, id) -> " (text)"                        [waits]
-- What Cinder tells its users about a failure; "" where it does not.
function M.reason(session, kind, id)
  if kind == "image" then
    return ""
  end
  local document = session:call("volume", "GET", "/messages?resource_uuid=" .. id,
    { version = "volume 3.5", once = true, shape = shapes.messages })
  local newest = document and (document.messages or {})[1]
  return newest and newest.user_message and " (" .. newest.user_message .. ")" or ""
end

--- remote.failed(session, kind, object) -> err                          [waits]
-- Of something that has gone to an error state.
function M.failed(session, kind, object)
  return errors.new("http", ("OpenStack has not made %s %s: its status is %s%s"):format(
    M.KINDS[kind].what, object.name or object.id, tostring(object.status),
    M.reason(session, kind, object.id)), { code = "SourceFailed" })
end

-- One DELETE; true: it is accepted or there was nothing.
local function delete_once(session, kind, id)
  local place = M.KINDS[kind]
  local document, err = session:call(place.service, "DELETE",
    ("%s/%s"):format(place.path, id))
  if document or err.kind == "notfound" or err.kind == "gone" then
    return true
  end
  return nil, err
end

-- An image in the trash of a Glance that keeps one.
local GOING = { deleted = true, pending_delete = true }

-- Until a GET finds it no more.
local function wait_gone(session, kind, id, deadline, poll)
  local pause = pace.new(poll)
  while true do
    local object, err = M.get(session, kind, id)
    if not object and (err.kind == "notfound" or err.kind == "gone") then
      return true
    elseif not object and not session_of.passing(err) then
      return nil, err
    elseif object and GOING[object.status] then
      return true
    elseif object and tostring(object.status):find("^error") then
      return nil, M.failed(session, kind, object)
    elseif time.monotonic() >= deadline then
      return nil, errors.new("timeout", ("%s %s is still there, %s"):format(
        M.KINDS[kind].what, id, object and object.status or err.message))
    end
    pause()
  end
end

--- remote.remove(session, kind, id, opts) -> true | nil, err            [waits]
-- Deletes it and waits until it is gone; true too when there is none.
--
--   opts.poll, opts.delete_timeout  seconds
function M.remove(session, kind, id, opts)
  local deadline, pause = time.monotonic() + opts.delete_timeout, pace.new(opts.poll)
  while true do
    local ok, err = delete_once(session, kind, id)
    if ok then
      return wait_gone(session, kind, id, deadline, opts.poll)
    elseif not BUSY[err.kind] or time.monotonic() >= deadline then
      return nil, errors.wrap(err, ("removing %s %s"):format(M.KINDS[kind].what, id))
    end
    pause()
  end
end

--- remote.remove_entry(session, entry, opts) -> true | nil, err         [waits]
-- Removes all that a recorded entry may stand for: its id, and whatever has its name.
function M.remove_entry(session, entry, opts)
  local ids = {}
  if entry.id then
    ids[entry.id] = true
  end
  local found, err = M.find(session, entry.kind, entry.name)
  if not found then
    return nil, err
  end
  for _, object in ipairs(found) do
    ids[object.id] = true
  end
  for id in pairs(ids) do
    local ok, why = M.remove(session, entry.kind, id, opts)
    if not ok then
      return nil, why
    end
  end
  return true
end

-- Kinds of failure that another try does not cure.
local FINAL = { nospace = true, denied = true, invalid = true }

-- Creates it; whether a lost answer left one behind, its name tells.
local function create(job, entry, make)
  local id, err = make()
  if id then
    return id
  elseif not session_of.passing(err) then
    return nil, err
  end
  local found = M.find(job.session, entry.kind, entry.name)
  if found and found[1] then
    return found[1].id
  end
  return nil, err
end

-- Waits for a status; nil, nil: it came to nothing and another try may help.
local function wait_status(job, kind, id, wanted, seconds)
  local deadline, pause = time.monotonic() + seconds, pace.new(job.waits.poll)
  while true do
    local object, err = M.get(job.session, kind, id)
    if object and object.status == wanted then
      return object
    elseif object and tostring(object.status):find("error", 1, true) then
      return nil, M.failed(job.session, kind, object)
    elseif not object and not session_of.passing(err) then
      return nil, err
    elseif time.monotonic() >= deadline then
      return nil, errors.new("timeout", ("%s %s is %s, not %s, after %d s"):format(
        M.KINDS[kind].what, id, object and object.status or err.message, wanted, seconds))
    end
    pause()
  end
end

-- The one that an earlier run has made, if it can still come to something.
local function adopt(job, entry)
  if not job:knows(entry) then
    return nil
  end
  local found, err = M.find(job.session, entry.kind, entry.name)
  if not found then
    return nil, err
  end
  for _, object in ipairs(found) do
    if object.status == "available" or object.status == "creating" then
      return object.id
    end
  end
  if #found > 0 then
    local ok, why = M.remove_entry(job.session, entry, job.waits)
    if not ok then
      return nil, why
    end
  end
  return nil
end

--- remote.begin(job, entry, make) -> id | nil, err                      [waits]
-- As remote.ensure, without waiting until it is available, and asked for once.
function M.begin(job, entry, make)
  local id, err = adopt(job, entry)
  if id or err then
    return id, err
  end
  job:record(entry)
  id, err = create(job, entry, make)
  if id then
    entry.id = id
    job:record(entry)
  end
  return id, err
end

--- remote.ensure(job, entry, make, seconds) -> object | nil, err        [waits]
-- A snapshot or volume of this name, available: an earlier run's or a new one.
--
--   job      {session, waits, knows, record}, see providers.openstack.export
--   entry    {kind, name, diskID, since}: recorded before anything is asked for
--   make     function () -> id | nil, err
--   seconds  that it may take
function M.ensure(job, entry, make, seconds)
  local id, err = adopt(job, entry)
  if err then
    return nil, err
  end
  for try = 1, TRIES do
    if not id then
      job:record(entry)
      id, err = create(job, entry, make)
    end
    if id then
      entry.id = id
      job:record(entry)
      local object
      object, err = wait_status(job, entry.kind, id, "available", seconds)
      if object then
        return object
      end
      M.remove(job.session, entry.kind, id, job.waits)
      id = nil
    end
    if FINAL[err.kind] or err.reason == "SourceChanged" or try == TRIES then
      return nil, err
    end
    task.sleep(job.waits.poll * 2 ^ try)
  end
end

return M
