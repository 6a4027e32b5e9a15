--- flows.import.same_error: what is wrong with a disk twice at the same byte is so at its
-- source, and no other fetch and no other attempt brings anything else.
--
-- The last such error stands in the disk's entry of the status: attempts may be of
-- different processes, and where disks are passed on one attempt reads a disk once.

local disk_status = require "flows.import.disk_status"
local errors = require "host.error"
local text = require "base.text"

local M = {}

local MOST = 512 -- bytes of an error that are kept

local function keep(import, ctx, disk, said)
  disk_status.change(import, ctx, function(entry, other)
    if other.id == disk.id then
      entry.lastError = said
    end
  end)
end

--- same_error.judge(import, ctx, disk, err) -> err                      [waits]
-- Of an err of this disk's bytes: final, when the fetch before has failed just so.
-- Messages of kind format name the byte; others are of the way, and may well be alike.
function M.judge(import, ctx, disk, err)
  if err.kind ~= "format" or err.final then
    return err
  end
  local said = text.cut(err.message, MOST)
  if disk_status.of(import, disk).lastError ~= said then
    keep(import, ctx, disk, said)
    return err
  end
  return errors.final(errors.new("format", err.message
    .. "; it was fetched twice, and both times it was just so"))
end

--- same_error.forget(import, ctx)                                       [waits]
-- All disks have come, and are what the source says it has sent; or the import has ended,
-- and is to be begun anew with nothing held against its disks.
function M.forget(import, ctx)
  for _, entry in ipairs((import.status or {}).diskImportStatus or {}) do
    if entry.lastError then
      return disk_status.change(import, ctx, function(other)
        other.lastError = nil
      end)
    end
  end
end

return M
