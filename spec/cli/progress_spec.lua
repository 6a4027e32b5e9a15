local progress = require "cli.progress"

local MIB = 2 ^ 20 // 1

-- A screen that understands what progress writes to a terminal: lines, and "up n, clear".
local function screen(opts)
  local seen = { clock = 100, lines = {}, columns = 80 }
  function seen.write(text)
    local up = text:match("^\27%[(%d+)A\r\27%[J$")
    if up then
      for _ = 1, tonumber(up) do
        table.remove(seen.lines)
      end
      return
    end
    for line in text:gmatch("([^\n]*)\n") do
      seen.lines[#seen.lines + 1] = line
    end
  end
  function seen.now()
    return seen.clock
  end
  seen.progress = progress.new({
    terminal = opts.terminal,
    write = seen.write,
    now = seen.now,
    columns = function()
      return seen.columns
    end,
  })
  return seen
end

local function transfer(position, received, capacity)
  return { position = position, received = received or position, capacity = capacity,
    progress = function(self)
      return { position = self.position, received = self.received, capacity = self.capacity }
    end }
end

describe("progress on a terminal", function()
  it("draws a bar per disk with share, bytes, rate and time left", function()
    local at = screen({ terminal = true })
    at.progress:add("disk-0", transfer(25 * MIB, 10 * MIB), 100 * MIB)
    at.progress:add("disk-1", transfer(0), 100 * MIB)
    at.clock = at.clock + 5
    at.columns = 120
    at.progress:tick()
    assert.equal(2, #at.lines)
    assert.truthy(at.lines[1]:find("^%[#+ +%] disk%-0   25 %%  25.0 MiB of 100.0 MiB"),
      at.lines[1])
    assert.truthy(at.lines[1]:find("  2.0 MiB/s received  0:15 left", 1, true), at.lines[1])
    assert.truthy(at.lines[2]:find("disk-1    0 %", 1, true), at.lines[2])
    at.progress:close()
  end)

  it("draws in place, and never wider than the terminal", function()
    local at = screen({ terminal = true })
    local disk = transfer(0)
    at.progress:add(("long-name-"):rep(9), disk, 10 * MIB)
    at.columns = 60
    for i = 1, 10 do
      at.clock = at.clock + 0.2
      disk.position = i * MIB
      at.progress:tick()
      assert.equal(1, #at.lines)
      assert.truthy(#at.lines[1] < 60)
    end
    at.progress:close()
  end)

  it("keeps what is said above the bars", function()
    local at = screen({ terminal = true })
    at.progress:add("disk-0", transfer(0), MIB)
    at.progress:tick()
    at.progress:say("a finding")
    at.progress:tick()
    assert.equal("a finding", at.lines[1])
    assert.truthy(at.lines[2]:find("disk-0", 1, true))
    at.progress:close()
    assert.same({ "a finding" }, at.lines)
  end)

  it("takes a disk away that has ended, and says how long it took", function()
    local at = screen({ terminal = true })
    local disk = transfer(MIB)
    at.progress:add("disk-0", disk, MIB)
    at.progress:tick()
    at.clock = at.clock + 7
    assert.equal(7, at.progress:remove(disk))
    at.progress:tick()
    assert.same({}, at.lines)
    assert.equal(0, at.progress:remove(disk))
    at.progress:close()
  end)

  it("shows no nonsense before the first byte, nor for an empty disk", function()
    local at = screen({ terminal = true })
    at.progress:add("disk-0", transfer(0), 0)
    at.progress:add("disk-1", transfer(0))
    at.progress:tick()
    for _, line in ipairs(at.lines) do
      assert.truthy(line:find("  0 %", 1, true), line)
      assert.falsy(line:find("nan") or line:find("inf") or line:find("left"), line)
    end
    at.progress:close()
  end)

  it("believes the stream about the capacity, and shows no more than all of it", function()
    local at = screen({ terminal = true })
    at.progress:add("disk-0", transfer(3 * MIB, MIB, 2 * MIB), 100 * MIB)
    at.clock = at.clock + 1
    at.progress:tick()
    assert.truthy(at.lines[1]:find("100 %  3.0 MiB of 2.0 MiB", 1, true), at.lines[1])
    assert.falsy(at.lines[1]:find("-0:", 1, true), at.lines[1])
    at.progress:close()
  end)
end)

describe("progress into a file", function()
  it("says a plain line now and then", function()
    local at = screen({ terminal = false })
    local disk = transfer(0)
    at.progress:add("disk-0", disk, 100 * MIB)
    for i = 1, 100 do
      at.clock = at.clock + 0.25
      disk.position, disk.received = i * MIB, i * MIB
      at.progress:tick()
    end
    assert.equal(2, #at.lines)
    assert.equal("disk-0   40 %  40.0 MiB of 100.0 MiB  4.0 MiB/s received  0:15 left",
      at.lines[1])
    at.progress:close()
  end)

  it("writes nothing but lines", function()
    local at = screen({ terminal = false })
    at.write = nil
    local text = ""
    local plain = progress.new({ terminal = false, now = at.now, write = function(more)
      text = text .. more
    end })
    local disk = transfer(MIB)
    plain:add("disk-0", disk, MIB)
    at.clock = at.clock + 11
    plain:tick()
    plain:say("a finding")
    plain:remove(disk)
    plain:close()
    assert.falsy(text:find("[\27\r]"), text)
    assert.truthy(text:find("a finding\n$"))
  end)
end)

describe("progress.bytes_text, progress.time_text", function()
  it("write what people read", function()
    for bytes, text in pairs { [0] = "0 B", [1023] = "1023 B", [1024] = "1.0 KiB",
      [1536] = "1.5 KiB", [64 * 2 ^ 30] = "64.0 GiB", [3000 * 2 ^ 40] = "3000.0 TiB" } do
      assert.equal(text, progress.bytes_text(bytes))
    end
    for seconds, text in pairs { [0] = "0:00", [59.9] = "0:59", [61] = "1:01",
      [3600] = "1:00:00", [86399] = "23:59:59" } do
      assert.equal(text, progress.time_text(seconds))
    end
  end)
end)
