--- flows.import.verified: whether anybody vouches for the bytes of a disk.
--
-- Most sources say a checksum of what they send, before or after. A disk of which nobody
-- says one may be another one than the source has, and nobody would see: then the import
-- says so, or, where it must not be (--verify=require), does not take it.

local disk_status = require "flows.import.disk_status"
local errors = require "host.error"
local conditions = require "kube.conditions"
local finding = require "policy.finding"
local findings = require "flows.import.findings"

local M = {}

local TYPE, REASON = "Verified", "NotVerified"

local function set(import, ctx, disk, status, reason, message)
  disk_status.change(import, ctx, function(entry, other)
    if other.id == disk.id then
      disk_status.set(entry, ctx, TYPE, status, reason, message)
    end
  end)
end

local function add_finding(ctx, disk, text)
  ctx.record(function(status)
    local list = { finding.warns(REASON, "disk " .. disk.id, text, "compare the disk "
      .. "here with the one there, or set --verify=require to take no such disk") }
    for _, other in ipairs(status.findings or {}) do
      if other.code ~= REASON or other.subject ~= list[1].subject then
        list[#list + 1] = other
      end
    end
    return { findings = findings.arrange(list, {}) }
  end)
end

local function of(import, disk)
  return conditions.find(disk_status.of(import, disk).diskConditions, TYPE)
end

local function has_digest(stream)
  return stream.digest ~= nil
end

--- verified.refuse(import, ctx, disk)                                   [waits]
-- Nobody vouches for this disk: its condition Verified and a finding say so, once.
-- Throws (invalid, final) where such disks are not taken.
function M.refuse(import, ctx, disk)
  local text = ("\"%s\": the source says no checksum of it, so nobody can tell whether "
    .. "all bytes came as they are there"):format(disk.display_name or disk.name)
  local before = of(import, disk)
  if not before or before.status ~= "False" then
    set(import, ctx, disk, "False", REASON, text)
    add_finding(ctx, disk, text)
  end
  if ctx.options.verify == "require" then
    error(errors.final(errors.new("invalid", ("disk %s of %s: %s; --verify=require takes "
      .. "no such disk"):format(disk.id, import.status.machine.name, text),
      { reason = REASON })))
  end
end

--- verified.check(import, ctx, disk, stream)                            [waits]
-- Before a disk is read: does its source say a checksum, now or when all has come?
--
--   stream  as a provider's export:stream() returns it
function M.check(import, ctx, disk, stream)
  if not has_digest(stream) and #(stream.algorithms or {}) == 0 then
    M.refuse(import, ctx, disk)
  elseif of(import, disk) then
    set(import, ctx, disk, "True", "ChecksumKnown")
  end
end

--- verified.compare(import, ctx, streams, sent)                         [waits]
-- When all have come: a source that may say a checksum at the end, and has not.
--
--   streams  {[disk id] = stream} of those that were read
--   sent     as export:complete() returns it
function M.compare(import, ctx, streams, sent)
  for _, disk in ipairs(import.status.plan.disks) do
    local stream = streams[disk.id]
    if stream and not has_digest(stream) and not sent[disk.id] then
      M.refuse(import, ctx, disk)
    end
  end
end

--- verified.settle(import, ctx)                                         [waits]
-- All disks are here, whenever they came: as verified.refuse.
function M.settle(import, ctx)
  for _, disk in ipairs(import.status.plan.disks) do
    local condition = of(import, disk)
    if condition and condition.status == "False" then
      M.refuse(import, ctx, disk)
    end
  end
end

return M
