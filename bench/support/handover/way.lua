--- way: one disk on its way from its source to whoever downloads it, as a controller with
-- nothing else to do has it; for bench/handover.
--
--   vm-import-controller script way.lua MODE URL CAPACITY SCRATCH CHECK
--
--   MODE    stream | spool | file: transferMode Stream, Spool, and a raw file, as disks
--           that are no VMDK wait for their download
--   URL     of a stream-optimised VMDK
--   CHECK   plain: no checksum is computed, neither of the stream nor of the disk |
--           summed: of the stream those that vSphere may give, SHA-256 and SHA-1 |
--           verified: and SHA-512 of the disk, as --verify-images has it
--
-- Prints the URL of the disk as soon as the controller would have it downloaded, and runs
-- until SIGTERM.

local env = require "host.env"
local harvester = require "targets.harvester"
local images = require "host.images"
local raw_files = require "targets.raw_files"
local service = require "cli.service"
local task = require "host.task"

local ROUTE = "/00112233445566778899aabbccddeeff/disk-0.raw"
local PLAN = { namespace = "default" }

local mode, url, capacity, scratch, check = ...
local disk = { name = "disk-0", capacity_bytes = math.tointeger(tonumber(capacity)) }
local stream = { url = url, format = "vmdk", resumable = true,
  algorithms = check == "plain" and {} or { "sha256", "sha1" } }

local WAYS = {}

function WAYS.stream(target)
  return assert(target:publish_stream(disk, ROUTE, stream))
end

function WAYS.spool(target)
  local transfer = assert(target.disks:put(PLAN, disk, stream))
  target:publish(PLAN, disk, ROUTE)
  return transfer
end

function WAYS.file(target)
  target.disks = raw_files.new(scratch, {})
  local transfer <close> = assert(target.disks:put(PLAN, disk, stream))
  assert(transfer:wait())
  target.server:publish(ROUTE, { file = target.disks:path(PLAN, disk),
    size = disk.capacity_bytes })
end

local function run()
  local server <close> = assert(images.serve({ host = "127.0.0.1", port = 0,
    sha512 = check == "verified" }))
  local target = harvester.new({ server = server, scratch = scratch,
    base_url = "http://" .. server:address() })
  local reads <close> = WAYS[mode](target)
  assert(reads or mode == "file")
  server:ready()
  env.stdout(target:image_url(ROUTE) .. "\n")
  task.signal():wait()
end

service.run(run)
