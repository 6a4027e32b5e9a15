--- support.tries: second tries, each of which is a finding, within one run of the tests.
--
-- A spec, a file or a suite that passes only at a second try has a race, or a bound that is
-- too tight. One second try is counted and said at the end; whatever needs it twice within a
-- run has failed. VIC_TRIES names the file that a run keeps them in; scripts/test empties it.

local env = require "host.env"

local M = {}

-- Without that file they are of this process alone.
local own = {}

--- tries.list(path?) -> list of names, in order
function M.list(path)
  path = path or env.get("VIC_TRIES")
  local file <close> = path and io.open(path)
  local list = file and {} or table.move(own, 1, #own, 1, {})
  for line in file and file:lines() or function() end do
    list[#list + 1] = line
  end
  return list
end

--- tries.again(name, path?) -> boolean
-- Notes that `name` needs a second try. False: it is not the first time in this run, and
-- there shall be none.
function M.again(name, path)
  path = path or env.get("VIC_TRIES")
  local first = true
  for _, other in ipairs(M.list(path)) do
    first = first and other ~= name
  end
  local file <close> = path and assert(io.open(path, "a"))
  if file then
    file:write(name, "\n")
  else
    own[#own + 1] = name
  end
  return first
end

--- tries.said(path?) -> text | nil: of all of them, for the end of a run
function M.said(path)
  local list = M.list(path)
  return #list > 0 and ("%d second tries, each of which is a finding:\n  %s"):format(#list,
    table.concat(list, "\n  ")) or nil
end

return M
