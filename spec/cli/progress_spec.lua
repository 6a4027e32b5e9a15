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
    style = opts.style or { colour = false },
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

  -- Columns -> the line; a form that has no room for all says less, not half of it.
  for columns, line in pairs {
    [200] = "[####################                    ] Hard disk 10   50 %  500.5 GiB of "
      .. "1001.0 GiB  512.5 MiB/s received  16:40 left",
    [80] = "Hard disk 10   50 %  500.5 GiB of 1001.0 GiB  512.5 MiB/s received  16:40 left",
    [78] = "Hard disk 10   50 %  500.5 GiB of 1001.0 GiB  512.5 MiB/s  16:40 left",
    [68] = "Hard disk 10   50 %  500.5 GiB of 1001.0 GiB  16:40 left",
    [50] = "Hard disk 10   50 %  500.5 GiB of 1001.0 GiB",
    [40] = "Hard disk 10   50 %  500.5 GiB",
    [24] = "Hard disk 10   50 %",
    [16] = "Hard di~   50 %",
  } do
    it(("says whole figures in %d columns"):format(columns), function()
      local at = screen({ terminal = true })
      local disk = transfer(0, 0, 1001 * 1024 * MIB)
      at.progress:add("Hard disk 10", disk)
      at.clock = at.clock + 1000
      disk.position, disk.received = 500 * 1024 * MIB + 512 * MIB, 512500 * MIB
      at.columns = columns
      at.progress:tick()
      assert.equal(line, at.lines[1])
      assert.is_true(#at.lines[1] < columns)
      at.progress:close()
    end)
  end

  it("cuts a long name at a character's border, and no figure", function()
    local at = screen({ terminal = true })
    at.progress:add(("ü"):rep(60), transfer(MIB), 2 * MIB)
    at.columns = 40
    at.progress:tick()
    assert.is_not_nil(utf8.len(at.lines[1]))
    assert.is_true(utf8.len(at.lines[1]) < 40)
    assert.matches("~   50 %", at.lines[1], 1, true)
    at.progress:close()
  end)

  it("draws no more disks than a small screen has room for, and counts the others",
    function()
      local at = screen({ terminal = true })
      for i = 1, 20 do
        at.progress:add("Hard disk " .. i, transfer(MIB), 2 * MIB)
      end
      at.progress:tick()
      assert.equal(9, #at.lines)
      assert.equal("and 12 more", at.lines[9])
      at.progress:close()
    end)

  it("wraps what is said to its width", function()
    local at = screen({ terminal = true, style = { columns = 30, colour = false } })
    at.progress:say("web: one two three four five six seven eight")
    assert.same({ "web: one two three four five", "  six seven eight" }, at.lines)
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
    assert.same({ "disk-0  waiting for the source", "disk-1  waiting for the source" },
      at.lines)
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
    assert.same({ "disk-0: 40 %  40.0 MiB of 100.0 MiB  4.0 MiB/s received  0:15 left" },
      at.lines)
    at.progress:close()
  end)

  it("says them ever more rarely, down to one a minute", function()
    local at = screen({ terminal = false })
    at.progress:add("disk-0", transfer(0), 100 * MIB)
    for _ = 1, 600 do
      at.clock = at.clock + 1
      at.progress:tick()
    end
    assert.equal(11, #at.lines) -- at 10, 30, 70, 130, 190 ... seconds
    at.progress:close()
  end)

  it("has no figure for what nobody knows", function()
    local at = screen({ terminal = false })
    local disk = transfer(0)
    at.progress:add("Hard disk 1", disk)
    at.clock = at.clock + 10
    at.progress:tick()
    disk.position, disk.received = 3 * MIB, MIB
    at.clock = at.clock + 20
    at.progress:tick()
    assert.same({ "Hard disk 1: waiting for the source",
      "Hard disk 1: 3.0 MiB  34.1 KiB/s received" }, at.lines)
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
