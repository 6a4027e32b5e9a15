--- flows.environment: what every flow gets, and what a step gets besides.
--
-- env, by who runs the flows (controller.manager, cli.import):
--
--   store        kube.client or store.directory: get, list, create, patch, delete
--   target       targets: where disks and machines go
--   open_source  function (ref, {fresh}) -> source | nil, err; `<close>` gives it back;
--                fresh: logged in anew                                        [waits]
--   now          function () -> seconds since 1970
--   options      table: poll, parallel_disks, max_retries, retry_first, retry_most,
--                give_up_after, verify, no_scratch, site (policy.plan's input.site)
--   is_final     function (err) -> boolean: trying again cannot cure it
--
-- and, where there is such a thing:
--
--   hook         function (name, input, builtin, accept) -> value | nil, err: a site's
--                say (policy.plan)                                            [waits]
--   script_generation  string: of which scripts it is the say
--   supports     function (kind) -> boolean: is there a provider for it
--   take_place   function (import) -> true | false, why: the limits
--   leave_place  function (import): it waits for its source; take_place when it goes on
--   slow_place   function (import, slow): it moves next to nothing, or does no more
--   reserve_name function (import, plan, take) -> true | false, who: whether the
--                machine's name may be this import's; take: it is from now on
--   plan_permit  function (import, timeout) -> permit, to be closed | nil, err: how many
--                of one source are planned at once                            [waits]
--   boottime     function () -> seconds by a clock that nobody sets (flows.import.clock)
--   event        function (object, type, reason, note): an Event for people
--   repair_definitions  function (): a CustomResourceDefinition does not keep our fields
--   journal      kube.journal: the log, which says each thing once
--   observer     table: :working(import, message), :disk_started(import, disk, transfer),
--                :disk_ended(import, disk, transfer, result, err)
--
-- ctx, what a step of an import gets, is all of env and
--
--   writer   flows.import.status: the import's status, Events and lines of the log
--   record   function (fields): writer:record                                 [waits]
--   advance  function (state): the next importStatus, for a step that goes on [waits]

local errors = require "host.error"

local NEEDED = { store = "table", target = "table", open_source = "function",
  now = "function", options = "table", is_final = "function" }
local ALLOWED = { hook = "function", script_generation = "string", supports = "function",
  take_place = "function", leave_place = "function",
  slow_place = "function",
  reserve_name = "function", plan_permit = "function",
  boottime = "function", event = "function", repair_definitions = "function",
  journal = "table", observer = "table" }
local STORE = { "get", "list", "create", "patch", "delete" }

local M = {}

-- Its own fields, and those it takes from another one.
local function fields_of(env)
  local fields, at = {}, env
  while type(at) == "table" do
    for name in pairs(at) do
      fields[name] = true
    end
    at = (getmetatable(at) or {}).__index
  end
  return fields
end

local function check_types(env, types, needed, found)
  for name, type_ in pairs(types) do
    local value = env[name]
    if value == nil and needed then
      found[#found + 1] = name .. " is missing"
    elseif value ~= nil and type(value) ~= type_ then
      found[#found + 1] = ("%s is no %s"):format(name, type_)
    end
  end
end

--- environment.check(env) -> true | nil, err
-- Whether `env` is what flows expect, and nothing else is in it. Calls nothing.
--
--   err  invalid  names all that is wrong
function M.check(env)
  local found = {}
  check_types(env, NEEDED, true, found)
  check_types(env, ALLOWED, false, found)
  for name in pairs(fields_of(env)) do
    if not NEEDED[name] and not ALLOWED[name] then
      found[#found + 1] = name .. " is nothing that flows read"
    end
  end
  for _, call in ipairs(type(env.store) == "table" and STORE or {}) do
    if type(env.store[call]) ~= "function" then
      found[#found + 1] = "store:" .. call .. " is missing"
    end
  end
  if #found > 0 then
    table.sort(found)
    return nil, errors.new("invalid", "no environment of flows: "
      .. table.concat(found, ", "))
  end
  return true
end

return M
