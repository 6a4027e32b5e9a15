--- flows.import.outage: what cannot be reached is waited for; that is nobody's failure.
-- So is what others have taken away, and have to bring back (needed.lua).
--
-- The one place that says of an err whether it is an outage. Where the err itself cannot
-- tell, the source is asked: one that lets us log in afterwards is no outage, and what
-- has failed counts as an attempt. So a disk whose download breaks off again and again
-- ends the import, and a vCenter that is being restarted does not, whatever broke first.
--
-- How long is counted in pauses between two tries, none of them longer than it was meant
-- to be: a wall clock that jumps cannot end the wait, nor can hours in which nobody
-- looked; a restart does not begin it anew.

local errors = require "host.error"
local json = require "host.json"
local origin = require "base.origin"
local time = require "host.time"

local M = {}

local FIRST, MOST = 5, 300 -- seconds between two tries
local TRY = 300            -- seconds of one try that count at most
local GIVE_UP = 24 * 3600  -- seconds

local ACCESS_MOST = 30     -- seconds between two tries: whoever gives rights looks on

M.SOURCE, M.HARVESTER = "SourceUnreachable", "HarvesterUnreachable"
M.ACCESS = "AccessDenied"

local ENDED = { [M.SOURCE] = "SourceReached", [M.HARVESTER] = "HarvesterReached" }

-- A server, or what stands before it, that says it cannot answer now.
local AWAY = { [429] = true, [502] = true, [503] = true, [504] = true }

-- Of these the kind alone says it; those of a disk's bytes, and the others, are looked
-- into: a time may also be over while the source works on, a lease be lost alone.
local PLAIN = { connect = true, dns = true }
local UNCLEAR = { timeout = true, tls = true, gone = true, connect = true, dns = true }

-- The API server does not know us, or its authorizer says no: a fault of the
-- installation, or an API server that starts and has not read its roles yet. What
-- admission refuses (quota, policies, webhooks) is about the object, and has other words.
local function is_access(err)
  return err.status == 401 or err.status == 403 and not err.webhook
    and err.message:find("is forbidden: User \".-\" cannot ") ~= nil
end

-- What the API server, or nobody in its place, has answered (kube.requests).
local function of_cluster(err)
  if is_access(err) then
    err.retry_most = ACCESS_MOST
    return M.ACCESS
  end
  local away = AWAY[err.status] or not err.status and (PLAIN[err.kind]
    or err.kind == "timeout") or err.behind
  return away and M.HARVESTER or nil
end

local function says_so(err)
  return not err.disk and (AWAY[err.status] or PLAIN[err.kind]) or false
end

local function is_unclear(err)
  return err.disk ~= nil or UNCLEAR[err.kind] or err.kind == "http" and not err.status
end

local function look(err, ask)
  if err.final then
    return nil
  elseif err.api then
    return of_cluster(err)
  elseif says_so(err) then
    return M.SOURCE
  elseif not is_unclear(err) then
    return nil
  end
  local there, why = ask()
  if there then
    return nil
  elseif why.api then
    return of_cluster(why)
  end
  return (says_so(why) or why.kind == "timeout") and M.SOURCE or nil
end

--- outage.of(err, ask) -> reason | nil                                  [waits]
-- Whether `err` says that somebody cannot be reached, and who: M.SOURCE or M.HARVESTER;
-- that we may not, M.ACCESS; or that something is missing.
-- The same err is looked into once.
--
--   err  .api     it is of a call to the cluster's API server
--        .disk    it is of a disk's bytes, whose id this is
--        .outage  the reason, where who threw it has looked; .retry_most: seconds between
--                 two tries then
--   ask  function () -> true | false, err: whether one can log in at the source now
function M.of(err, ask)
  if err.outage == nil then
    err.outage = look(err, ask) or false
  end
  return err.outage or nil
end

--- outage.ask(import, ctx) -> function for outage.of
function M.ask(import, ctx)
  return function()
    local ref = origin.of(import)
    if not ref.kind or not ref.name then
      return true -- there is nobody to ask
    end
    local source, err = ctx.open_source(ref, { fresh = true })
    local borrowed <close> = source
    return borrowed ~= nil, err
  end
end

--- outage.seconds(text) -> number | nil
-- Of "90s", "30m", "24h", "1h30m".
function M.seconds(text)
  local units, sum = { h = 3600, m = 60, s = 1 }, 0
  local rest = text:gsub("(%d+)([hms])", function(number, unit)
    sum = sum + tonumber(number) * units[unit]
    return ""
  end)
  return text ~= "" and rest == "" and sum or nil
end

local function bound(import, ctx)
  return M.seconds(import.spec.giveUpAfter or "") or ctx.options.give_up_after or GIVE_UP
end

-- Seconds that have passed since the last try, of those the pause and the try may take.
local function passed(before, ctx, took)
  local most = before.pauseSeconds + math.min(took, TRY)
  local wall = ctx.now() - (time.parse(before.lastTryTime) or 0)
  return wall < 0 and most or math.min(wall, most)
end

local function next_entry(import, ctx, reason, took)
  local before = import.status and import.status.outage
  if not before or before.reason ~= reason then
    return { reason = reason, since = time.rfc3339(ctx.now()), tries = 1,
      waitedSeconds = 0 }
  end
  return { reason = reason, since = before.since, tries = before.tries + 1,
    waitedSeconds = math.floor(before.waitedSeconds + passed(before, ctx, took) + 0.5) }
end

local function pause(ctx, entry, err, left)
  local first = ctx.options.retry_first or FIRST
  local back_off = math.min(first * 2 ^ math.min(entry.tries - 1, 20),
    ctx.options.retry_most or err.retry_most or MOST)
  return math.max(1, math.ceil(math.min(math.max(back_off, err.after or 0), left)))
end

--- outage.wait(import, ctx, reason, err, took) -> outcome | nil, err
-- Of an err that is one: when to look again; or why not, when it has lasted for
-- spec.giveUpAfter.
--
--   took  seconds that the try has taken, by a clock that does not jump
function M.wait(import, ctx, reason, err, took)
  local entry, most = next_entry(import, ctx, reason, took), bound(import, ctx)
  local left = most - entry.waitedSeconds
  if left <= 0 then
    return nil, errors.new(err.kind, ("%s; it has been so since %s: given up after %d s "
      .. "(spec.giveUpAfter)"):format(err.message, entry.since, most),
      { reason = reason, final = true })
  end
  entry.pauseSeconds = pause(ctx, entry, err, left)
  entry.lastTryTime = time.rfc3339(ctx.now())
  return { wait = reason, after = entry.pauseSeconds, fields = { outage = entry },
    trouble = true, event = entry.tries == 1 and "Warning" or nil,
    message = ("%s; waited for since %s, tried again at %s, given up after %d s of it; "
      .. "what was fetched is kept"):format(err.message, entry.since,
      time.rfc3339(ctx.now() + entry.pauseSeconds), most) }
end

--- outage.over(import, ctx)                                             [waits]
-- Who could not be reached answers.
function M.over(import, ctx)
  local before = import.status and import.status.outage
  if before then
    ctx.record({ outage = json.null })
    ctx.writer:event("Normal", ENDED[before.reason] or "Found", ("what was waited for "
      .. "since %s is there (%s)"):format(before.since, before.reason))
  end
end

return M
