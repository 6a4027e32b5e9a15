--- providers.vmware.export: all disks of one machine, readable while a lease is held.
--
-- A device URL and a disk belong together when class of controller, bus and unit agree;
-- order says nothing. The URL itself is the credential: no cookie goes along, and it is
-- never logged.

local errors = require "host.error"
local lease_of = require "providers.vmware.lease"
local task = require "host.task"
local time = require "host.time"

local KIND = "HttpNfcLease"   -- of what is recorded
local SHA256_SINCE = { 6, 7 } -- API version that can choose the manifest's checksum
local MOST_PAUSE = 15         -- seconds between two tries while a lease is waited out
-- Who says what certificate a host must show, for messages.
local HOST_THUMBPRINT = "this host in vCenter (reconnect the host there)"
local ELSEWHERE = 30          -- seconds until somebody else's task is looked at again

local methods = {}
local mt = { __name = "vmware.export", __index = methods }

local M = {}

M.methods = methods
M.KIND = KIND

-- Whether an API version like "6.7.1" is at least {major, minor}.
local function at_least(version, wanted)
  local major, minor = (version or ""):match("^(%d+)%.?(%d*)")
  major, minor = tonumber(major) or 0, tonumber(minor) or 0
  return major > wanted[1] or (major == wanted[1] and minor >= wanted[2])
end

--- export.address(url, endpoint) -> url
-- A device URL with the host `*` filled in: the endpoint's host, and its port unless the
-- URL names one.
function M.address(url, endpoint)
  local scheme, port, rest = url:match("^(%a+://)%*(:?%d*)(.*)$")
  if not scheme then
    return url
  end
  if port == "" then
    return scheme .. endpoint.authority .. rest
  end
  return scheme .. endpoint.host .. port .. rest
end

-- A host's own URL: over TLS, with a fingerprint that is one, if any; but where the API
-- itself is plain http on this machine.
local function url_problem(entry, endpoint)
  local url, hex = M.address(entry.url, endpoint), (entry.thumbprint or ""):gsub(":", "")
  local scheme, host = url:lower():match("^(%a[%w+.-]*)://([^/?#]*)")
  if not scheme or host:find("@", 1, true) or scheme ~= "https"
    and not (scheme == "http" and endpoint.secure == false) then
    return ("vSphere gives a URL that is no https of a host's (%s://%s)"):format(
      scheme or "?", (host or ""):gsub("^.*@", ""))
  elseif hex ~= "" and (hex:find("%X") or #hex ~= 40 and #hex ~= 64) then
    return "vSphere gives a thumbprint that is no fingerprint of a certificate"
  end
  return nil
end

local function refuse(kind, message, code)
  return errors.final(errors.new(kind, message, { code = code }))
end

local function offered(urls)
  local keys = {}
  for _, entry in ipairs(urls) do
    if entry.disk then
      keys[#keys + 1] = entry.key:match("[^/]*$")
    end
  end
  table.sort(keys)
  return #keys > 0 and table.concat(keys, ", ") or "none"
end

--- export.pair(disks, urls) -> {[disk id] = entry} | nil, err
-- Which device URL is which disk's.
--
--   disks  list  the Machine's disks
--   urls   list  lease.urls
--   err  unsupported  a disk has no URL; invalid: a URL has no disk; format: a disk has
--                     two. Names them; final
function M.pair(disks, urls)
  local by_place, pairs_found, lacking = {}, {}, {}
  for _, entry in ipairs(urls) do
    local place = entry.key:match("[^/]*$")
    if entry.disk and by_place[place] then
      return nil, refuse("format", ("vSphere offers the data of the disk at %s twice")
        :format(place), "DiskOfferedTwice")
    end
    by_place[place] = entry.disk and entry or nil
  end
  for _, disk in ipairs(disks) do
    local entry = by_place[disk.controller]
    if entry then
      pairs_found[disk.id] = entry
      by_place[disk.controller] = nil
    else
      lacking[#lacking + 1] = ("%s (%s)"):format(disk.name, disk.controller)
    end
  end
  if #lacking > 0 then
    return nil, refuse("unsupported", ("vSphere exports no data of %s; it offers: %s")
      :format(table.concat(lacking, ", "), offered(urls)), "DiskNotExported")
  end
  local extra = next(by_place)
  if extra then
    return nil, refuse("invalid", ("vSphere exports a disk at %s that the machine "
      .. "did not have when it was inspected"):format(extra), "MachineChanged")
  end
  return pairs_found
end

-- The entry of an earlier run's lease on this machine, as our own table. An `until`
-- that has passed says nothing about what holds the machine now.
local function recorded_lease(recorded, id, now)
  for _, entry in ipairs(recorded or {}) do
    if entry.kind == KIND and entry.name == id then
      local ends = entry["until"]
      return {
        kind = KIND, name = id, id = entry.id, since = entry.since,
        timeoutSeconds = entry.timeoutSeconds,
        ["until"] = ends and (time.parse(ends) or 0) > now and ends or nil,
      }
    end
  end
  return nil
end

-- Writes down what is known of the lease now: a copy, for it will change.
local function record(opts, entry)
  opts.record {
    kind = KIND, name = entry.name, id = entry.id, since = entry.since,
    timeoutSeconds = entry.timeoutSeconds, ["until"] = entry["until"],
  }
end

-- Somebody holds the machine. A lease of a run that was killed ends by itself, at the
-- latest one timeout after it was first met again; that time is recorded, for people and
-- for the next run. Seconds until then: within a run by the clock that nobody sets, and
-- of what another one has recorded never more than a timeout.
local function orphan_left(before, opts)
  if not before.ends then
    local timeout = before.timeoutSeconds or lease_of.DEFAULT_TIMEOUT
    local now = opts.now()
    if not before["until"] then
      before["until"] = time.rfc3339(math.ceil(now + timeout))
      record(opts, before)
    end
    before.ends = opts.boottime()
      + math.min(time.parse(before["until"]) - now, timeout + 1)
  end
  return before.ends - opts.boottime()
end

local function busy(err, text, after)
  return errors.new("busy", "exporting: " .. text,
    { code = err.code, after = after })
end

-- What to do about a machine that somebody holds: seconds until another try, or nil, err.
local function hold(err, before, opts)
  if not before then
    return nil, busy(err, "another task of vSphere has the machine", ELSEWHERE)
  end
  local left = orphan_left(before, opts)
  if left <= -opts.poll then
    return nil, busy(err, "another task of vSphere has the machine, and it is not the "
      .. "export of an interrupted run, which would have ended", ELSEWHERE)
  end
  local text = ("the export of an interrupted run still holds the machine, until %s at "
    .. "the latest"):format(before["until"])
  if not opts.waiting then
    return nil, busy(err, text, math.max(left, 0) + opts.poll)
  end
  opts.waiting("waiting for vSphere: " .. text, before["until"])
  return math.max(opts.poll, math.min(left, MOST_PAUSE))
end

-- ExportVm, until it is given or refused for good.
local function request(session, machine, before, opts)
  local ref = before and before.id and { type = "HttpNfcLease", value = before.id }
  while true do
    local lease, err = lease_of.request(session, machine.id)
    if lease or err.code ~= "TaskInProgress" then
      return lease, err
    end
    -- A server that lets another session end the lease saves the wait.
    if not (ref and lease_of.abort(session, ref)) then
      local pause, why = hold(err, before, opts)
      if not pause then
        return nil, why
      end
      task.sleep(pause)
    end
    ref = nil
  end
end

-- An ISO in a drive is no disk of ours, but vSphere exports nothing while it lacks one;
-- no further try brings it back.
local function refused(err)
  if err.kind ~= "notfound" or err.code == "NotFound" then
    return errors.wrap(err, "exporting")
  end
  local said = err.message:gsub("^exporting: ", "")
  local file = err.file and not said:find(err.file, 1, true) and " " .. err.file or ""
  local text = ("exporting: %s%s; bring that file back, or detach it from the machine in "
    .. "vSphere (an ISO from its CD/DVD drive)"):format(said, file)
  return errors.final(errors.new("notfound", text, { code = err.code, file = err.file }))
end

-- Waits until the lease is ready, pairs disks and URLs, starts the keep-alive.
local function prepare(export, opts)
  local lease = export.lease
  local ok, err = lease:wait(opts)
  if not ok then
    return nil, refused(err)
  end
  lease:keep()
  export.entry.timeoutSeconds = lease.timeout
  record(opts, export.entry)
  export.urls, err = M.pair(export.machine.disks, lease.urls)
  if not export.urls then
    return nil, err
  end
  if at_least(opts.api_version, SHA256_SINCE) and lease:prefer("sha256") then
    table.insert(export.algorithms, 1, "sha256")
  end
  return export
end

--- export.open(session, machine, opts) -> export | nil, err             [waits]
-- Makes all disks of a machine that is powered off readable.
--
--   machine           table     the Machine that was inspected
--   opts.endpoint     table     endpoint.parse's, for URLs that name no host
--   opts.tls          table     for URLs without a thumbprint
--   opts.api_version  string
--   opts.recorded     list      entries of earlier runs
--   opts.record       function(entry)
--   opts.waiting      function(message, until_time), or nil: then it does not wait
--   opts.lease_wait   seconds   until the lease has to be ready
--   opts.poll         seconds   between two looks at it
--   opts.now          function() -> seconds since the epoch
--   opts.boottime     function() -> seconds that nobody sets (default time.boottime)
--   err  busy         something holds the machine, or it is not powered off; err.after
--        unsupported  vSphere does not export a disk
--        invalid      the machine has changed since it was inspected
function M.open(session, machine, opts)
  opts.boottime = opts.boottime or time.boottime
  local before = recorded_lease(opts.recorded, machine.id, opts.now())
  local entry = { kind = KIND, name = machine.id, since = time.rfc3339(opts.now()) }
  if not before then
    record(opts, entry)
  end
  local lease, err = request(session, machine, before, opts)
  if not lease then
    if err.code and not before then -- it was refused: there is nothing of ours
      opts.record { kind = KIND, name = machine.id, gone = true }
    end
    return nil, refused(err)
  end
  local export = setmetatable({
    lease = lease, machine = machine, endpoint = opts.endpoint, tls = opts.tls,
    record = opts.record, algorithms = { "sha1" }, entry = entry,
  }, mt)
  local ready = false
  local guard <close> = setmetatable({}, { __close = function()
    if not ready then
      lease:close()
    end
  end })
  assert(guard)
  entry.id = lease.ref.value
  record(opts, entry)
  ready, err = prepare(export, opts)
  return ready, err
end

local function disk_of(machine, id)
  for _, disk in ipairs(machine.disks) do
    if disk.id == id then
      return disk
    end
  end
  error("the machine has no disk " .. tostring(id), 3)
end

--- export:stream(disk_id) -> stream | nil, err
-- Where a disk can be read, as often as need be.
--
--   stream.url        string   holds the credential: do not log it
--   stream.headers    table    none
--   stream.tls        table    {thumbprint} of that host, as the API told it, or the
--                              source's own
--   stream.format     "vmdk"   stream-optimised
--   stream.capacity   bytes    that the decoded disk must have
--   stream.algorithms list     of which complete() may give a checksum; a server may take
--                              the wish for another than SHA-1, and give SHA-1
--   stream.resumable  false    a broken download starts again
--   err  gone     the lease is lost; open another export
--        invalid  final; its URL is not https, or the host's fingerprint is none
-- Throws for a disk that the machine has not.
function methods:stream(disk_id)
  local disk = disk_of(self.machine, disk_id)
  local lost = self:lost()
  if lost then
    return nil, lost
  end
  local entry = self.urls[disk_id]
  local problem = url_problem(entry, self.endpoint)
  if problem then
    return nil, refuse("invalid", ("reading disk %s: %s"):format(disk.name, problem),
      "LeaseUrlRefused")
  end
  return {
    url = M.address(entry.url, self.endpoint),
    headers = {},
    tls = entry.thumbprint and {
      thumbprint = entry.thumbprint, thumbprint_field = HOST_THUMBPRINT,
    } or self.tls,
    format = "vmdk",
    capacity = disk.capacity_bytes,
    algorithms = self.algorithms,
    resumable = false,
  }
end

--- export:progress(fraction)
-- Tells vSphere at the next renewal how far the export is.
--
--   fraction  0 to 1, of all disks together
function methods:progress(fraction)
  self.lease.percent = math.floor(math.max(0, math.min(fraction, 1)) * 100)
end

--- export:lost() -> err | nil
-- Why the disks can be read no longer; err is of kind gone.
function methods:lost()
  return self.lease:lost()
end

--- export:complete() -> digests | nil, err                              [waits]
-- Ends the export well; all disks have been read.
--
--   digests  table  disk id -> {algorithm, value = lower-case hex, size = bytes of the
--                   stream or nil}; a disk is missing where vSphere made no checksum
--   err      gone   the lease was lost before
function methods:complete()
  local manifest, err = self.lease:manifest()
  if not manifest then
    return nil, self:lost() or err
  end
  local ok, why = self.lease:complete()
  if not ok then
    return nil, self:lost() or why
  end
  local digests = {}
  for id, entry in pairs(self.urls) do
    local sums = manifest[entry.key] or {}
    for _, algorithm in ipairs(self.algorithms) do
      if sums[algorithm] and not digests[id] then
        digests[id] = {
          algorithm = algorithm, value = sums[algorithm]:lower(), size = sums.size,
        }
      end
    end
  end
  self.record { kind = KIND, name = self.machine.id, gone = true }
  return digests
end

--- export:close()
-- Aborts the export unless it was completed; as a goodbye.
function methods:close()
  self.lease:close()
end

mt.__close = methods.close

return M
