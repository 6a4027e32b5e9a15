--- flows.import.progress: how far the disks are that are being read, and who is told.

local M = {}

local function human(bytes)
  if bytes >= 1e9 then
    return ("%.1f GB"):format(bytes / 1e9)
  end
  return ("%.0f MB"):format(bytes / 1e6)
end

-- "1 h 20 min", "4 min", "30 s".
local function span(seconds)
  if seconds >= 3600 then
    return ("%d h %d min"):format(seconds // 3600, seconds % 3600 // 60)
  elseif seconds >= 60 then
    return ("%d min"):format(seconds // 60)
  end
  return ("%d s"):format(seconds)
end

-- How long the rest takes if it goes on as the disk has passed until now.
local function time_left(p, capacity)
  if p.position <= 0 or p.received <= 0 or (p.rate or 0) <= 0 then
    return ""
  end
  local left = p.received * (capacity / p.position - 1) / p.rate
  return left >= 1 and left < 1e7 and ", " .. span(math.ceil(left)) .. " left" or ""
end

--- progress.describe(disks, running) -> text
-- "disk 1/2 43 % of 10.7 GB, 1.2 GB at 118 MB/s, 4 min left", of all that are being read.
--
--   running  {[disk id] = something with progress() as host.disk's transfers have it}
function M.describe(disks, running)
  local parts = {}
  for i, disk in ipairs(disks) do
    local reads = running[disk.id]
    if reads then
      local p = reads:progress()
      local capacity = math.max(disk.capacity_bytes, 1)
      parts[#parts + 1] = ("disk %d/%d %d %% of %s, %s at %s/s%s"):format(i, #disks,
        p.position * 100 // capacity, human(capacity), human(p.received),
        human(p.rate or 0), time_left(p, capacity))
    end
  end
  return table.concat(parts, "; ")
end

--- progress.fraction(disks, running, whole) -> 0 to 1, of all disks together
function M.fraction(disks, running, whole)
  local passed, all = 0, 0
  for _, disk in ipairs(disks) do
    all = all + disk.capacity_bytes
    if whole[disk.id] then
      passed = passed + disk.capacity_bytes
    elseif running[disk.id] then
      passed = passed + running[disk.id]:progress().position
    end
  end
  return all > 0 and passed / all or 0
end

--- progress.observe(ctx, event, ...)
-- Tells who follows transfers (flows.environment), if somebody does.
function M.observe(ctx, event, ...)
  local observer = ctx.observer
  if observer and observer[event] then
    observer[event](observer, ...)
  end
end

return M
