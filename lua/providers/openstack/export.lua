--- providers.openstack.export: the disks of one stopped server, readable as images.
--
-- Nothing is made before a disk is asked for. All that is made is recorded first, and
-- removed by complete(), or later by source:cleanup().

local compute = require "providers.openstack.compute"
local disks = require "host.disk"
local errors = require "host.error"
local hardware = require "providers.openstack.hardware"
local moment = require "providers.openstack.moment"
local remote = require "providers.openstack.remote"
local state = require "providers.openstack.state"
local task = require "host.task"
local volumes = require "providers.openstack.volumes"

local methods = {}
local mt = { __name = "openstack.export", __index = methods }
local job_methods = {}
local job_mt = { __index = job_methods }

local M = {}

M.methods = methods

-- What a target can make a raw disk of.
local FORMATS = { raw = true, qcow2 = true, vdi = true, vhd = true, vhdx = true }
local SECTOR = 512
local DIGESTS = { sha512 = true, sha256 = true, sha1 = true }

local function key(entry)
  return entry.kind .. "/" .. entry.name
end

-- A record of its own: what is written down must not change afterwards.
local function copy(entry)
  return { kind = entry.kind, name = entry.name, id = entry.id, diskID = entry.diskID,
    since = entry.since }
end

-- The name of the snapshot, volume and image of a disk.
function job_methods:name(disk)
  return ("vm-import-%s-%s"):format(self.id, disk.id)
end

function job_methods:knows(entry)
  return self.entries[key(entry)] ~= nil
end

function job_methods:record(entry)
  local known = self.entries[key(entry)]
  if known and known.id == entry.id and known.since == entry.since then
    return
  end
  self.entries[key(entry)] = copy(entry)
  self.tell(copy(entry))
end

function job_methods:forget(entry)
  self.entries[key(entry)] = nil
  self.tell { kind = entry.kind, name = entry.name, gone = true }
end

function job_methods:report(disk, text)
  if self.say then
    self.say(("disk %s: %s"):format(disk.name, text))
  end
end

function job_methods:server()
  return compute.server(self.session, self.machine.id)
end

local function changed(machine, what)
  return errors.new("busy", ("server %s %s while its disks were copied: they are not of "
    .. "one moment"):format(machine.id, what), { reason = "SourceChanged" })
end

-- Whether it is off and has been since the export was opened.
--
--   err  busy, err.reason = SourceChanged: nothing of this export is of use any more
function job_methods:unchanged()
  local now, err = state.of(self.session, self.machine.id, self.version)
  if not now then
    return nil, err
  elseif hardware.power_state(now.server) ~= "off" then
    self.torn = changed(self.machine, "was started")
  elseif now.stamp ~= self.stamp then
    self.torn = changed(self.machine, "has run, or has got other volumes,")
  end
  return not self.torn, self.torn
end

-- A request for an upload that was under way when its sender ended may have been heard
-- after the images were looked for; once the volume is gone none can come any more.
local function remove_one(session, entry, opts)
  local ok, err = remote.remove_entry(session, entry, opts)
  if ok and entry.kind == "volume" then
    ok, err = remote.remove_entry(session, { kind = "image", name = entry.name }, opts)
  end
  return ok, err
end

--- export.remove(session, entries, opts) -> remaining, err              [waits]
-- Removes what the entries stand for. err: why the first of the remaining stays.
--
--   opts.forget  function (entry): it is gone; optional
function M.remove(session, entries, opts)
  local remaining, problem = {}, nil
  for _, kind in ipairs(remote.ORDER) do
    for _, entry in ipairs(entries) do
      if entry.kind == kind then
        local ok, err = remove_one(session, entry, opts)
        if not ok then
          remaining[#remaining + 1] = entry
          problem = problem or err
        elseif opts.forget then
          opts.forget(entry)
        end
      end
    end
  end
  return remaining, problem
end

-- What earlier runs left of an older state of the machine must not be imported: it goes.
local function settle(job, recorded)
  local stale = {}
  for _, entry in ipairs(recorded or {}) do
    if remote.KINDS[entry.kind] then
      job.entries[key(entry)] = copy(entry)
      if entry.since ~= job.stamp then
        stale[#stale + 1] = entry
      end
    end
  end
  local left, err = M.remove(job.session, stale, {
    poll = job.waits.poll, delete_timeout = job.waits.delete_timeout,
    forget = function(entry)
      job:forget(entry)
    end,
  })
  if #left > 0 then
    return nil, errors.wrap(err, "removing what an earlier run has made")
  end
  return true
end

--- export.open(session, machine, opts) -> export | nil, err             [waits]
--
--   machine        table     the Machine that was inspected
--   opts.id        string    of the import; what is made is named by it
--   opts.tls       table     for downloads
--   opts.version   string    compute.version's, or nil
--   opts.recorded  list      entries of earlier runs
--   opts.record    function(entry)
--   opts.report    function(message), or nil
--   opts.waits     {poll, delete_timeout, retry_count, retry_delay} seconds
--   err  busy     the server is not stopped; gone: it does not exist any more
--        invalid  it has other volumes than the Machine
function M.open(session, machine, opts)
  local found, err = state.of(session, machine.id, opts.version)
  if not found then
    return nil, err
  elseif hardware.power_state(found.server) ~= "off" then
    local doing = found.server["OS-EXT-STS:task_state"]
    return nil, errors.new("busy", ("server %s is %s, not off"):format(machine.id,
      type(doing) == "string" and doing or tostring(found.server.status)))
  end
  local same, differs = state.fits(machine, found)
  if not same then
    return nil, differs
  end
  local job = setmetatable({
    session = session, machine = machine, id = opts.id, root = hardware.ROOT,
    stamp = found.stamp, entries = {}, tell = opts.record, say = opts.report,
    waits = opts.waits, version = opts.version,
  }, job_mt)
  local ok, why = settle(job, opts.recorded)
  if not ok then
    return nil, why
  end
  return setmetatable({
    job = job, session = session, machine = machine, tls = opts.tls,
    images = {}, gates = {}, moment = task.semaphore(1), taken = false,
  }, mt)
end

local function disk_of(machine, id)
  for _, disk in ipairs(machine.disks) do
    if disk.id == id then
      return disk
    end
  end
  error("the machine has no disk " .. tostring(id), 3)
end

-- All disks of the machine at one moment, once, before the first of them is copied.
local function take_all(self)
  local permit <close> = assert(self.moment:acquire())
  assert(permit)
  local err
  if not self.taken then
    self.taken, err = moment.take(self.job, self.machine.disks)
  end
  return self.taken, err
end

-- The image of a disk, one task at a time: a second reader finds it made.
local function image_of(self, disk)
  self.gates[disk.id] = self.gates[disk.id] or task.semaphore(1)
  local permit <close> = assert(self.gates[disk.id]:acquire())
  assert(permit)
  local image = self.images[disk.id]
  if image then
    local now, err = remote.get(self.session, "image", image.id)
    if now and now.status == "active" then
      return now
    elseif not now and err.kind ~= "notfound" then
      return nil, err
    end
  end
  local ok, err = take_all(self)
  if not ok then
    return nil, err
  end
  image, err = volumes.image(self.job, disk)
  self.images[disk.id] = image
  return image, err
end

-- Glance's hash; of an image that an old one has made its MD5: nobody who has enemies can
-- be sure of it, but a broken disk or cable does not pass it either.
local function digest_of(image)
  local sum = image.checksum
  if DIGESTS[image.os_hash_algo] and type(image.os_hash_value) == "string" then
    return { algorithm = image.os_hash_algo, value = image.os_hash_value:lower() }
  elseif type(sum) == "string" and #sum == 32 and not sum:find("%X") then
    return { algorithm = "md5", value = sum:lower() }
  end
  return nil
end

-- Bytes that the disk must have: what Cinder says of the volume is rounded, and a backend
-- that rounds up by itself gives more. A disk is of whole sectors.
local function capacity_of(disk, image)
  local real = image.disk_format == "raw" and image.size or image.virtual_size
  real = math.tointeger(real) or 0
  return math.max(disk.capacity_bytes, (real + SECTOR - 1) // SECTOR * SECTOR)
end

-- What a download is asked for with. The token is another one before it ends, and when
-- Glance does not take it: a disk may come for longer than a token lives.
local function keep_token(self, token)
  while true do
    task.sleep(self.job.waits.poll)
    local other
    if self.headers:refused() then
      other = self.session:other_token(token)
    else
      other = self.session:fresh_token()
    end
    if other and other ~= token then
      self.headers:set { ["X-Auth-Token"] = other }
      token = other
    end
  end
end

-- For all downloads of the export: begun with the first.
local function headers_of(self)
  if not self.headers then
    local token, err = self.session:fresh_token()
    if not token then
      return nil, err
    end
    self.headers = disks.headers { ["X-Auth-Token"] = token }
    self.keeper = task.spawn("keeps a token", keep_token, self, token)
  end
  return self.headers
end

local function let_token_go(self)
  if self.keeper then
    self.keeper:cancel(0)
  end
  self.keeper, self.headers = nil, nil
end

--- export:stream(disk_id) -> stream | nil, err                          [waits]
-- Where a disk can be read, as often as need be; makes what that takes.
--
--   stream.url        string
--   stream.renewal    headers  of host.disk, with a token that is taken
--   stream.tls        table
--   stream.format     "raw"; "qcow2" and others where Nova makes an image of a root disk
--   stream.size       bytes    of the stream
--   stream.capacity   bytes    that the disk must have; more than the Machine's where the
--                              image is larger
--   stream.digest     {algorithm, value} of the stream, from Glance; or nil
--   stream.resumable  true     Glance serves ranges
--   err  unsupported  the image came in a format that cannot be read
-- Throws for a disk that the machine has not.
function methods:stream(disk_id)
  local disk = disk_of(self.machine, disk_id)
  local image, err = image_of(self, disk)
  if not image then
    return nil, err
  elseif not FORMATS[image.disk_format] then
    return nil, errors.final(errors.new("unsupported", ("OpenStack gives disk %s as %s; "
      .. "that cannot be read"):format(disk.id, tostring(image.disk_format)),
      { code = "FormatUnsupported" }))
  end
  local headers
  headers, err = headers_of(self)
  if not headers then
    return nil, err
  end
  return {
    url = ("%s/images/%s/file"):format(self.session.urls.image, image.id),
    renewal = headers,
    tls = self.tls,
    format = image.disk_format,
    size = math.tointeger(image.size),
    capacity = capacity_of(disk, image),
    digest = digest_of(image),
    resumable = true,
  }
end

--- export:progress(fraction)
-- OpenStack does not ask.
function methods.progress()
end

--- export:lost() -> err | nil
-- Images stay until they are removed; but those of a server that has run meanwhile are
-- not of one moment.
function methods:lost()
  return self.job.torn
end

--- export:complete() -> digests | nil, err                              [waits]
-- All disks have been read: removes what was made for that. What cannot be removed now
-- stays recorded.
--
--   digests  table  disk id -> {algorithm, value, size}
function methods:complete()
  let_token_go(self)
  local entries = {}
  for _, entry in pairs(self.job.entries) do
    entries[#entries + 1] = entry
  end
  table.sort(entries, function(a, b)
    return a.name < b.name
  end)
  M.remove(self.session, entries, {
    poll = self.job.waits.poll, delete_timeout = self.job.waits.delete_timeout,
    forget = function(entry)
      self.job:forget(entry)
    end,
  })
  local digests = {}
  for id, image in pairs(self.images) do
    local digest = digest_of(image)
    if digest then
      digest.size = math.tointeger(image.size)
      digests[id] = digest
    end
  end
  return digests
end

--- export:close()
-- What was made and is not complete stays recorded: the next run goes on from there, or
-- source:cleanup() removes it.
function methods:close()
  let_token_go(self)
end

mt.__close = methods.close

return M
