--- host.images to one who gives up when nothing comes for a while, as Longhorn does: an
-- image whose source pauses, at any place of it, by way of a spool and without.

local disk = require "host.disk"
local disks = require "support.disks"
local file = require "host.file"
local httpd = require "httpd"
local pace = require "support.pace"
local served = require "support.served"
local zlib = require "support.zlib"

local PATH = "/00112233445566778899aabbccddeeff/web-01-disk-0.raw"
local TICK, LIMIT, PAUSE = 0.02, 0.15, 0.4 -- seconds

local folder, remove = disks.folder()
local GRAIN, COUNT = 64 * 1024, 200
local sample = { capacity = COUNT * GRAIN // 512, grains = {}, raw = {} }
local packed = { zlib.run(1, GRAIN), zlib.run(2, GRAIN), zlib.run(3, GRAIN) }
for i = 0, COUNT - 1 do
  local byte = i % #packed + 1
  sample.grains[i + 1] = { i, packed[byte] }
  sample.raw[i + 1] = { i * GRAIN, string.char(byte):rep(GRAIN) }
end
local vmdk = disks.footer_style(sample)
local want = disks.digest("sha512", disks.write_raw(folder .. "/want.raw", sample))
local size = sample.capacity * 512
local scratch = folder .. "/scratch"

teardown(remove)

-- Where the source pauses: after so many bytes of its stream.
local PLACES = {
  ["half-way"] = #vmdk // 2,
  ["when all but the end was verified"] = #vmdk - 1,
}

local function head()
  return ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(#vmdk)
end

describe("an image that comes with pauses", function()
  local site, source

  before_each(function()
    assert(file.mkdir(scratch, { parents = true }))
    site = served.open({ tick = TICK, sha512 = true })
    source = httpd.new()
  end)

  after_each(function()
    site:close()
    source:close()
    os.execute("rm -rf '" .. scratch .. "'")
  end)

  local function options(more)
    local all = { source = { url = ("http://127.0.0.1:%d/d"):format(source:port()) },
      format = "vmdk", capacity = size }
    for name, value in pairs(more or {}) do
      all[name] = value
    end
    return all
  end

  -- Publishes it, to be closed.
  local WAYS = {
    Stream = function()
      local stream = assert(disk.stream(options()))
      site.server:publish(PATH, { stream = stream })
      return stream
    end,
    Spool = function()
      local spool = assert(disk.spool({ path = scratch .. "/disk", capacity = size }))
      site.server:publish(PATH, { stream = spool })
      local fetch = assert(disk.transfer(options({ spool = spool })))
      return setmetatable({}, { __close = function()
        fetch:close()
        spool:close()
      end })
    end,
  }

  local function pull(limit)
    local output = scratch .. "/pulled"
    local pulling <close> = assert(disk.transfer({ source = { url = site:url(PATH) },
      format = "raw", capacity = size, output = output, idle_timeout = limit }))
    local result, err = pulling:wait()
    return result and disks.digest("sha512", output), err
  end

  for way, publish in pairs(WAYS) do
    for place, bytes in pairs(PLACES) do
      it(("is had by one who waits for less, %s, %s"):format(way, place), function()
        pace.of_three(("drip, %s, %s"):format(way, place), function()
          source:on("/d", { head() .. vmdk:sub(1, bytes), { wait = pace.seconds(PAUSE) },
            vmdk:sub(bytes + 1) })
          local image <close> = publish()
          assert(image)
          local sum, err = pull(pace.seconds(LIMIT))
          assert.equal(want, sum, err and err.message)
        end)
      end)
    end

    it("never goes out whole when its end turns out bad, " .. way, function()
      source:on("/d", { head() .. vmdk:sub(1, -514) .. ("x"):rep(513) })
      local image <close> = publish()
      assert(image)
      assert.is_nil((pull(pace.seconds(5))))
      assert.is_nil(site.server:stats(PATH).sha512)
    end)

    it("says nothing before its first byte, so that nobody counts from there, " .. way,
      function()
        source:on("/d", { head() .. vmdk:sub(1, 512), "<hang>" })
        local image <close> = publish()
        assert(image)
        local answers = site:raw({ "GET " .. PATH .. " HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n",
          "HEAD " .. PATH .. " HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n" }, pace.seconds(0.2))
        assert.equal("", answers[1])
        assert.truthy(answers[2]:find("Content-Length: " .. size, 1, true))
      end)
  end
end)
