local process = require "host.process"
local served = require "support.served"
local task = require "host.task"
local web = require "support.web"

local FILES = 8
local SIZE = 1 << 20
local READERS, REQUESTS = 12, 40
local ABORTERS, ABORTS = 3, 12

local function path_of(i)
  return ("/%032x/disk-%d.raw"):format(i, i)
end

-- Files of even numbers have holes.
local function make(site, i)
  local piece = ("%08d"):format(i):rep(SIZE // 16)
  if i % 2 == 0 then
    return site:sparse("disk-" .. i, SIZE, { SIZE // 4, piece })
  end
  return site:put("disk-" .. i, piece .. piece)
end

local function content(site, i)
  local handle = assert(io.open(site.folder.path .. "/disk-" .. i, "rb"))
  local text = handle:read("a")
  handle:close()
  return text
end

-- Asks for files at random; whatever comes must be of that file.
local function read_on(site, contents)
  local whole = 0
  for _ = 1, REQUESTS do
    local i = math.random(FILES)
    local first = math.random(0, SIZE - 1)
    local way = math.random(3)
    local answer = assert(site:get(path_of(i),
      way == 1 and { Range = ("bytes=%d-%d"):format(first, first + 999) } or nil,
      way == 2 and "HEAD" or nil))
    if answer.status == 200 or answer.status == 206 then
      local wanted = way == 1 and contents[i]:sub(first + 1, first + 1000)
        or way == 2 and "" or contents[i]
      assert(answer.body == wanted, "other bytes than those of the file")
      whole = whole + (way == 3 and 1 or 0)
    else
      assert(answer.status == 404 or answer.status == 503, answer.status)
    end
  end
  return whole
end

-- Clients that read slowly in small pieces, and leave.
local function abort_on(site)
  for _ = 1, ABORTS do
    process.run({ argv = { "curl", "-s", "-o", "/dev/null", "--limit-rate", "1M",
      "-m", "0.0" .. math.random(2, 9), site:url(path_of(math.random(FILES))) } })
  end
end

local function publish_on(site)
  while true do
    local i = math.random(FILES)
    site.server:publish(path_of(i), { file = site.folder.path .. "/disk-" .. i, size = SIZE })
    task.sleep(0.001)
    if math.random(2) == 1 then
      site.server:forget(path_of(math.random(FILES)))
    end
    site.server:stats(path_of(math.random(FILES)))
  end
end

describe("host.images under many hands", function()
  it("sends to everyone the bytes of the right file", function()
    local site <close> = served.open({ wait = 0.05, max_connections = 64 })
    local contents, running = {}, {}
    for i = 1, FILES do
      make(site, i)
      contents[i] = content(site, i)
      site.server:publish(path_of(i), { file = site.folder.path .. "/disk-" .. i, size = SIZE })
    end
    local publisher <close> = task.spawn(publish_on, site)
    for _ = 1, READERS do
      running[#running + 1] = task.spawn(read_on, site, contents)
    end
    for _ = 1, ABORTERS do
      running[#running + 1] = task.spawn(abort_on, site)
    end
    task.sleep(0.05)
    site.server:ready()
    local whole = 0
    for i, one in ipairs(running) do
      local ok, result = one:join(100)
      assert(ok, tostring(result))
      whole = whole + (i <= READERS and result or 0)
    end
    publisher:cancel()
    assert.is_true(whole > 0)
    for i = 1, FILES do
      site.server:publish(path_of(i), { file = site.folder.path .. "/disk-" .. i, size = SIZE })
      assert.is_true(web.eventually(function()
        return not site:active(path_of(i))
      end))
    end
  end)

  it("can be closed in the midst of it", function()
    for _ = 1, 5 do
      local site <close> = served.open({ wait = 5 })
      make(site, 1)
      site.server:publish(path_of(1), { file = site.folder.path .. "/disk-1", size = SIZE })
      local running = {}
      for i = 1, 10 do
        running[i] = task.spawn(site.get, site, path_of(i % 2 + 1))
      end
      task.sleep(math.random() / 50)
      site.server:close()
      for i = 1, 10 do
        assert.is_true(running[i]:join(20))
      end
    end
  end)
end)
