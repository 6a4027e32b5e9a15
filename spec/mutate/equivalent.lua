--- mutate.equivalent: mutants that nobody can tell from the original, each with the reason.
--
-- An entry has some of these, all of which must fit, and a reason:
--
--   code   string   the line in the source, without the space around it
--   like   pattern  of that line
--   was    string   the token
--   now    string   what it becomes
--   rest   pattern  what follows the token in its line

local M = {}

local EVERYWHERE = {
  { was = "1", now = "0", rest = "^, true%)", reason = "a search at 0 begins at 1" },
  { was = "true", like = "find%(\"[%w/ :=_<@]+\", 1, true%)",
    reason = "the words hold nothing that a pattern would read otherwise" },
  { was = ">=", like = "monotonic%(%) >= deadline", reason = "a moment of no length" },
  { was = ">", like = "monotonic%(%) > ends", reason = "a moment of no length" },
  { was = "0", like = "^error%(.*, 0%)$", rest = "^%)$",
    reason = "an err is no text, and gets no place" },
  { was = "2", like = "^error%(.*, 2%)$", rest = "^%)$",
    reason = "which line a mistake of ours is said to be in" },
  { was = "3", like = "^error%(.*, 3%)$", rest = "^%)$",
    reason = "which line a mistake of ours is said to be in" },
  { was = "4", like = "^error%(.*, 4%)$", rest = "^%)$",
    reason = "which line a mistake of ours is said to be in" },
}

-- By file below lua/.
local IN = {
  ["flows/import/outage.lua"] = {
    { code = "if err.message:find(words, 1, true) then", was = "true",
      reason = "BEHIND holds nothing that a pattern would read otherwise" },
  },
  ["flows/import/steps/pass_on.lua"] = {
    { like = "^local LOOK_EVERY = 2", reason = "the pause between looks, which specs shorten" },
  },
  ["flows/import/steps/fetch.lua"] = {
    { like = "^local LOOK_EVERY = 1", reason = "the pause between looks, which specs shorten" },
  },
  ["flows/import/steps/power_off.lua"] = {
    { like = "^local POLL = 2", reason = "the pause between looks, which specs shorten" },
  },
  ["flows/import/status.lua"] = {
    { like = "^local REPORT_FIRST, REPORT_MOST", reason = "no spec waits for a real clock" },
  },
  ["flows/waits.lua"] = {
    { like = "^M%.[%u_]+ = %d+", reason = "no spec waits for it by a real clock" },
    { like = "^local NEW_LEADER = ", reason = "no spec waits for it by a real clock" },
  },
  ["providers/address.lua"] = {
    { like = "^local MOST_TITLE = ", reason = "any length of some size" },
    { code = "elseif is_page(body:sub(1, 4096):lower()) then", was = "4096",
      reason = "any length of some size" },
  },
  ["providers/files.lua"] = {
    { like = "^elseif answer.status >= 500", was = "500", now = "499",
      reason = "there is no status 499" },
    { like = ":sub%(1, 32%)$", reason = "a stamp is compared with its like alone" },
  },
  ["providers/openstack/compute.lua"] = {
    { code = "if #found > 1 then", was = ">", reason = "one alone has been given before" },
    { code = "if #found > 1 then", was = "1", now = "0",
      reason = "one alone has been given before" },
  },
  ["providers/openstack/concerns.lua"] = {
    { like = "^local swap = math.tointeger", was = "0", now = "-1",
      reason = "it is no swap disk either way" },
  },
  ["providers/openstack/hardware.lua"] = {
    { code = "return a.place < b.place", reason = "no two have the same place" },
    { like = "is_root = true, boot_order = 1,$", was = "true",
      reason = "it is first in the list, and has the root's device besides" },
  },
  ["providers/openstack/init.lua"] = {
    { like = "timeout = 30 }$", was = "30", reason = "no spec waits for it by a real clock" },
  },
  ["providers/openstack/remote.lua"] = {
    { like = "^ids%[[%w.]+%] = true$", reason = "a key of a set is one with any value" },
  },
  ["providers/openstack/session.lua"] = {
    { like = "^local BACKOFF = ", reason = "the pauses, which specs shorten" },
    { code = "session.generation = session.generation + 1", was = "+",
      reason = "it is another one either way" },
    { like = "err.after or 0, LONGEST", was = "0", now = "-1",
      reason = "a pause of its own is longer than none" },
    { code = "if not ok and time.boottime() > self.token.ends then", was = ">",
      reason = "a moment of no length" },
  },
  ["providers/openstack/volumes.lua"] = {
    { code = "math.tointeger(snapshot.size) or 0)", was = "0",
      reason = "a volume has a GiB at least" },
  },
  ["providers/openstack/state.lua"] = {
    { like = ":sub%(1, 32%)$", reason = "a stamp is compared with its like alone" },
  },
  ["providers/vmware/devices.lua"] = {
    { code = "return place[a][1] < place[b][1]", reason = "they are not equal there" },
  },
  ["providers/vmware/endpoint.lua"] = {
    { like = "timeout = 30,$", was = "30", reason = "no spec waits for it by a real clock" },
  },
  ["providers/vmware/export.lua"] = {
    { like = "^local MOST_PAUSE = ", reason = "no spec waits for it by a real clock" },
    { like = "^local ELSEWHERE = ", reason = "somebody else's task ends when it does" },
    { like = "^major, minor = ", was = "0", reason = "no version chooses below 6.7" },
    { like = "%(time.parse%(ends%) or 0%) > now", was = "0",
      reason = "neither of the first two seconds of 1970 is to come" },
    { like = "%(time.parse%(ends%) or 0%) > now", was = ">", reason = "a moment of no length" },
    { code = "if left <= -opts.poll then", was = "<=", reason = "a moment of no length" },
    { like = "timeout %+ 1%)$", was = "1", reason = "what the next whole second may add" },
    { like = "^local file = err.file and not said:find", was = "1", now = "2",
      reason = "a sentence begins with no path" },
    { like = "math.max%(left, 0%) %+ opts.poll", was = "0",
      reason = "left is more than -opts.poll there" },
  },
  ["providers/vmware/faults.lua"] = {
    { code = "if more and not message:find(more, 1, true) then", was = "1", now = "2",
      reason = "the message begins with what was asked" },
  },
  ["providers/vmware/find.lua"] = {
    { like = "^local list = path:sub%(1,", was = "1", now = "0", rest = "^, #dc",
      reason = "a text from 0 on begins at 1" },
  },
  ["providers/vmware/hardware.lua"] = {
    { code = "if id:find(word, 1, true) then",
      was = "true", reason = "the words hold nothing that a pattern would read otherwise" },
    { like = "^local %w+ = math.max%(integer", was = "1", now = "0", rest = "^, 1%)$",
      reason = "it is 1 at least" },
  },
  ["providers/vmware/lease.lua"] = {
    { like = "^local MOST_BETWEEN = ", reason = "no spec waits for it by a real clock" },
    { like = "^local CALL = ", reason = "no spec waits for it by a real clock" },
    { code = "}, { total_timeout = 10 })", reason = "no spec waits for it by a real clock" },
    { like = "^if time.boottime%(%) %- lease.renewed > ", was = ">",
      reason = "a moment of no length" },
  },
  ["providers/vmware/media.lua"] = {
    { like = "^local SEARCH_TIMEOUT = ", reason = "no spec waits for it by a real clock" },
  },
  ["providers/vmware/names.lua"] = {
    { code = "for j = 0, #b do", was = "0", now = "-1", reason = "nobody looks before the row" },
  },
  ["providers/vmware/power.lua"] = {
    { like = "opts.lost_answer or 0%)$", was = "0", reason = "a moment of no length" },
  },
  ["providers/vmware/properties.lua"] = {
    { like = "^local PAGE = ", reason = "any number of some size makes pages" },
  },
  ["providers/vmware/session.lua"] = {
    { like = "^local FAREWELL = ", reason = "no spec waits for it by a real clock" },
    { code = "session.generation = session.generation + 1", was = "+",
      reason = "it is another one either way" },
    { like = "^generation = 0,", reason = "a generation is compared with its like alone" },
  },
  ["providers/vmware/soap.lua"] = {
    { like = "^local BACKOFF = ", reason = "the pauses, which specs shorten" },
    { like = "^backoff = opts.backoff or BACKOFF", reason = "the pauses, which specs shorten" },
  },
  ["providers/vmware/stamp.lua"] = {
    { code = "local key, text = -1, \"\"", reason = "events are numbered from 1 on" },
    { like = "^local number = tonumber", was = "0", reason = "every event has a number" },
    { code = "if number > key then", was = ">", reason = "no two have the same number" },
    { like = ":sub%(1, 32%)$", reason = "a stamp is compared with its like alone" },
  },
  ["providers/vmware/inventory.lua"] = {
    { like = "^local candidates = paths_in%(#found > 0", was = "0", now = "1",
      reason = "where one was found it is the answer, and nothing is refused" },
  },
  ["kube/controller.lua"] = {
    { like = "^local BURST, BREATH = 32", was = "32",
      reason = "any number of some size lets others run" },
    { code = "local n = (self.failures[id] or 0) + 1", was = "0",
      reason = "no spec waits for it by a real clock" },
    { code = "started = started + 1", was = "+", reason = "it is counted either way" },
    { like = "^return math.max%(math.min%(RETRY_FIRST", was = "-",
      reason = "no spec waits for it by a real clock" },
    { like = "^return math.max%(math.min%(RETRY_FIRST", was = "1",
      reason = "no spec waits for it by a real clock" },
  },
  ["kube/credentials.lua"] = {
    { like = "^if not credential or again and got_at < asked_at", was = "<",
      reason = "a moment of no length" },
  },
  ["kube/ensure.lua"] = {
    { code = "elseif not there and not err then", reason = "a pause, which specs shorten" },
  },
  ["kube/informer.lua"] = {
    { like = "^local STEADY = ", reason = "no spec waits for it by a real clock" },
  },
  ["kube/meter.lua"] = {
    { like = "^local MINUTE = ", reason = "no spec waits for it by a real clock" },
    { code = "entry.said = true", reason = "how often a line of the log is written" },
  },
  ["kube/events.lua"] = {
    { code = "if not self.degraded then", reason = "how often a line of the log is written" },
  },
  ["kube/leader.lua"] = {
    { like = "^local mark = ", was = "or", reason = "a new holder has a new renewTime" },
    { like = "now < self.ends_at$", was = "<", reason = "a moment of no length" },
    { like = "self.boottime%(%) < ends_at then$", was = "<", reason = "a moment of no length" },
    { like = "^return left > 0 and math.min", was = ">", reason = "a moment of no length" },
    { like = "^return nil, not_leading%(not lease", reason = "words for the log alone" },
    { like = "^or \"the lease is held by", reason = "words for the log alone" },
    { like = "^last = ended and not ok", reason = "words for the log alone" },
    { like = "^log.error%(\"what was led has ended", reason = "words for the log alone" },
    { like = "^elseif err.kind ~= \"conflict\" and said", reason = "when the log says so again" },
  },
  ["kube/queue.lua"] = {
    { like = "count = 0 }, mt%)$", was = "0", reason = "when it is swept, not whether" },
    { code = "elseif time < self.heap[i].time then", was = "<",
      reason = "the same time once more is the same time" },
  },
}

local function fits(entry, mutant)
  return (not entry.code or entry.code == mutant.code)
    and (not entry.like or mutant.code:find(entry.like) ~= nil)
    and (not entry.was or entry.was == mutant.was)
    and (not entry.now or entry.now == mutant.now)
    and (not entry.rest or mutant.rest:find(entry.rest) ~= nil)
end

--- equivalent.reason(path, mutant) -> text | nil
function M.reason(path, mutant)
  for _, entries in ipairs({ EVERYWHERE, IN[path] or {} }) do
    for _, entry in ipairs(entries) do
      if fits(entry, mutant) then
        return entry.reason
      end
    end
  end
end

return M
