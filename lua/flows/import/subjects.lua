--- flows.import.subjects: many names as one text, as people say it. Pure.
--
-- "Hard disk 1", "Hard disk 2", "Hard disk 3", "Hard disk 7" -> "Hard disk 1 to 3, 7".

local M = {}

local MOST = 1024 -- bytes

-- What stands before and behind the last number of a name, and the number; nil: it has
-- none by which it would be counted (the digits of a UUID are not).
local function counted(name)
  local before, digits, behind = name:match("^(.*[ %[_\"-])(%d+)([^%d]*)$")
  if not digits or #digits > 6 or digits:find("^0%d") then
    return nil
  end
  return before, math.tointeger(tonumber(digits)), behind
end

-- {1, 2, 3, 7} -> "1 to 3, 7"
local function ranges(numbers)
  table.sort(numbers)
  local parts, i = {}, 1
  while i <= #numbers do
    local last = i
    while numbers[last + 1] == numbers[last] + 1 do
      last = last + 1
    end
    if last - i < 2 then
      last = i
    end
    parts[#parts + 1] = last > i and ("%d to %d"):format(numbers[i], numbers[last])
      or ("%d"):format(numbers[i])
    i = last + 1
  end
  return table.concat(parts, ", ")
end

-- Names that differ in their number alone, together at the place of the first.
local function series(names)
  local list, by_key, seen = {}, {}, {}
  for _, name in ipairs(names) do
    local before, number, behind = counted(name)
    local key = before and before .. "\0" .. behind
    if not seen[name] then
      seen[name] = true
      if key and by_key[key] then
        table.insert(by_key[key].numbers, number)
      else
        local entry = { text = name, before = before, behind = behind,
          numbers = { number } }
        list[#list + 1] = entry
        by_key[key or name] = entry
      end
    end
  end
  return list
end

--- subjects.joined(parts, separator) -> text
-- Within 1 KiB; what has no room is counted. The first always has.
function M.joined(parts, separator)
  local kept, bytes = {}, 0
  for i, part in ipairs(parts) do
    bytes = bytes + #part + #separator
    if i > 1 and bytes > MOST then
      kept[i] = ("and %d more"):format(#parts - i + 1)
      break
    end
    kept[i] = part
  end
  return table.concat(kept, separator)
end

--- subjects.text(names) -> text
-- Each once, in their order.
function M.text(names)
  local parts = {}
  for i, entry in ipairs(series(names)) do
    parts[i] = #entry.numbers > 1
      and entry.before .. ranges(entry.numbers) .. entry.behind or entry.text
  end
  return M.joined(parts, ", ")
end

--- subjects.labels(machine) -> {[subject] = text}
-- What the source calls the disks and NICs that findings know by "disk ID" and "nic ID".
-- Two of one name have their ids besides.
function M.labels(machine)
  local labels, holder = {}, {}
  for list, word in pairs { disks = "disk ", nics = "nic " } do
    for _, item in ipairs(machine and machine[list] or {}) do
      local subject, name = word .. item.id, item.name or ""
      local other = holder[name]
      if name ~= "" and other then
        labels[other] = ("%s (%s)"):format(name, other)
        labels[subject] = ("%s (%s)"):format(name, subject)
      elseif name ~= "" then
        holder[name], labels[subject] = subject, name
      end
    end
  end
  return labels
end

return M
