--- providers.files: what providers of machines that are files have in common.
--
-- Such a machine is off, its disks can be read at any time and more than once, and
-- nothing is left behind at its source. What remains to be written is: open, find,
-- inspect, stream.

local errors = require "host.error"
local machines = require "providers.machine"

local M = {}

local function nothing()
  return {}
end

local function done()
  return true
end

-- What a source of files answers where its provider does not say otherwise.
local SOURCE = {
  networks = nothing,
  preflight = nothing,
  power_state = function()
    return "off"
  end,
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
--                as `source`                                                   [waits]
--   own.find     function (source, ref) -> id | nil, err; ref: {name, folder}  [waits]
--   own.inspect  function (source, id) -> machine | nil, err: as providers/machine.lua
--                says; id, name and power_state may be left out                [waits]
--   own.stream   function (source, disk, machine) -> stream | nil, err: {url, tls,
--                format, size, capacity ...} of one of the machine's disks     [waits]
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
    source.can = { guest_shutdown = false, power_off = false, resume = true,
      reread = true }
    return setmetatable(source, mt)
  end

  methods.open = nil
  return { kind = kind, open = open, source = methods, export = exports }
end

return M
