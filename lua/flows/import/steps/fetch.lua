--- flows.import.steps.fetch: every disk of the machine, fetched whole.
--
-- A disk that is already whole at the target is not fetched again. The export is held
-- open until all are there, then completed, and what the source says it has sent is
-- compared with what came. One that was not completed is opened again, if only for
-- that: it waits out what an interrupted run has left at the source.

local clock = require "flows.import.clock"
local disk_status = require "flows.import.disk_status"
local early_images = require "flows.import.steps.early_images"
local errors = require "host.error"
local exports = require "flows.import.export"
local images = require "flows.import.steps.images"
local moment = require "flows.import.moment"
local origin = require "base.origin"
local outage = require "flows.import.outage"
local pass_on = require "flows.import.steps.pass_on"
local place = require "flows.import.steps.place"
local power_off = require "flows.import.steps.power_off"
local same_error = require "flows.import.same_error"
local progress = require "flows.import.progress"
local size = require "flows.import.size"
local task = require "host.task"
local verified = require "flows.import.verified"
local mode = require "flows.import.mode"
local waits = require "flows.waits"

local M = {}

local DISK_TRIES = 3    -- of one disk within one export
local LOOK_EVERY = 1    -- seconds between two looks at the progress
local SUBMIT_AGAIN, SUBMIT_MOST = 5, 300 -- seconds after an image could not be made
local PARALLEL = 2      -- disks of one machine at once

-- Trying the same disk again helps with these; with the rest the attempt is over.
local AGAIN = { connect = true, timeout = true, http = true, format = true, dns = true }

-- What stands in the way of an image now is no reason to fetch nothing: they are all
-- asked for again when the disks are here.
local function submit_early(import, ctx, job)
  if clock.now(ctx) < (job.submit_at or 0) then
    return
  end
  local ok, problem = pcall(early_images.submit, import, ctx, job.running)
  job.problem = not ok and "no image yet: " .. errors.of(problem).message or nil
  job.pause = not ok and math.min((job.pause or SUBMIT_AGAIN / 2) * 2, SUBMIT_MOST) or nil
  job.submit_at = job.pause and clock.now(ctx) + job.pause
end

local function watch(import, ctx, job)
  local moves <close> = place.pace(import, ctx)
  while true do
    task.sleep(math.min(ctx.options.poll or LOOK_EVERY, LOOK_EVERY))
    submit_early(import, ctx, job)
    moves:look(job.running)
    local parts = { progress.describe(job.disks, job.running), job.problem }
    if parts[1] ~= "" then
      ctx.writer:progress(table.concat(parts, "; "))
    end
    job.export:progress(progress.fraction(job.disks, job.running, job.whole))
  end
end

-- Two must not write one file. Nobody has failed: a replica that lost its lead gives it
-- up as soon as it runs again, and one that was killed has none.
local function check_free(import, ctx, disks)
  for _, disk in ipairs(disks) do
    local path = ctx.target.disks:writer_of(import.status.plan, disk)
    if path then
      error(errors.new("busy", ("disk %s of %s: another process, a replica that was "
        .. "stopped or cut off, still holds %s; it is looked at again in %d s"):format(
        disk.id, import.status.machine.name, path, waits.DISK),
        { waits = "DiskInUse", after = waits.DISK }))
    end
  end
end

local function fetch_once(import, ctx, job, disk)
  local stream, err = exports.stream(job, disk.id)
  if not stream then
    return nil, err
  end
  verified.check(import, ctx, disk, stream)
  job.streams[disk.id] = stream
  disk = size.settle(import, ctx, disk, stream)
  local transfer
  transfer, err = ctx.target.disks:put(import.status.plan, disk, stream)
  if not transfer then
    return nil, err
  end
  local running <close> = transfer
  local served <close> = early_images.serve(import, ctx, disk)
  job.running[disk.id] = transfer
  progress.observe(ctx, "disk_started", import, disk, transfer)
  local result
  result, err = running:wait()
  served.whole = result ~= nil
  job.running[disk.id] = nil
  progress.observe(ctx, "disk_ended", import, disk, transfer, result, err)
  return result, err
end

-- What came of a disk is kept until the source says what it has sent, which may be in
-- another run.
local function keep_digests(import, ctx, disk, digests)
  local known = digests and next(digests) and digests or nil
  if not known and not disk_status.of(import, disk).digests then
    return
  end
  disk_status.change(import, ctx, function(entry, other)
    if other.id == disk.id then
      entry.digests = known
    end
  end)
end

local function fetch(import, ctx, job, disk)
  local permit <close> = assert(job.places:acquire())
  assert(permit)
  ctx.writer:line("info", "DiskBegun", ("disk %s of %s is being read"):format(disk.id,
    import.status.machine.name), disk.name)
  for try = 1, DISK_TRIES do
    local result, err = fetch_once(import, ctx, job, disk)
    if result then
      job.whole[disk.id] = result
      ctx.writer:line("info", "DiskWhole", ("disk %s of %s is here whole: %d bytes came")
        :format(disk.id, import.status.machine.name, result.received), disk.name)
      keep_digests(import, ctx, disk, result.digests)
      return
    end
    check_free(import, ctx, { disk })
    err = same_error.judge(import, ctx, disk, err)
    if try == DISK_TRIES or not AGAIN[err.kind] or err.final or err.tried
      or job.export:lost() then
      local problem = errors.wrap(job.export:lost() or err, ("disk %s of %s"):format(
        disk.id, import.status.machine.name))
      problem.disk = disk.id
      error(problem)
    end
    ctx.writer:line("warn", "DiskAgain", ("disk %s of %s: %s; it is read again (%d of %d)"
      ):format(disk.id, import.status.machine.name, err.message, try + 1, DISK_TRIES),
      disk.name)
  end
end

-- Runs f(disk) for all as tasks; the first that fails ends the others.
local function for_all(items, f)
  local group <close> = setmetatable({}, { __close = function(tasks)
    for _, t in ipairs(tasks) do
      task.goodbye("ends a disk", t.cancel, t)
    end
  end })
  local failed
  local ended = task.signal()
  local left = #items
  for i, item in ipairs(items) do
    group[i] = task.spawn("disk " .. item.id, function()
      local ok, err = pcall(f, item)
      left = left - 1
      failed = failed or not ok and err or nil
      ended:notify()
    end)
  end
  while left > 0 and not failed do
    ended:wait()
  end
  if failed then
    for _, t in ipairs(group) do
      t:cancel()
    end
    error(failed, 0)
  end
end

-- Bytes that the source says it sent must be the bytes that came; disks of which that is
-- not so are given up, all of them, before the attempt fails.
local function compare(import, ctx, job, sent)
  local problem
  for _, disk in ipairs(job.disks) do
    local text = exports.differs(disk_status.of(import, disk).digests, sent[disk.id])
    if text then
      ctx.target.disks:remove(import.status.plan, disk)
      if ctx.target.can.images then
        images.give_up(import, ctx, disk)
      end
      local err = same_error.judge(import, ctx, disk, errors.new("format", text))
      problem = problem or errors.wrap(err, ("disk %s of %s"):format(disk.id,
        import.status.machine.name))
    end
  end
  if problem then
    error(problem)
  end
  same_error.forget(import, ctx)
  verified.compare(import, ctx, job.streams, sent)
end

-- Disks that are not here, and that Harvester does not have yet either.
local function missing_disks(import, ctx)
  if ctx.target.can.images then
    images.verify(import, ctx)
  end
  local missing = {}
  for _, disk in ipairs(import.status.plan.disks) do
    if not images.is_ready(disk_status.of(import, disk))
      and ctx.target.disks:state(import.status.plan, disk) ~= "whole" then
      missing[#missing + 1] = disk
    end
  end
  return missing
end

local function fetch_all(import, ctx, missing)
  local source <close> = assert(ctx.open_source(origin.of(import)))
  local export <close> = assert(exports.open(import, ctx, source))
  outage.over(import, ctx)
  moment.check(import, ctx, source)
  local job = {
    export = export,
    source = source,
    disks = import.status.plan.disks,
    running = {},
    whole = {},
    streams = {},
    places = task.semaphore(ctx.options.parallel_disks or PARALLEL),
  }
  local watcher <close> = task.spawn("watches the export", watch, import, ctx, job)
  assert(watcher)
  for_all(missing, function(disk)
    fetch(import, ctx, job, disk)
  end)
  moment.check(import, ctx, source)
  compare(import, ctx, job, assert(export:complete()))
end

-- Files in scratch are ours to remove; in a directory they are the user's.
local function remember_files(ctx, missing)
  local entries = {}
  for i, disk in ipairs(missing) do
    entries[i] = disk_status.file_entry(disk)
  end
  if ctx.target.can.images and #entries > 0 then
    ctx.writer:remember(table.unpack(entries))
  end
end

-- Scratch is full. What was fetched in part goes, and unless the import says otherwise
-- the next attempt does without scratch.
local function without_scratch(import, ctx, missing, why)
  local source <close> = assert(ctx.open_source(origin.of(import)))
  if not ctx.target.can.images or not mode.may_stream(import, source) then
    return
  end
  for _, disk in ipairs(missing) do
    ctx.target.disks:remove(import.status.plan, disk)
  end
  mode.change(ctx, "Stream", why)
  return true
end

-- Room in scratch that nobody else counts on. Where there is none the disks are passed
-- on, or wait, and meanwhile others have the place.
local function take_room(import, ctx, missing)
  if not ctx.target.can.images then
    return nil
  end
  local promise, why = ctx.target.disks:promise(import.status.plan, missing)
  if promise then
    return promise
  end
  local goes_on = without_scratch(import, ctx, missing, why)
  place.leave(import, ctx)
  error(errors.new("busy", why, { waits = "WaitingForScratch",
    after = goes_on and 0 or waits.ROOM }))
end

local function fetch_missing(import, ctx, missing)
  check_free(import, ctx, missing)
  local promise <close> = take_room(import, ctx, missing)
  assert(promise or not ctx.target.can.images)
  remember_files(ctx, missing)
  if ctx.target.can.images then
    images.publish(import, ctx)
  end
  local ok, err = pcall(fetch_all, import, ctx, missing)
  if not ok then
    err = errors.of(err)
    if err.waits or outage.of(err, outage.ask(import, ctx)) then
      error(err)
    end
    ctx.writer:condition("VMExportFailed", "True", "ExportFailed", err.message,
      { silent = true })
    if err.kind == "nospace" then
      without_scratch(import, ctx, missing, err.message)
    end
    error(err)
  end
end

local function settle(import, ctx)
  local source <close> = assert(ctx.open_source(origin.of(import)))
  moment.settle(import, ctx, source)
end

--- fetch.run(import, ctx) -> outcome                                    [waits]
function M.run(import, ctx)
  if mode.is_streamed(import) then
    return pass_on.run(import, ctx)
  end
  settle(import, ctx)
  local missing = missing_disks(import, ctx)
  if #missing > 0 or exports.is_open(import) then
    fetch_missing(import, ctx, missing)
  end
  local early = ctx.target.can.images and images.delete_early(import, ctx)
  if early then
    return early
  end
  verified.settle(import, ctx)
  ctx.writer:condition("VMExported", "True", "Exported",
    ("all %d disks are here whole"):format(#import.status.plan.disks))
  disk_status.change(import, ctx, function(entry, disk)
    entry.diskLocalPath = ctx.target.disks:path(import.status.plan, disk)
  end)
  return "disksExported"
end

--- fetch.refill: the step for a state in which the disks should be here: it fetches
-- again what has gone since (scratch that did not outlive a restart). Those that are
-- passed on as they are read are never here.
M.refill = {}

function M.refill.run(import, ctx)
  if mode.is_streamed(import) then
    return pass_on.run(import, ctx)
  end
  local missing = missing_disks(import, ctx)
  if #missing > 0 then
    power_off.run(import, ctx)
    settle(import, ctx)
    fetch_missing(import, ctx, missing_disks(import, ctx))
  end
  return nil
end

return M
