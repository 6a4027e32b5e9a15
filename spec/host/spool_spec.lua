--- disk.spool: a stream kept as it came, served while it comes and again and again.

local disk = require "host.disk"
local disks = require "support.disks"
local file = require "host.file"
local httpd = require "httpd"
local pace = require "support.pace"
local served = require "support.served"
local task = require "host.task"
local web = require "support.web"
local zlib = require "support.zlib"

local PATH = "/00112233445566778899aabbccddeeff/web-01-disk-0.raw"
local GRAIN = 64 * 1024

local folder, remove = disks.folder()
local sample = disks.sample()
local vmdk, at = disks.footer_style(sample)
local want_path = disks.write_raw(folder .. "/want.raw", sample)
local want = disks.digest("sha512", want_path)
local size = sample.capacity * 512
local scratch = folder .. "/scratch"
local base = scratch .. "/disk"
local HALF = at.grain5.at + 100 -- of the stream

teardown(remove)

local function head(length, more, status)
  return ("HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n"):format(status or "200 OK",
    more or "", length)
end

local ETAG = 'ETag: "one"\r\n'

describe("disk.spool", function()
  local site, source

  before_each(function()
    assert(file.mkdir(scratch, { parents = true }))
    site = served.open({ wait = 0.3, sha512 = true })
    source = httpd.new()
  end)

  after_each(function()
    site:close()
    source:close()
    os.execute("rm -rf '" .. scratch .. "'")
  end)

  local function open()
    local spool = assert(disk.spool({ path = base, capacity = size }))
    site.server:publish(PATH, { stream = spool })
    return spool
  end

  local function fetch(spool, opts)
    local all = {
      source = { url = ("http://127.0.0.1:%d/d"):format(source:port()) },
      format = "vmdk", capacity = size, spool = spool, digests = { "sha256" },
    }
    for name, value in pairs(opts or {}) do
      all[name] = value
    end
    return assert(disk.transfer(all))
  end

  local function fetch_whole(spool, opts)
    local running <close> = fetch(spool, opts)
    return running:wait()
  end

  local function pull()
    local result = served.shell([[curl -s -o "$2/pulled" "$1"; code=$?
      sha512sum <"$2/pulled"; rm -f "$2/pulled"; exit $code]], site:url(PATH), folder)
    return result.stdout:match("^%x+"), result.status
  end

  local function has_half()
    local stat = file.stat(base .. ".vmdk.part")
    return stat ~= nil and stat.size == HALF
  end

  local function check_parts()
    local raw = assert(io.open(want_path, "rb"))
    for _, first in ipairs { 0, 1, GRAIN - 1, GRAIN, 3 * GRAIN + 5, 511 * GRAIN - 7,
      size - 513, size - 1 } do
      local last = math.min(first + 2 * GRAIN, size - 1)
      local answer = assert(site:get(PATH, { Range = ("bytes=%d-%d"):format(first, last) }))
      raw:seek("set", first)
      assert.equal(206, answer.status)
      assert.is_true(answer.body == raw:read(last - first + 1), "from " .. first)
    end
    raw:close()
  end

  it("keeps the stream, and gives every byte of the disk, as often as asked", function()
    source:on("/d", { web.answer(vmdk) })
    local spool <close> = open()
    assert.is_false(spool:is_whole())
    local result = assert(fetch_whole(spool))
    assert.is_true(spool:is_whole())
    assert.equal(size, result.capacity)
    assert.equal(#vmdk, result.received)
    assert.equal(disks.digest("sha256", base .. ".vmdk"), result.digests.sha256)
    assert.equal("disk.index disk.vmdk", disks.names(scratch))
    for _ = 1, 2 do
      assert.equal(want, (pull()))
    end
    check_parts()
    local answer = assert(site:get(PATH, nil, "HEAD"))
    assert.equal("bytes", answer.headers["accept-ranges"])
    assert.equal(1, #source:requests())
    local stat = assert(file.stat(base .. ".index"))
    assert.is_true(stat.blocks_bytes < 64 * 1024)
  end)

  it("is used again by another process, and not fetched", function()
    source:on("/d", { web.answer(vmdk) })
    do
      local spool <close> = open()
      assert(fetch_whole(spool))
    end
    local spool <close> = open()
    assert.is_true(spool:is_whole())
    assert.equal(want, (pull()))
    check_parts()
  end)

  it("gives nothing of a grain that is shorter than it was, as another one's is", function()
    source:on("/d", { web.answer(vmdk) })
    do
      local spool <close> = open()
      assert(fetch_whole(spool))
    end
    local function entry(number)
      return 4096 + 8 * number -- bytes of the index
    end
    local last = assert(file.read(base .. ".index",
      { offset = entry((size - 1) // GRAIN), first = 8 }))
    assert.is_true(size % GRAIN > 0 and last:find("[^\0]") ~= nil)
    local index <close> = assert(io.open(base .. ".index", "r+b"))
    index:seek("set", entry(5))
    index:write(last)
    index:flush()
    local spool <close> = open()
    assert.is_true(spool:is_whole())
    local _, status = pull()
    assert.not_equal(0, status)
  end)

  it("is of no use with another size, or a stream that was cut since", function()
    source:on("/d", { web.answer(vmdk) })
    do
      local spool <close> = open()
      assert(fetch_whole(spool))
    end
    local other <close> = assert(disk.spool({ path = base, capacity = size + 512 }))
    assert.is_false(other:is_whole())
    disks.write(base .. ".vmdk", vmdk:sub(1, -513))
    local cut <close> = open()
    assert.is_false(cut:is_whole())
    assert(fetch_whole(cut))
    assert.equal(want, (pull()))
  end)

  it("is served while it comes, but not to its end before it is verified", function()
    local many = { capacity = 40 * 128, grains = {} }
    for i = 0, 39 do
      many.grains[i + 1] = { i, zlib.stored(string.char(i + 1):rep(GRAIN)) }
    end
    local text, map = disks.footer_style(many)
    source:on("/d", { head(#text) .. text:sub(1, map.end_mark.at), "<hang>" })
    local spool <close> = assert(disk.spool({ path = base, capacity = 40 * GRAIN }))
    site.server:publish(PATH, { stream = spool })
    local running <close> = fetch(spool, { capacity = 40 * GRAIN })
    local pulling = task.spawn(pull)
    assert.is_true(pace.eventually(function()
      return site:active(PATH)
    end))
    local first = assert(site:get(PATH, { Range = "bytes=0-99" }))
    assert.equal(("\1"):rep(100), first.body)
    -- Nobody is invited to ask for its end now.
    assert.is_nil(assert(site:get(PATH, nil, "HEAD")).headers["accept-ranges"])
    assert.is_false(pulling:done())
    running:close()
    assert.equal("cancelled", select(2, running:wait()).kind)
    local _, _, code = pulling:join()
    assert.not_equal(0, code)
    assert.is_nil(site.server:stats(PATH).sha512)
  end)

  it("lets who asked before its first byte wait for the last", function()
    source:on("/d", { head(#vmdk) .. vmdk:sub(1, HALF), { wait = 0.3 }, vmdk:sub(HALF + 1) })
    local spool <close> = open()
    local pulling = task.spawn(pull)
    assert(fetch_whole(spool))
    local _, sum = pulling:join()
    assert.equal(want, sum)
  end)

  it("gives every byte to one who is close behind it, through a long hole, too", function()
    local long = disks.long()
    local text, bytes = disks.footer_style(long), long.capacity * 512
    source:on("/d", { head(#text) .. text:sub(1, #text // 2), { wait = 0.3 },
      text:sub(#text // 2 + 1) })
    local spool <close> = assert(disk.spool({ path = base, capacity = bytes }))
    site.server:publish(PATH, { stream = spool })
    local pulling = task.spawn(pull)
    assert.is_true(pace.eventually(function()
      return site:active(PATH)
    end))
    assert(fetch_whole(spool, { capacity = bytes }))
    local _, sum = pulling:join()
    assert.equal(disks.digest("sha512", disks.write_raw(folder .. "/long.raw", long)), sum)
  end)

  it("is not held up by one who reads slowly", function()
    source:on("/d", { web.answer(vmdk) })
    local spool <close> = open()
    local slow = task.spawn(served.shell,
      [[exec curl -s --limit-rate 16k --max-time 20 -o "$2/slow" "$1"]], site:url(PATH), folder)
    assert.is_true(pace.eventually(function()
      return site.server:stats(PATH).active == 1
    end))
    assert(fetch_whole(spool))
    assert.is_false(slow:done())
    assert.equal(want, (pull()))
    slow:cancel(0)
    slow:join()
  end)

  it("asks for the rest alone, after it has verified what is here", function()
    source:on("/d", { head(#vmdk, ETAG) .. vmdk:sub(1, HALF), "<close>" },
      { head(#vmdk - HALF, ETAG .. ("Content-Range: bytes %d-%d/%d\r\n"):format(HALF,
        #vmdk - 1, #vmdk), "206 Partial") .. vmdk:sub(HALF + 1) })
    do
      local spool <close> = open()
      assert.is_nil((fetch_whole(spool)))
      assert.equal("disk.etag disk.index.part disk.vmdk.part", disks.names(scratch))
    end
    local spool <close> = open()
    local running <close> = fetch(spool)
    local result = assert(running:wait())
    assert.equal(#vmdk - HALF, running:progress().fetched)
    local second = source:requests()[2]
    assert.truthy(second:find(("Range: bytes=%d-\r\n"):format(HALF), 1, true), second)
    assert.truthy(second:find('If-Range: "one"\r\n', 1, true))
    assert.equal(#vmdk, result.received)
    assert.equal(disks.digest("sha256", base .. ".vmdk"), result.digests.sha256)
    assert.equal(want, (pull()))
    assert.equal("disk.index disk.vmdk", disks.names(scratch))
  end)

  it("writes down what the server calls the stream before its first byte", function()
    source:on("/d", { head(#vmdk, ETAG) .. vmdk })
    assert(file.mkdir(base .. ".etag")) -- where it cannot be written
    local spool <close> = open()
    local _, err = fetch_whole(spool)
    assert.truthy(err.message:find("writing " .. base .. ".etag", 1, true), err.message)
    assert.equal(0, file.stat(base .. ".vmdk.part").size)
  end)

  it("fetches nothing again that is here whole, but was not kept yet", function()
    source:on("/d", { head(#vmdk + 1, ETAG) .. vmdk, "<close>" },
      { head(0, ("Content-Range: bytes */%d\r\n"):format(#vmdk), "416 No") })
    local spool <close> = open()
    assert.is_nil((fetch_whole(spool)))
    local result = assert(fetch_whole(spool))
    assert.equal(#vmdk, result.received)
    assert.equal(disks.digest("sha256", base .. ".vmdk"), result.digests.sha256)
    assert.equal(2, #source:requests())
    assert.equal(want, (pull()))
  end)

  it("begins again where what is here is longer than the stream", function()
    source:on("/d", { head(#vmdk, ETAG) .. vmdk:sub(1, HALF), "<close>" },
      { head(4, ("Content-Range: bytes */%d\r\n"):format(HALF - 1), "416 No") .. "none" },
      { head(#vmdk, ETAG) .. vmdk })
    local spool <close> = open()
    assert.is_nil((fetch_whole(spool)))
    assert(fetch_whole(spool))
    assert.equal(3, #source:requests())
    assert.equal(want, (pull()))
  end)

  it("lets nobody wait for what will not come", function()
    local spool = open()
    local pulling = task.spawn(pull)
    assert.is_true(pace.eventually(function()
      return site.server:stats(PATH).active == 1
    end))
    spool:close()
    local _, _, code = pulling:join()
    assert.not_equal(0, code)
  end)

  it("begins again where the server gives no mark, or another one", function()
    for _, mark in ipairs { "", ETAG } do
      source:close()
      source = httpd.new()
      source:on("/d", { head(#vmdk, mark) .. vmdk:sub(1, HALF), "<close>" },
        { head(#vmdk, 'ETag: "two"\r\n') .. vmdk })
      local spool <close> = open()
      assert.is_nil((fetch_whole(spool)))
      assert.equal(#vmdk, assert(fetch_whole(spool)).received)
      assert.equal(want, (pull()))
      local requests = source:requests()
      assert.equal(mark == "", not requests[2]:find("Range: bytes", 1, true))
      os.execute("rm -f '" .. scratch .. "'/*")
    end
  end)

  it("begins again when what is here was damaged meanwhile", function()
    source:on("/d", { head(#vmdk, ETAG) .. vmdk:sub(1, HALF), "<close>" },
      { head(#vmdk, ETAG) .. vmdk })
    local spool <close> = open()
    assert.is_nil((fetch_whole(spool)))
    disks.write(base .. ".vmdk.part", disks.put(vmdk:sub(1, HALF), at.grain1.at + 4000,
      "damaged"))
    assert(fetch_whole(spool))
    local requests = source:requests()
    assert.is_nil(requests[#requests]:find("Range", 1, true))
    assert.equal(want, (pull()))
  end)

  it("takes grains in any order, and is served when all are there", function()
    local shuffled = disks.head_style(disks.shuffled(sample))
    source:on("/d", { web.answer(shuffled) })
    local spool <close> = open()
    local pulling = task.spawn(pull)
    assert(fetch_whole(spool))
    local _, sum = pulling:join()
    assert.equal(want, sum)
    check_parts()
  end)

  it("is never whole when the stream is damaged", function()
    local byte = vmdk:byte(at.footer.at + 13)
    source:on("/d", { web.answer(disks.put(vmdk, at.footer.at + 12,
      string.char(byte ~ 1))) })
    local spool <close> = open()
    local pulling = task.spawn(pull)
    web.refused("format", "byte ", fetch_whole(spool))
    assert.is_false(spool:is_whole())
    -- Who has got something is cut off; who has not waits for another fetch.
    source:close()
    source = httpd.new()
    source:on("/d", { web.answer(vmdk) })
    assert(fetch_whole(spool))
    local _, sum, code = pulling:join()
    assert.is_true(sum == want or code ~= 0)
    assert.equal(want, (pull()))
  end)

  it("fills no scratch with a stream that does not end", function()
    local mark = disks.marker(0, 4):rep(2048)
    source:on("/d", { head(1 << 40), vmdk:sub(1, at.grain5.at), { send = mark, times = 1 << 20 } })
    local spool <close> = open()
    local running <close> = fetch(spool)
    local result, err = running:wait()
    assert.is_nil(result)
    assert.equal("format", err.kind)
    assert.matches("the VMDK goes on where a disk of " .. size .. " bytes", err.message)
    assert.truthy(file.stat(base .. ".vmdk.part").size < size * 9 // 8 + (3 << 20))
  end)

  it("is fetched by one at a time", function()
    source:on("/d", { head(#vmdk), "<hang>" })
    local spool <close> = open()
    local running <close> = fetch(spool)
    assert.is_true(pace.eventually(function()
      return #source:requests() == 1
    end))
    web.refused("busy", "is being written", fetch_whole(spool))
    running:close()
    running:wait()
  end)

  it("is fetched by one process at a time, and by the next from where it was", function()
    local rest = ETAG .. ("Content-Range: bytes %d-%d/%d\r\n"):format(HALF, #vmdk - 1,
      #vmdk)
    source:on("/d", { head(#vmdk, ETAG) .. vmdk:sub(1, HALF), "<hang>" },
      { head(#vmdk - HALF, rest, "206 Partial") .. vmdk:sub(HALF + 1) })
    local theirs <close> = open()
    local running <close> = fetch(theirs)
    assert.is_true(pace.eventually(has_half))
    local ours <close> = open()
    web.refused("busy", "is being written", fetch_whole(ours))
    assert.is_true(has_half())
    assert.equal(1, #source:requests())
    running:close()
    running:wait()
    assert(fetch_whole(ours))
    assert.equal(want, (pull()))
  end)

  it("does not put another's part in its place when its own was removed", function()
    source:on("/d", { head(#vmdk) .. vmdk:sub(1, HALF), "<hang>" })
    local theirs <close> = open()
    local running <close> = fetch(theirs)
    assert.is_true(pace.eventually(has_half))
    assert(file.remove(base .. ".vmdk.part"))
    assert(file.write(base .. ".vmdk.part", "another's"))
    running:close()
    running:wait()
    assert.equal("another's", file.read(base .. ".vmdk.part"))
  end)
end)
