--- flows.import.mode: do a machine's disks wait here for their download, or are they
-- passed on while they are read? Decided once, in preflight, and recorded with its reason
-- in status.transfer.

local finding = require "base.finding"

local M = {}

local SPOOL, STREAM = "Spool", "Stream"

local function mib(bytes)
  return ("%d MiB"):format(bytes // 2 ^ 20)
end

-- With as much room as the disks can ever need nothing can go wrong half-way.
local function by_room(ctx, plan)
  local free, needed = ctx.target.disks:room(plan)
  if free and free < needed then
    return { mode = STREAM, reason = ("%s are free in scratch, the disks may need %s")
      :format(mib(free), mib(needed)) }
  elseif not free then
    return { mode = STREAM, reason = "nobody can tell how much is free in scratch" }
  end
  return { mode = SPOOL, reason = ("%s are free in scratch, the disks need %s at most")
    :format(mib(free), mib(needed)) }
end

-- A replica without scratch passes on what it can, and refuses the rest.
local function without_scratch(wanted, rereads)
  if wanted ~= SPOOL and rereads then
    return { mode = STREAM, reason = "there is no scratch" }
  end
  return nil, finding.blocks("NoScratch", "spec.transferMode",
    "the disks would have to wait in scratch, and the controller runs without: "
      .. (rereads and "transferMode is Spool" or "this source cannot be read again if a "
      .. "download breaks off"),
    "give the controller scratch (chart: storage.enabled)"
      .. (rereads and ", or use transferMode Auto" or ""))
end

--- mode.decide(import, ctx, source, plan) -> transfer | nil, finding    [waits]
--
--   transfer  status.transfer, {mode = "Spool" | "Stream", reason}; nil where disks end
--             in files
--   finding   what was asked for cannot be had, or may not end well
function M.decide(import, ctx, source, plan)
  local wanted = import.spec.transferMode
  if not ctx.target.can.images then
    return nil
  elseif ctx.options.no_scratch then
    return without_scratch(wanted, source.can and source.can.reread)
  elseif wanted == SPOOL then
    return { mode = SPOOL, reason = "spec.transferMode" },
      ctx.target.disks:space_finding(plan)
  end
  local rereads = source.can and source.can.reread
  if wanted == STREAM and not rereads then
    return nil, finding.blocks("TransferModeUnsupported", "spec.transferMode",
      "transferMode Stream is not possible: this source cannot be read again if a "
        .. "download breaks off", "use Auto or Spool")
  elseif wanted == STREAM then
    return { mode = STREAM, reason = "spec.transferMode" }
  elseif not rereads then
    return { mode = SPOOL, reason = "the source cannot be read again if a download "
      .. "breaks off" }, ctx.target.disks:space_finding(plan)
  end
  return by_room(ctx, plan)
end

--- mode.change(ctx, mode, reason)                                       [waits]
-- The mode that was decided on has turned out to be impossible.
function M.change(ctx, mode, reason)
  ctx.record({ transfer = { mode = mode, reason = reason } })
  ctx.writer:event("Warning", "TransferModeChanged",
    ("the disks go on as transferMode %s: %s"):format(mode, reason))
end

--- mode.may_stream(import, source) -> boolean
-- Scratch has run out: may the disks be passed on instead?
function M.may_stream(import, source)
  local wanted = import.spec.transferMode or ""
  return (wanted == "" or wanted == "Auto") and source.can ~= nil
    and source.can.reread == true
end

--- mode.is_streamed(import) -> boolean
-- Are the disks passed on as they are read?
function M.is_streamed(import)
  local transfer = import.status and import.status.transfer
  return transfer ~= nil and transfer.mode == STREAM
end

return M
