--- providers: where machines come from; the contract that every provider meets.
--
-- A provider is a module with open() and with the method tables of what it opens:
--
--   module.open(spec, secret, opts) -> source | nil, err                 [waits]
--     Logs in and verifies. err.check names the check that failed.
--       spec    table   the source object's spec (endpoint, dc, ...)
--       secret  table   its Secret's values, plain strings
--       opts    table   name         for messages: "default/vcsim"
--                       files        true: a source may be a file of this machine
--                       strict_tls   true: refuse what is not verified, learn nothing
--                       fingerprint  the pin recorded by an earlier run, or nil
--                       fence        function () -> true or a time of time.boottime() |
--                                    nil, err, or nil: asked before each call that
--                                    changes something there; not sent past that time
--   module.source   table  methods of a source, SOURCE below
--   module.export   table  methods of an export, EXPORT below
--
-- A source and an export are to-be-closed values (`__close`), and close() never waits:
-- what it has to say over the network is a goodbye (host.task).
--
--   source.can          what it can do: {guest_shutdown, power_off, resume, reread}
--   source.certificate  {fingerprint, trusted} of the endpoint, or nil
--   source:find(ref) -> id | nil, err            ref = {name, folder}; err.candidates
--   source:inspect(id) -> machine | nil, err     providers.machine documents it
--   source:networks() -> {{id, name, path, switch}, ...} | nil, err
--   source:preflight(machine, spec) -> findings | nil, err   spec: the import's
--   source:power_state(id) -> "on" | "off" | "suspended" | nil, err
--   source:stamp(machine) -> text | nil, err    opaque and short, to be compared: another
--                                        one whenever the guest may have written to the
--                                        disks since; machine: as inspect() gave it
--   source:shutdown_guest(id) -> true | nil, err    asked for; does not wait for it
--   source:power_off(id) -> true | nil, err         done, or it was off already
--   source:export(machine, {id, recorded, record, waiting, report}) -> export | nil, err
--   source:cleanup(recorded) -> remaining | nil, err     idempotent; beside what remains
--                                        it may say in an err why
--   source:close()
--
--   export:stream(disk_id) -> {url, headers, renewal, tls, connect_to, format, size,
--                              capacity, digest, algorithms, resumable, file, zeros,
--                              offset, length, compression, idle_timeout} | nil, err
--                              again after a failure; renewal: more headers, which change
--                              (host.disk); capacity: more than the Machine says, where
--                              that is so; digest: {algorithm, value} of the stream, if
--                              known before, algorithms: those complete() may give
--   export:progress(fraction)     0 to 1, of all disks together
--   export:lost() -> err | nil    why it can be read no longer: open another one
--   export:complete() -> {[disk_id] = {algorithm, value, size}} | nil, err
--   export:close()                aborts unless completed
--
-- `id` is the import's uid: what is made remotely is named by it and the disk.
-- `recorded` is a list of entries {kind, name, id, ...}: what exists remotely because of
-- this import, as earlier runs recorded it. record(entry) writes one down and returns
-- when the store has it, or throws; it replaces the one of its kind and name, and
-- {kind, name, gone = true} removes that one. waiting(message, until_time), if given,
-- is told what the export waits for, until when (RFC 3339) at the latest;
-- report(message), if given, what goes on at the source while a disk is made readable.
--
-- An err of kind busy passes by itself; err.after, if set, says in how many seconds.
-- err.tried of a stream: it was tried as often as helps for now.

local errors = require "host.error"
local json = require "host.json"

local PROVIDERS = {
  OpenstackSource = "providers.openstack",
  OvaSource = "providers.ova",
  VmwareSource = "providers.vmware",
}

local SOURCE = {
  "find", "inspect", "networks", "preflight", "power_state", "stamp",
  "shutdown_guest", "power_off", "export", "cleanup", "close",
}
local EXPORT = { "stream", "progress", "lost", "complete", "close" }

local M = {}

-- Which of `names` are not functions in `methods`, each as "what:name".
local function missing(methods, names, what, found)
  for _, name in ipairs(names) do
    if type(methods) ~= "table" or type(methods[name]) ~= "function" then
      found[#found + 1] = what .. ":" .. name
    end
  end
end

--- providers.check(module, name?) -> true | nil, err
-- Whether `module` meets the contract. Calls nothing.
--
--   err  invalid  names all that is missing
function M.check(module, name)
  local found = {}
  if type(module) ~= "table" then
    found[1] = "a table of functions"
  else
    if type(module.open) ~= "function" then
      found[1] = "open"
    end
    missing(module.source, SOURCE, "source", found)
    missing(module.export, EXPORT, "export", found)
  end
  if #found > 0 then
    return nil, errors.new("invalid", ("%s is no provider: it lacks %s"):format(
      name or "the module", table.concat(found, ", ")))
  end
  return true
end

--- providers.kinds() -> names
-- The kinds of source there is a provider for, sorted.
function M.kinds()
  local kinds = {}
  for kind in pairs(PROVIDERS) do
    kinds[#kinds + 1] = kind
  end
  table.sort(kinds)
  return kinds
end

--- providers.add(kind, name)
-- The module of that name is the provider of that kind, in this generation.
function M.add(kind, name)
  PROVIDERS[kind] = name
end

--- providers.of(kind) -> module | nil, err
-- The provider of a kind of source; upper and lower case are the same, as upstream.
--
--   err  unsupported  there is none; err.code is NoProvider
function M.of(kind)
  for known, name in pairs(PROVIDERS) do
    if known:lower() == tostring(kind):lower() then
      return require(name)
    end
  end
  return nil, errors.final(errors.new("unsupported", ("there is no provider for a %s; "
    .. "there is one for %s"):format(kind, table.concat(M.kinds(), ", ")),
    { code = "NoProvider" }))
end

local function check_rate(rate)
  if rate == nil or math.type(rate) == "integer" and rate >= 0 then
    return true
  end
  return nil, errors.final(errors.new("invalid", ("spec.leastRate %s: must be a whole "
    .. "number of bytes a second, or 0"):format(rate), { check = "leastRate" }))
end

--- providers.open(kind, spec, secret, opts) -> source | nil, err        [waits]
-- Opens a source of that kind; the rest is module.open's.
--
--   source.least_rate  bytes  of spec.leastRate: of its disks, in a second; nil: not said
function M.open(kind, spec, secret, opts)
  local module, err = M.of(kind)
  local rate = spec.leastRate ~= json.null and spec.leastRate or nil
  local ok, source
  if module then
    ok, err = check_rate(rate)
  end
  if ok then
    source, err = module.open(spec, secret, opts or {})
  end
  if source then
    source.least_rate = rate
  end
  return source, err
end

return M
