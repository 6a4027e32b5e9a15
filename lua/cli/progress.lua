--- cli.progress: what transfers under way look like to whoever runs a command.
--
-- On a terminal a bar per disk, redrawn in place; else plain lines now and then. All
-- of it goes to stderr: stdout is for results.

local env = require "host.env"
local host_text = require "host.text"
local task = require "host.task"
local terminal = require "cli.terminal"
local time = require "host.time"

local methods = {}
local mt = { __name = "cli.progress", __index = methods }

local M = {}

local REDRAW = 0.2      -- seconds, on a terminal
local MOST_DRAWN = 8    -- disks; a small terminal has room for no more
local MOST_BAR, LEAST_BAR, LEAST_NAME = 40, 10, 4 -- columns

-- Seconds between two plain lines of one disk: the first soon, then ever fewer.
local LINE_FIRST, LINE_MOST = 10, 60

local function bytes_text(bytes)
  local units = { "B", "KiB", "MiB", "GiB", "TiB" }
  local i = 1
  bytes = math.floor(bytes)
  while bytes >= 1024 and i < #units do
    bytes, i = bytes / 1024, i + 1
  end
  return (i == 1 and "%d %s" or "%.1f %s"):format(bytes, units[i])
end

local function time_text(seconds)
  seconds = math.floor(seconds)
  if seconds >= 3600 then
    return ("%d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60, seconds % 60)
  end
  return ("%d:%02d"):format(seconds // 60, seconds % 60)
end

-- Passed, of, per cent, rate and time left of one disk.
local function figures(entry, now)
  local p = entry.transfer:progress()
  local of = p.capacity or entry.capacity or 0
  local elapsed = math.max(now - entry.since, 0.001)
  local speed = p.position / elapsed
  local left = speed > 0 and of > 0 and math.max(of - p.position, 0) / speed or nil
  return {
    position = p.position,
    of = of,
    part = of > 0 and math.min(p.position / of, 1) or 0,
    rate = p.received / elapsed,
    left = left,
  }
end

-- Nothing has come, and nobody knows how much there is: then there is no figure.
local function waits(f)
  return f.position == 0 and f.of == 0
end

local function share(f)
  return f.of > 0 and ("%3d %%"):format(math.floor(f.part * 100)) or nil
end

local function passed(f)
  return bytes_text(f.position)
end

local function passed_of(f)
  return f.of > 0 and ("%s of %s"):format(passed(f), bytes_text(f.of)) or passed(f)
end

local function rate(f)
  return bytes_text(f.rate) .. "/s"
end

local function received(f)
  return rate(f) .. " received"
end

local function left(f)
  return f.left and time_text(f.left) .. " left" or nil
end

-- What a line says, from all there is to what a narrow terminal has room for.
local FORMS = {
  { share, passed_of, received, left },
  { share, passed_of, rate, left },
  { share, passed_of, left },
  { share, passed_of },
  { share, passed },
  { share },
}

local function text_of(form, f)
  if waits(f) then
    return "waiting for the source"
  end
  local parts = {}
  for _, part in ipairs(form) do
    parts[#parts + 1] = part(f)
  end
  return table.concat(parts, "  ")
end

-- The name cut to `room` columns, at a character's border.
local function name_in(label, room)
  if terminal.width(label) <= room then
    return label
  end
  local at = utf8.len(label) and utf8.offset(label, room) or room
  return label:sub(1, at - 1) .. "~"
end

-- The fullest form that has room beside the name; a bar in what is left. No figure is
-- ever cut: the name is.
local function bar_of(entry, f, columns)
  local width, text = columns - 1, nil
  for _, form in ipairs(FORMS) do
    text = text_of(form, f)
    if terminal.width(entry.label) + 2 + #text <= width then
      break
    end
  end
  local label = name_in(entry.label, math.max(width - 2 - #text, LEAST_NAME))
  local line = label .. "  " .. text
  local room = math.min(MOST_BAR, width - terminal.width(line) - 3)
  if room < LEAST_BAR or waits(f) then
    return line
  end
  local full = math.floor(f.part * room)
  return ("[%s%s] %s"):format(("#"):rep(full), (" "):rep(room - full), line)
end

local function erase(self)
  if self.drawn > 0 then
    self.write(("\27[%dA\r\27[J"):format(self.drawn))
    self.drawn = 0
  end
end

local function draw(self)
  erase(self)
  local columns, now, lines = self.columns(), self.now(), {}
  for i = 1, math.min(#self.entries, MOST_DRAWN) do
    lines[i] = bar_of(self.entries[i], figures(self.entries[i], now), columns)
  end
  if #self.entries > MOST_DRAWN then
    lines[#lines + 1] = ("and %d more"):format(#self.entries - MOST_DRAWN)
  end
  if #lines > 0 then
    self.write(table.concat(lines, "\n") .. "\n")
  end
  self.drawn = #lines
end

local function print_due(self)
  local now = self.now()
  for _, entry in ipairs(self.entries) do
    if now - entry.said >= entry.pause then
      entry.said, entry.pause = now, math.min(2 * entry.pause, LINE_MOST)
      self.write(("%s: %s\n"):format(entry.label,
        text_of(FORMS[1], figures(entry, now)):gsub("^ +", "")))
    end
  end
end

local function run(self)
  while true do
    task.sleep(REDRAW)
    self:tick()
  end
end

--- progress:tick()
-- Shows how far all are; happens by itself while there is something to show.
function methods:tick()
  if self.terminal then
    draw(self)
  else
    print_due(self)
  end
end

--- progress:add(label, transfer, capacity)
-- Shows a host.disk transfer until progress:remove(transfer).
function methods:add(label, transfer, capacity)
  local now = self.now()
  self.entries[#self.entries + 1] = {
    label = host_text.visible(label), transfer = transfer, capacity = capacity,
    since = now, said = now, pause = LINE_FIRST,
  }
  self.runner = self.runner or task.spawn("shows progress", run, self)
end

--- progress:remove(transfer) -> seconds it took
function methods:remove(transfer)
  for i, entry in ipairs(self.entries) do
    if entry.transfer == transfer then
      table.remove(self.entries, i)
      erase(self)
      return self.now() - entry.since
    end
  end
  return 0
end

--- progress:say(line)
-- A line that stays, above the bars; on a terminal as many as it needs.
function methods:say(line)
  erase(self)
  line = host_text.visible(line)
  self.write(terminal.wrap(line, self.style.columns and self.style.columns - 1, "  ")
    .. "\n")
end

--- progress:finding(finding)
-- The same, of a finding.
function methods:finding(finding)
  erase(self)
  self.write(terminal.finding(finding, self.style) .. "\n")
end

function methods:close()
  erase(self)
  if self.runner then
    self.runner:cancel(0)
  end
end

mt.__close = methods.close

M.bytes_text = bytes_text
M.time_text = time_text

--- progress.new(opts) -> progress, to be closed
--
--   opts.terminal  boolean   draw bars (default: whether stderr is a terminal that can)
--   opts.style     table     of terminal.style (default: stderr's)
--   opts.write     function  (text) (default: to stderr)
--   opts.now       function  () -> seconds (default: host.time.monotonic)
--   opts.columns   function  () -> width of the terminal (default: host.env.columns)
function M.new(opts)
  opts = opts or {}
  local draws = opts.terminal
  if draws == nil then
    draws = env.is_terminal(2) and not terminal.is_dumb()
  end
  return setmetatable({
    entries = {},
    drawn = 0,
    terminal = draws,
    style = opts.style or terminal.style(2),
    write = opts.write or function(lines)
      env.stderr(lines, true)
    end,
    now = opts.now or time.monotonic,
    columns = opts.columns or env.columns,
  }, mt)
end

return M
