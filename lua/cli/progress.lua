--- cli.progress: what transfers under way look like to whoever runs a command.
--
-- On a terminal a bar per disk, redrawn in place; else plain lines now and then. All
-- of it goes to stderr: stdout is for results.

local env = require "host.env"
local task = require "host.task"
local time = require "host.time"

local methods = {}
local mt = { __name = "cli.progress", __index = methods }

local M = {}

local REDRAW = 0.2      -- seconds, on a terminal
local LINE_EVERY = 10   -- seconds between two plain lines of one disk

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
  local left = speed > 0 and math.max(of - p.position, 0) / speed or nil
  return {
    position = p.position,
    of = of,
    part = of > 0 and math.min(p.position / of, 1) or 0,
    rate = p.received / elapsed,
    left = left,
  }
end

local function text_of(entry, f)
  return ("%s  %3d %%  %s of %s  %s/s received%s"):format(entry.label,
    math.floor(f.part * 100), bytes_text(f.position), bytes_text(f.of),
    bytes_text(f.rate), f.left and "  " .. time_text(f.left) .. " left" or "")
end

local function bar_of(entry, f, columns)
  local text = text_of(entry, f)
  local width = math.max(10, math.min(40, columns - #text - 4))
  local full = math.floor(f.part * width)
  return ("[%s%s] %s"):format(("#"):rep(full), (" "):rep(width - full), text)
    :sub(1, columns - 1)
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
  for _, entry in ipairs(self.entries) do
    lines[#lines + 1] = bar_of(entry, figures(entry, now), columns)
  end
  if #lines > 0 then
    self.write(table.concat(lines, "\n") .. "\n")
  end
  self.drawn = #lines
end

local function print_due(self)
  local now = self.now()
  for _, entry in ipairs(self.entries) do
    if now - entry.said >= LINE_EVERY then
      entry.said = now
      self.write(text_of(entry, figures(entry, now)) .. "\n")
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
    label = label, transfer = transfer, capacity = capacity, since = now, said = now,
  }
  self.runner = self.runner or task.spawn(run, self)
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
-- A line that stays, above the bars.
function methods:say(line)
  erase(self)
  self.write(line .. "\n")
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
--   opts.terminal  boolean   draw bars (default: whether stderr is a terminal)
--   opts.write     function  (text) (default: to stderr)
--   opts.now       function  () -> seconds (default: host.time.monotonic)
--   opts.columns   function  () -> width of the terminal (default: host.env.columns)
function M.new(opts)
  opts = opts or {}
  local terminal = opts.terminal
  if terminal == nil then
    terminal = env.is_terminal(2)
  end
  return setmetatable({
    entries = {},
    drawn = 0,
    terminal = terminal,
    write = opts.write or env.stderr,
    now = opts.now or time.monotonic,
    columns = opts.columns or env.columns,
  }, mt)
end

return M
