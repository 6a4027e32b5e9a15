--- targets: where disks and machines go; the contract that every target meets.
--
-- A target is a value whose `can` says how far it goes: flows ask it, not who it is.
--
--   target.can.images  disks become images that somebody downloads; else they stay files
--   target.can.run     machines run here; else their manifests are written
--   target.disks       the disks on their way, as files
--
-- All of them:
--
--   target:check(plan, import) -> findings    what stands in the way here         [waits]
--   target:image_url(route) -> url | nil      where the disk will be served; nil: nowhere
--   disks:put(plan, disk, stream) -> transfer | nil, err    transfer:wait() returns when
--                                             it is whole and durable             [waits]
--   disks:path(plan, disk) -> path
--   disks:state(plan, disk) -> "whole" | nil                                      [waits]
--   disks:writer_of(plan, disk) -> path | nil    somebody else writes it          [waits]
--   disks:remove(plan, disk)                  who reads it reads on               [waits]
--   disks:space_finding(plan) -> finding | nil   it may not have room             [waits]
--
-- Without can.images:
--
--   target:put_machine(manifests, import)     writes them; again the same         [waits]
--   disks:rename(plan, disk, new_plan, new_disk)                                  [waits]
--
-- With can.images:
--
--   target:backend(storage_class) -> "backingimage" | "cdi" | nil, err            [waits]
--   target:put(manifest, import) -> object | nil, err    or the import's own [waits]
--   target:delete(kind, namespace, name, import) -> gone | nil, err               [waits]
--   target:disown(kind, namespace, name, uid) -> true | nil, err    it is the user's
--                                             from now on                         [waits]
--   target:image_state(namespace, name) -> state | nil, err    {phase = "importing" |
--                   "ready" | "failed", progress, message, sha512, backend,
--                   created, looked_again}                                        [waits]
--   target:look_again(namespace, name, now) -> true | nil, err    Harvester looks at
--                                             the image again                     [waits]
--   target:whole_since(namespace, name) -> seconds of the wall | nil    Longhorn has all
--                                             of the image                        [waits]
--   target:publish(plan, disk, route)         the route gives the disk            [waits]
--   target:publish_stream(disk, route, stream) -> reads, to be closed | nil, err
--   target:hold(disk, route)                  who asks waits
--   target:served(route) -> {requests, full_reads, bytes, active, sha512} | nil
--   target:forget(route)                      the route gives nothing any more
--   disks:comes(plan, disk) -> boolean        what has come can be published
--   disks:remove_file(name)                   of an earlier controller            [waits]
--   disks:room(plan) -> free, needed | nil    bytes                               [waits]
--   disks:promise(plan, disks) -> promise, to be closed | nil, why    room for them until
--                                             they are whole                      [waits]
--
-- With can.run:
--
--   target:defaults() -> {max_sockets, termination_grace_seconds}                 [waits]
--   target:room_problem(plan, skip) -> finding | nil    before the power-off      [waits]
--   target:missing_network(plan) -> nic | nil                                     [waits]
--   target:machine_state(namespace, name) -> state | nil, err                     [waits]
--   target:copy_state(namespace, name) -> message | nil   it is being copied      [waits]
--   target:is_made_from(namespace, name, entries) -> boolean | nil, err           [waits]
--
-- [waits] may throw an err: whoever was asked does not answer.

local errors = require "host.error"

local ALL = { "check", "image_url" }
local ALL_DISKS = { "put", "path", "state", "writer_of", "remove", "space_finding" }
local FILES, FILES_DISKS = { "put_machine" }, { "rename" }
local IMAGES = { "backend", "put", "delete", "disown", "image_state", "look_again",
  "whole_since",
  "publish", "publish_stream", "hold", "served", "forget" }
local IMAGES_DISKS = { "comes", "remove_file", "room", "promise" }
local RUN = { "defaults", "room_problem", "missing_network", "machine_state",
  "copy_state", "is_made_from" }

local M = {}

local function missing(value, names, what, found)
  for _, name in ipairs(names) do
    if type(value[name]) ~= "function" then
      found[#found + 1] = what .. ":" .. name
    end
  end
end

--- targets.check(target) -> true | nil, err
-- Whether `target` meets the contract. Calls nothing.
--
--   err  invalid  names all that is missing
function M.check(target)
  local can, disks, found = target.can or {}, target.disks or {}, {}
  for _, name in ipairs { "images", "run" } do
    if type(can[name]) ~= "boolean" then
      found[#found + 1] = "can." .. name
    end
  end
  missing(target, ALL, "target", found)
  missing(disks, ALL_DISKS, "disks", found)
  missing(target, can.images and IMAGES or FILES, "target", found)
  missing(disks, can.images and IMAGES_DISKS or FILES_DISKS, "disks", found)
  missing(target, can.run and RUN or {}, "target", found)
  if #found > 0 then
    return nil, errors.new("invalid", "no target: it lacks " .. table.concat(found, ", "))
  end
  return true
end

return M
