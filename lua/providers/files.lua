--- providers.files: what providers of machines that are files have in common.
--
-- Such a machine is off, its disks can be read at any time and more than once, and
-- nothing is left behind at its source. What remains to be written is: open, find,
-- inspect, stream.

local digest = require "host.digest"
local errors = require "host.error"
local http = require "host.http"
local machines = require "providers.machine"

local M = {}

local function nothing()
  return {}
end

local function done()
  return true
end

-- The headers that tell one file at a URL from another, asked for by HEAD.
local function file_stamp(stream)
  local pool <close> = http.pool({ tls = stream.tls })
  local answer, err = pool:request({ url = stream.url, method = "HEAD",
    headers = stream.headers, discreet = true })
  if not answer then
    return nil, err
  elseif answer.status == 404 or answer.status == 410 then
    return nil, errors.new("gone", "a disk of the machine is not there any more")
  elseif answer.status >= 500 or answer.status == 429 then
    return nil, errors.new("http", ("asking for a disk: HTTP status %d"):format(
      answer.status), { status = answer.status })
  end
  local said = answer.status == 200 and answer.headers or {}
  local sum = stream.digest or {}
  return table.concat({ said.etag or "", said["last-modified"] or "",
    said["content-length"] or stream.size or "", sum.algorithm or "", sum.value or "" },
    " ")
end

-- Of all disks: ETag, date, size, and the checksum where the provider knows it. A server
-- that answers no HEAD leaves what the provider says.
local function stamp(source, machine)
  local lines = {}
  for i, disk in ipairs(machine.disks) do
    local stream, err = source:stream(disk, machine)
    if stream then
      lines[i], err = file_stamp(stream)
    end
    if not lines[i] then
      return nil, errors.wrap(err, ("disk %s of %s"):format(disk.id, machine.name))
    end
  end
  return digest.sha256(table.concat(lines, "\n")):sub(1, 32)
end

-- What a source of files answers where its provider does not say otherwise.
local SOURCE = {
  networks = nothing,
  preflight = nothing,
  power_state = function()
    return "off"
  end,
  stamp = stamp,
  shutdown_guest = done,
  power_off = done,
  cleanup = nothing,
  close = function() end,
}

local function export_methods()
  local methods = { complete = nothing }
  function methods:stream(disk_id)
    for _, disk in ipairs(self.machine.disks) do
      if disk.id == disk_id then
        return self.source:stream(disk, self.machine)
      end
    end
    return nil, errors.new("notfound", ("%s has no disk %s"):format(self.machine.name,
      disk_id))
  end
  function methods.progress() end
  function methods.lost() end
  function methods.close() end
  return methods
end

local function over(base, own)
  local all = {}
  for _, methods in ipairs { base, own } do
    for name, method in pairs(methods) do
      all[name] = method
    end
  end
  return all
end

--- files.provider(kind, own) -> module
-- A provider as providers/init.lua wants it.
--
--   kind         string     of the source objects: "DirectorySource"
--   own.open     function (spec, secret, opts) -> table | nil, err: what the others get
--                as `source`; `can`, if it is set, says that it can less       [waits]
--   own.find     function (source, ref) -> id | nil, err; ref: {name, folder}  [waits]
--   own.inspect  function (source, id) -> machine | nil, err: as providers/machine.lua
--                says; id, name and power_state may be left out                [waits]
--   own.stream   function (source, disk, machine) -> stream | nil, err: {url, tls,
--                format, size, capacity ...} of one of the machine's disks     [waits]
--   own.stamp    function (source, machine) -> text | nil, err, optional: as
--                providers/init.lua has it; without it what the disks' server says of
--                them (ETag, date, size), and stream's digest                   [waits]
--   own.close    function (source), optional; and any other method of a source
function M.provider(kind, own)
  local methods, exports = over(SOURCE, own), export_methods()
  local mt = { __name = kind, __index = methods, __close = methods.close }
  local export_mt = { __name = kind .. " export", __index = exports,
    __close = exports.close }

  function methods:inspect(id)
    local machine, err = own.inspect(self, id)
    if type(machine) ~= "table" then
      return nil, err or errors.new("format", id .. ": is no description of a machine")
    end
    machine.id, machine.name = machine.id or id, machine.name or id
    machine.power_state = machine.power_state or "off"
    return machines.check(machine)
  end

  function methods:export(machine)
    return setmetatable({ source = self, machine = machine }, export_mt)
  end

  local function open(spec, secret, opts)
    local source, err = own.open(spec, secret, opts)
    if not source then
      return nil, err
    end
    source.can = source.can or { guest_shutdown = false, power_off = false,
      resume = true, reread = true }
    return setmetatable(source, mt)
  end

  methods.open = nil
  return { kind = kind, open = open, source = methods, export = exports }
end

return M
