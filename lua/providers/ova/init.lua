--- providers.ova: a machine in a file: an OVA, or an OVF with its disks beside it, on a
-- web server; on the command line also on this machine.
--
-- Nothing is unpacked: each disk is read where it lies, as a part of the archive or as a
-- file beside the OVF.

local digest = require "host.digest"
local errors = require "host.error"
local files = require "providers.files"
local finding = require "base.finding"
local http = require "host.http"
local image = require "providers.ova.image"
local ovf = require "providers.ova.ovf"
local package_of = require "providers.ova.package"
local place_of = require "providers.ova.place"
local trust = require "providers.trust"

local EMPTY = { format = "raw", direct = true } -- a disk without a file

-- An empty Secret is as good as none: the server may ask for no password.
local function authorization(secret)
  local name, password = secret.username or "", secret.password or ""
  if name == "" and password == "" then
    return nil
  end
  return "Basic " .. digest.base64_encode(name .. ":" .. password)
end

-- A password that everybody on the way can read is no secret any more.
local function check_clear(place, spec, secret)
  if not place.in_clear or spec.allowInsecureEndpoint or not authorization(secret) then
    return true
  end
  return nil, errors.final(errors.new("invalid", ("spec.url is %s: the password of the "
    .. "Secret would cross the network in the clear; use https, a Secret without a "
    .. "password, or set spec.allowInsecureEndpoint"):format(http.shown(place.url)),
    { check = "endpoint", code = "InsecureEndpoint" }))
end

-- What anybody gets: no password goes along.
local function probe(url, timeout)
  return function(pool)
    local stream, err = pool:pieces({ url = url, headers = { Range = "bytes=0-0" },
      timeout = timeout, follow = 5 })
    if stream then
      local head = stream:head()
      stream:close()
      return head
    end
    return err.answer, err
  end
end

local function connect(place, spec, secret, opts)
  local timeout = (tonumber(spec.httpTimeoutSeconds) or 0) > 0 and spec.httpTimeoutSeconds
    or nil
  local connection, err = trust.connect({
    url = http.shown(place.url), what = "the web server", field = "spec.url",
    http = opts.http or http, thumbprint = spec.thumbprint, ca = secret["ca.crt"],
    ca_field = "ca.crt", strict_tls = opts.strict_tls, fingerprint = opts.fingerprint,
    probe = probe(place.url, timeout),
  })
  if not connection then
    return nil, err
  end
  connection.timeout = timeout
  connection.authorization, connection.origin = authorization(secret), place.origin
  return connection
end

-- What its disks are, once for all: whether they can be read while they come.
local function look_at(self, name)
  local machine, err = ovf.read(self.package.ovf, { name = name,
    configuration = self.configuration })
  if not machine then
    return nil, err
  end
  machine.images = {}
  for _, disk in ipairs(machine.disks) do
    local file = machine.files[disk.id]
    local found, problem = nil, nil
    if file.href then
      found, problem = self.package:file(file.name or file.href)
    end
    if problem and problem.kind ~= "notfound" then
      return nil, errors.wrap(problem, ("disk %s"):format(disk.id))
    end
    machine.images[disk.id] = not file.href and EMPTY or found and image.look(found.head,
      { format = file.format, compression = file.compression, size = found.size })
  end
  return machine
end

local function all_direct(machine)
  for _, disk in ipairs(machine.disks) do
    local seen = machine.images[disk.id]
    if seen and not seen.direct then
      return false
    end
  end
  return true
end

-- The description must be one; which of its machines is meant the import says.
local function check_description(self)
  local machine, err = look_at(self)
  if machine or err.kind == "notfound" then
    self.can = { guest_shutdown = false, power_off = false, resume = true,
      reread = machine ~= nil and all_direct(machine) }
    return self
  end
  err.code = err.code or "OvaRefused"
  return nil, err
end

local own = {}

--- ova.open(spec, secret, opts) -> source | nil, err                    [waits]
-- Meets the server, reads what the package holds and its description; no disk.
--
--   spec.url                 string   of an OVA or OVF: http, https; file if opts.files
--   spec.httpTimeoutSeconds  seconds  of silence; 0 and nil: 60
--   spec.allowInsecureEndpoint  boolean  a password may go by http to another machine
--   spec.thumbprint          string   as providers.trust has it
--   spec.ovfConfiguration    string   a deployment option of the OVF; else its default
--   secret                   table    username, password, ca.crt: each optional
--   opts                     table    as providers/init.lua has it, and opts.files:
--                                     files of this machine may be read
--   err  denied   the server wants another user; notfound: there is no such file
--        format   it is damaged or hostile; invalid: the OVF cannot be read; err.code
function own.open(spec, secret, opts)
  local place, err = place_of.parse(spec.url, opts)
  local ok, connection = place, nil
  if ok then
    ok, err = check_clear(place, spec, secret)
  end
  if ok and place.url then
    connection, err = connect(place, spec, secret, opts)
    ok = connection
  end
  if not ok then
    return nil, err
  end
  local self = { place = place, connection = connection, configuration =
    spec.ovfConfiguration ~= "" and spec.ovfConfiguration or nil,
    certificate = connection and connection.certificate,
    in_clear = place.in_clear and { http.shown(place.url) } or {},
    in_clear_because = "the password and disks as well; https keeps them" }
  self.package, err = package_of.read(place, connection)
  local source
  if self.package then
    source, err = check_description(self)
  end
  if not source then
    own.close(self)
    err.certificate = err.certificate or self.certificate
    return nil, err
  end
  return source
end

--- source:find(ref) -> id | nil, err                                    [waits]
-- A virtual system of the OVF; the only one is taken whatever it is called.
function own.find(self, ref)
  local name = (ref.name or "") ~= "" and ref.name or nil
  local machine, err = ovf.read(self.package.ovf, { name = name,
    configuration = self.configuration })
  return machine and (name or machine.name), err
end

local function differs(disk, seen)
  return finding.informs("OvaDiskSizeDiffers", "disk " .. disk.id, ("its image holds %d "
    .. "bytes, the OVF says %d; what the image holds is imported"):format(seen.capacity,
    disk.capacity_bytes))
end

-- Why a disk cannot be had, as a finding.
local function disk_problem(machine, disk)
  local file = machine.files[disk.id]
  local subject = "disk " .. disk.id
  if file.chunk_size then
    return finding.blocks("OvaFormatUnsupported", subject, "its file is in several "
      .. "pieces, which is not read", "make the OVA again without (ovftool --chunkSize)")
  elseif not machine.images[disk.id] then
    return finding.blocks("OvaFileMissing", subject, "the package lacks its file",
      "fetch the package again from where it came", file.href)
  elseif file.compression and not machine.images[disk.id].direct then
    return finding.blocks("OvaFormatUnsupported", subject, "its file is compressed, and "
      .. "what is in it is no VMDK and no raw disk", "unpack it, and make the OVA again",
      file.format)
  end
end

--- source:inspect(id) -> machine | nil, err                             [waits]
function own.inspect(self, id)
  local machine, err = look_at(self, id)
  if not machine then
    return nil, err
  end
  local concerns = machine.concerns or {}
  for _, list in ipairs { self.package.findings, machine.findings or {} } do
    table.move(list, 1, #list, #concerns + 1, concerns)
  end
  for _, disk in ipairs(machine.disks) do
    local seen = machine.images[disk.id] or {}
    concerns[#concerns + 1] = disk_problem(machine, disk)
    if seen.capacity and seen.capacity ~= disk.capacity_bytes then
      concerns[#concerns + 1] = differs(disk, seen)
      disk.capacity_bytes = seen.capacity
    end
  end
  machine.id, machine.concerns = id, concerns
  machine.files, machine.images, machine.findings = nil, nil, nil
  return machine
end

local function file_of(self, disk, machine)
  local now, err = ovf.read(self.package.ovf, { name = machine.id,
    configuration = self.configuration })
  local file = now and now.files[disk.id]
  if not file then
    return nil, err or errors.new("gone", ("the OVF has no disk %s any more"):format(
      disk.id))
  end
  local found
  if file.href then
    found, err = self.package:file(file.name or file.href)
  end
  return found, err, file
end

--- source:stream(disk, machine) -> stream | nil, err                    [waits]
-- Where the disk is now: a window of the archive, or a file of its own.
--
--   err  conflict  the package is another one than was read
function own.stream(self, disk, machine)
  local found, err, file = file_of(self, disk, machine)
  if file and not file.href then
    return { zeros = disk.capacity_bytes, format = "raw", size = disk.capacity_bytes }
  elseif not found then
    return nil, err
  end
  local at
  at, err = self.package:find(found)
  self.closed = self.closed or self.package.changed
  if not at then
    return nil, err
  end
  local connection = self.connection or {}
  local ours = at.url and place_of.origin(at.url) == connection.origin
  return {
    url = at.url, file = at.path, tls = connection.tls,
    headers = { Authorization = ours and connection.authorization or nil },
    offset = found.offset, length = found.offset and found.size or nil, size = found.size,
    format = image.look(found.head, { format = file.format, size = found.size,
      compression = file.compression }).format,
    compression = file.compression,
    digest = found.sum,
    idle_timeout = connection.timeout, resumable = true,
  }
end

--- source:stamp(machine) -> text | nil, err                             [waits]
-- Of the archive, or of the OVF and the files of the machine's disks.
function own.stamp(self, machine)
  local now, err = ovf.read(self.package.ovf, { name = machine.id,
    configuration = self.configuration })
  if not now then
    return nil, err
  end
  local names = {}
  for _, disk in ipairs(machine.disks) do
    local file = now.files[disk.id]
    names[#names + 1] = file and (file.name or file.href)
  end
  local stamp
  stamp, err = self.package:stamp(names)
  self.closed = self.closed or self.package.changed
  return stamp, err
end

--- source:close()
function own.close(self)
  if self.connection then
    self.connection.pool:close()
  end
end

return files.provider("OvaSource", own)
