--- flows.import.export: a machine's export, whether its disks are fetched or passed on.

local cleanup = require "flows.import.steps.cleanup"

local M = {}

--- export.open(import, ctx, source) -> export, to be closed | nil, err   [waits]
-- Objects that it makes at the source stand in status.recorded, waits in conditions.
function M.open(import, ctx, source)
  local machine = import.status.machine
  ctx.writer:working("Exporting", "opening the export of " .. machine.name)
  return source:export(machine, {
    id = import.metadata.uid,
    report = function(message)
      ctx.writer:working("Exporting", message)
    end,
    recorded = import.status.recorded or {},
    record = function(entry)
      if entry.gone then
        ctx.writer:forget(entry)
      else
        ctx.writer:remember(entry)
      end
    end,
    waiting = function(message, until_time)
      ctx.writer:working("SourceBusy", message, { nextAttemptTime = until_time },
        { level = "warn" })
    end,
  })
end

--- export.stream(job, disk_id) -> stream | nil, err                     [waits]
-- As a provider's export:stream(), and how slow its source may be.
--
--   job  {export, source}
function M.stream(job, disk_id)
  local stream, err = job.export:stream(disk_id)
  if stream then
    stream.least_rate = job.source.least_rate
  end
  return stream, err
end

--- export.is_open(import) -> boolean
-- Did an interrupted run leave an export open at the source?
function M.is_open(import)
  for _, entry in ipairs(import.status.recorded or {}) do
    if not cleanup.is_ours(entry) then
      return true
    end
  end
  return false
end

--- export.differs(digests, said) -> text | nil
-- Whether what came is what the source says it sent; nil where nobody says.
--
--   digests  {[algorithm] = hex} of what came, or nil
--   said     {algorithm, value}, or nil
function M.differs(digests, said)
  local have = digests and said and said.algorithm and digests[said.algorithm]
  return have and said.value and have:lower() ~= said.value:lower()
    and ("%s of what came is %s, the source says it sent %s"):format(said.algorithm, have,
      said.value) or nil
end

return M
