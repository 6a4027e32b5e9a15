--- flows.import.steps.pass_on: every disk of the machine, passed on to Harvester while it
-- is read: no scratch space at all (transferMode Stream).
--
-- One step, from the export's opening to its end: the routes are published, the images
-- made, and each GET of Harvester reads the disk at the source anew, without us. The
-- export is held until every image is there. If it is lost, it is opened again, and who
-- asks meanwhile waits. A restart comes here again and keeps the images.

local disk_status = require "flows.import.disk_status"
local errors = require "host.error"
local exports = require "flows.import.export"
local images = require "flows.import.steps.images"
local moment = require "flows.import.moment"
local origin = require "base.origin"
local outage = require "flows.import.outage"
local place = require "flows.import.steps.place"
local power_off = require "flows.import.steps.power_off"
local progress = require "flows.import.progress"
local same_error = require "flows.import.same_error"
local size = require "flows.import.size"
local task = require "host.task"
local mode = require "flows.import.mode"
local verified = require "flows.import.verified"

local M = {}

local LOOK_EVERY = 2 -- seconds between two looks at images and progress
local PARALLEL = 2   -- disks of one machine at once
local PASSED_ON = { vmdk = true, raw = true } -- formats that are decoded as they come

-- Disks whose images Harvester has not got.
local function missing_disks(import)
  local missing = {}
  for _, disk in ipairs(import.status.plan.disks) do
    if not images.is_ready(disk_status.of(import, disk)) then
      missing[#missing + 1] = disk
    end
  end
  return missing
end

-- An image of this disk was asked for, and has not failed.
local function is_submitted(import, disk)
  local entry = disk_status.of(import, disk)
  return (entry.VirtualMachineImage or "") ~= ""
end

-- Asks for as many images as may be read at once, the first ones first.
local function submit_next(import, ctx)
  local most, fresh, under_way = ctx.options.parallel_disks or PARALLEL, {}, 0
  for _, disk in ipairs(missing_disks(import)) do
    if under_way < most and not is_submitted(import, disk) then
      images.submit(import, ctx, disk)
      fresh[disk.id] = true
    end
    under_way = under_way + 1
  end
  if next(fresh) then
    images.mark_submitted(import, ctx, function(disk)
      return fresh[disk.id]
    end)
  end
end

-- Why reading a disk has failed, if it has: Harvester only knows that it broke off.
local function trouble(job, disk)
  local reads = job.reads[disk.id]
  local err = reads and reads:progress().error
  return err and ("reading the disk: %s"):format(err.message)
end

-- Why a disk cannot be passed on, but perhaps spooled: only the stream has told.
local function impossible(job)
  for _, disk in ipairs(job.disks) do
    local reads = job.reads[disk.id]
    local err = reads and reads:progress().error
    if err and err.kind == "unsupported" then
      return ("disk %s: %s"):format(disk.id, err.message)
    end
  end
end

-- The rest of the disks goes by way of scratch.
local function spool(ctx, reason)
  if ctx.options.no_scratch then
    error(errors.final(errors.new("unsupported", reason .. "; it would have to wait in "
      .. "scratch, and the controller runs without", { reason = "NoScratch" })))
  end
  mode.change(ctx, "Spool", reason)
  return { leave = true, after = 0 }
end

local function wrapped(import, disk, err)
  err = errors.wrap(err, ("disk %s of %s"):format(disk.id, import.status.machine.name))
  err.disk = disk.id
  return err
end

-- Harvester downloads an image several times before it gives up: the disk is the same
-- each time. Throws when it was wrong before just so, in whichever read.
local function judge_reads(import, ctx, job)
  for _, disk in ipairs(job.disks) do
    local p = job.reads[disk.id] and job.reads[disk.id]:progress() or {}
    if (p.failed or 0) > (job.failed[disk.id] or 0) then
      job.failed[disk.id] = p.failed
      local err = same_error.judge(import, ctx, disk, p.error)
      if err.final then
        error(wrapped(import, disk, err))
      end
    end
  end
end

-- An image that has failed because its disk could not be read any more has not failed
-- when the source is away: that is thrown.
local function check_source(import, ctx, job, states)
  for _, disk in ipairs(job.disks) do
    local state, reads = states[disk.id], job.reads[disk.id]
    local err = state and state.phase == "failed" and reads and reads:progress().error
    if err then
      err = wrapped(import, disk, err)
      if outage.of(err, outage.ask(import, ctx)) then
        error(err)
      end
    end
  end
end

local function failures(import, job, states)
  local texts = {}
  for _, disk in ipairs(job.disks) do
    local state = states[disk.id]
    if state and state.phase == "failed" then
      local why = trouble(job, disk)
      texts[#texts + 1] = ("image %s: %s%s"):format(
        disk_status.of(import, disk).VirtualMachineImage, state.message,
        why and "; " .. why or "")
    end
  end
  return texts
end

-- What the source has read and what Harvester says of it, and what went wrong so far.
local function report(ctx, job, states)
  local running, whole, parts = {}, {}, {}
  for id, reads in pairs(job.reads) do
    whole[id] = states[id] and states[id].phase == "ready"
    running[id] = reads:progress().reading > 0 and reads or nil
  end
  job.moves:look(running)
  for _, text in ipairs { progress.describe(job.disks, running),
    images.describe({ disks = job.disks }, states) } do
    parts[#parts + 1] = text ~= "" and text or nil
  end
  for _, disk in ipairs(job.disks) do
    local why = not whole[disk.id] and trouble(job, disk)
    parts[#parts + 1] = why and ("disk %s is read again: %s"):format(disk.id, why) or nil
  end
  ctx.writer:progress(#parts > 0 and table.concat(parts, "; ")
    or "waiting for Harvester to ask for the disks")
  job.export:progress(progress.fraction(job.disks, running, whole))
end

-- The export has ended well; what the source says it has sent is what came.
local function complete(import, ctx, job)
  moment.check(import, ctx, job.source)
  local sent = assert(job.export:complete())
  local texts, last = {}, nil
  for _, disk in ipairs(job.disks) do
    local text = exports.differs(disk_status.of(import, disk).digests, sent[disk.id])
    if text then
      images.give_up(import, ctx, disk)
      local err = same_error.judge(import, ctx, disk, errors.new("format", text))
      last = last or err.final and errors.wrap(err, "disk " .. disk.id)
      texts[#texts + 1] = ("disk %s: %s: the image was deleted"):format(disk.id, text)
    end
  end
  if last then
    error(last)
  elseif #texts > 0 then
    return images.failed(import, ctx, texts)
  end
  same_error.forget(import, ctx)
  verified.compare(import, ctx, job.streams, sent)
  ctx.writer:condition("VMExported", "True", "Exported",
    ("all %d disks were passed on whole"):format(#job.disks))
  return images.all_ready(import, ctx)
end

-- What came of a disk whose image is ready now: compared when the export ends, this one
-- or one of a later run.
local function keep_digests(import, ctx, job)
  local fresh, found = {}, false
  for id, reads in pairs(job.reads) do
    local digests = reads:progress().digests
    fresh[id] = digests and next(digests) and digests or nil
  end
  for _, disk in ipairs(job.disks) do
    local entry = disk_status.of(import, disk)
    found = found
      or images.is_ready(entry) and not entry.digests and fresh[disk.id] ~= nil
  end
  if found then
    disk_status.change(import, ctx, function(entry, disk)
      if images.is_ready(entry) then
        entry.digests = entry.digests or fresh[disk.id]
      end
    end)
  end
end

-- What Harvester says of the images that were asked for; one that was ready is not looked
-- at again each time: of many disks that would be most of what is asked.
local function look(import, ctx)
  local function is_ready(disk)
    return images.is_ready(disk_status.of(import, disk))
  end
  local states = images.look(import, ctx, function(disk)
    return is_submitted(import, disk) and not is_ready(disk)
  end)
  for _, disk in ipairs(import.status.plan.disks) do
    states[disk.id] = states[disk.id] or is_ready(disk) and { phase = "ready" } or nil
  end
  return states
end

-- Until all images are there, or one has failed; nil: the export is lost.
local function follow(import, ctx, job)
  while true do
    submit_next(import, ctx)
    ctx.advance("diskImageSubmitted")
    local states = look(import, ctx)
    images.write_states(import, ctx, states)
    keep_digests(import, ctx, job)
    judge_reads(import, ctx, job)
    local failed, reason = failures(import, job, states), impossible(job)
    if reason then
      return spool(ctx, reason)
    elseif #failed > 0 then
      check_source(import, ctx, job, states)
      return images.failed(import, ctx, failed)
    elseif #missing_disks(import) == 0 then
      return complete(import, ctx, job)
    elseif job.export:lost() then
      return nil
    end
    report(ctx, job, states)
    task.sleep(ctx.options.poll or LOOK_EVERY)
  end
end

-- Whoever asks for a disk reads it from now on. Returns why not, if a disk's format is
-- none that can be passed on.
local function publish(import, ctx, job)
  for _, disk in ipairs(missing_disks(import)) do
    local stream = assert(exports.stream(job, disk.id))
    verified.check(import, ctx, disk, stream)
    job.streams[disk.id] = stream
    disk = size.settle(import, ctx, disk, stream)
    local route = disk_status.of(import, disk).diskRoute
    if not PASSED_ON[stream.format] then
      return ("disk %s comes as %s"):format(disk.id, stream.format)
    end
    local reads = assert(ctx.target:publish_stream(disk, route, stream))
    job.reads[disk.id] = reads
    ctx.writer:line("info", "DiskPassedOn", ("disk %s of %s is passed on as it is read")
      :format(disk.id, import.status.machine.name), disk.name)
    progress.observe(ctx, "disk_started", import, disk, reads)
  end
end

local function let_go(import, ctx, job)
  for _, disk in ipairs(job.disks) do
    local reads = job.reads[disk.id]
    if reads then
      local ready = images.is_ready(disk_status.of(import, disk))
      progress.observe(ctx, "disk_ended", import, disk, reads, ready and {} or nil)
      if not ready then -- who asks now waits for another export
        ctx.target:hold(disk, disk_status.of(import, disk).diskRoute)
      end
      reads:close()
    end
  end
end

-- With one export: an outcome, or nil: it was lost on the way.
local function pass_on(import, ctx, source)
  local export <close> = assert(exports.open(import, ctx, source))
  outage.over(import, ctx)
  moment.check(import, ctx, source)
  local moves <close> = place.pace(import, ctx)
  local job = { export = export, source = source, disks = import.status.plan.disks,
    reads = {}, failed = {}, streams = {}, moves = moves }
  local group <close> = setmetatable({}, { __close = function()
    let_go(import, ctx, job)
  end })
  assert(group)
  local reason = publish(import, ctx, job)
  local outcome = reason and spool(ctx, reason) or follow(import, ctx, job)
  if not outcome then
    ctx.writer:event("Warning", "ExportLost", export:lost().message)
  end
  return outcome
end

local function pass_all_on(import, ctx)
  local source <close> = assert(ctx.open_source(origin.of(import)))
  moment.settle(import, ctx, source)
  local outcome
  repeat
    outcome = pass_on(import, ctx, source)
  until outcome
  return outcome
end

-- Images that have failed go first; those of disks that are missing were not asked for.
local function begin_again(import, ctx)
  local after_outage = import.status.outage ~= nil
  local early
  if after_outage then
    early = images.delete_early(import, ctx)
  else
    early = images.delete_failed(import, ctx)
  end
  if early then
    early.outage = after_outage
    return early
  end
  disk_status.change(import, ctx, function(entry)
    if not images.is_ready(entry) then
      entry.VirtualMachineImage = nil
    end
  end)
end

--- pass_on.run(import, ctx) -> outcome                                  [waits]
function M.run(import, ctx)
  local state = import.status.importStatus
  local early = (state == "diskImageFailed" or import.status.outage)
    and begin_again(import, ctx)
  if early then
    return early
  end
  images.verify(import, ctx)
  images.publish(import, ctx)
  if state ~= "sourceReady" and #missing_disks(import) > 0 then
    power_off.run(import, ctx)
  end
  if #missing_disks(import) == 0 and not exports.is_open(import) then
    return images.all_ready(import, ctx)
  end
  local ok, outcome = pcall(pass_all_on, import, ctx)
  if not ok then
    local err = errors.of(outcome)
    if not outage.of(err, outage.ask(import, ctx)) then
      ctx.writer:condition("VMExportFailed", "True", "ExportFailed", err.message,
      { silent = true })
    end
    error(err)
  end
  return outcome
end

return M
