--- host.disk: a stream from a file or a server becomes a raw file, whole or not at all.

local digest = require "host.digest"
local disk = require "host.disk"
local disks = require "support.disks"
local file = require "host.file"
local httpd = require "httpd"
local pace = require "support.pace"
local task = require "host.task"
local time = require "host.time"
local web = require "support.web"

local GRAIN = 64 * 1024

local folder, remove = disks.folder()
local output = folder .. "/disk.raw"

-- Another table with what `changes` say in place of the base's.
local function with(base, changes)
  local all = {}
  for _, each in ipairs({ base, changes or {} }) do
    for key, value in pairs(each) do
      all[key] = value
    end
  end
  return all
end

-- Starts a VMDK's transfer into `output`, which is what most specs want.
local function start(source, changes)
  return disk.transfer(with({ source = source, format = "vmdk", output = output }, changes))
end

local function fetch(source, changes)
  local running <close>, refused = start(source, changes)
  if not running then
    return nil, refused
  end
  return running:wait()
end

-- Fails unless it failed so, and left nothing.
local function refused(kind, text, got, err)
  web.refused(kind, text, got, err)
  assert.equal("", disks.names(folder))
  return err
end

-- Where the stream is a file, which is not in the folder of the output.
local streams, remove_streams = disks.folder()

local function stream(name, bytes)
  return { file = disks.write(streams .. "/" .. name, bytes) }
end

local sample = disks.sample()
local vmdk, at = disks.footer_style(sample)
local want_path = disks.write_raw(streams .. "/want.raw", sample)
local want = disks.digest("sha512", want_path)
local size = sample.capacity * 512

teardown(function()
  remove()
  remove_streams()
end)

after_each(function()
  os.execute("rm -rf '" .. folder .. "'/*")
end)

describe("disk.transfer from a file", function()
  it("says what it read and wrote, and digests of both", function()
    local source = stream("disk.vmdk", vmdk)
    local result = assert(fetch(source, {
      digests = { "sha1", "sha256" }, sha512 = true, capacity = size, size = #vmdk,
    }))
    assert.equal(size, result.capacity)
    assert.equal(#vmdk, result.received)
    assert.equal(disks.digest("sha1", source.file), result.digests.sha1)
    assert.equal(disks.digest("sha256", source.file), result.digests.sha256)
    assert.is_nil(result.digests.sha512)
    assert.equal(want, result.sha512)
    assert.equal(want, disks.digest("sha512", output))
  end)

  it("leaves holes where the disk is zero, also inside of a grain", function()
    local result = assert(fetch(stream("disk.vmdk", vmdk)))
    -- Seven whole grains, two blocks of the eighth, a short tail.
    local data = 7 * GRAIN + 2 * 4096 + 7 * 512
    assert.equal(data, result.written)
    local stat = assert(file.stat(output))
    assert.equal(size, stat.size)
    assert.is_true(stat.blocks_bytes >= data and stat.blocks_bytes <= data + 16 * 1024)
  end)

  it("writes a file that only its owner can read", function()
    assert(fetch(stream("disk.vmdk", vmdk)))
    assert.equal(384, assert(file.stat(output)).mode & 511) -- 0600
  end)

  it("replaces an older file, and what an earlier run left", function()
    disks.write(output, "old")
    disks.write(output .. ".part", "half")
    assert(fetch(stream("disk.vmdk", vmdk)))
    assert.equal("disk.raw", disks.names(folder))
    assert.equal(want, disks.digest("sha512", output))
  end)

  it("keeps an older file if the new disk is bad", function()
    disks.write(output, "old")
    local _, err = fetch(stream("disk.vmdk", vmdk:sub(1, -2)))
    assert.equal("format", err.kind)
    assert.equal("disk.raw", disks.names(folder))
    assert.equal("old", file.read(output))
  end)

  it("does not write through links, into devices or folders", function()
    local source = stream("disk.vmdk", vmdk)
    os.execute("ln -s '" .. streams .. "/victim' '" .. output .. ".part'")
    assert.is_nil(fetch(source))
    os.remove(output .. ".part")
    os.execute("ln -s '" .. streams .. "/victim' '" .. output .. "'")
    web.refused("conflict", "not a regular file", fetch(source))
    os.remove(output)
    assert(file.mkdir(output))
    web.refused("conflict", "not a regular file", fetch(source))
    assert.is_nil(file.stat(streams .. "/victim"))
  end)

  it("lets one transfer at a time write a file", function()
    local fifo = httpd.new()
    fifo:on("/", { "<hang>" })
    local first <close> = assert(start({ url = "http://127.0.0.1:" .. fifo:port() .. "/" }))
    local second, err = start(stream("disk.vmdk", vmdk))
    web.refused("busy", "is being written", second, err)
    first:close()
    web.refused("cancelled", "cancelled", first:wait())
    fifo:close()
    assert(fetch(stream("disk.vmdk", vmdk)))
  end)

  it("names what it cannot read or write", function()
    refused("notfound", streams .. "/none", fetch({ file = streams .. "/none" }))
    refused("invalid", "not a regular file", fetch({ file = streams }))
    refused("invalid", "not a regular file", fetch({ file = "/dev/zero" }))
    refused("notfound", "/none/disk.raw.part", fetch(stream("disk.vmdk", vmdk), {
      output = folder .. "/none/disk.raw",
    }))
  end)

  it("refuses a stream of another length or digest than announced", function()
    local source = stream("disk.vmdk", vmdk)
    local sha1 = disks.digest("sha1", source.file)
    refused("format", ("%d bytes, expected %d"):format(#vmdk, #vmdk + 1), fetch(source, {
      size = #vmdk + 1,
    }))
    refused("format", "sha1 is " .. sha1, fetch(source, {
      digest = { algorithm = "sha1", value = ("0"):rep(40) },
    }))
    assert(fetch(source, { digest = { algorithm = "sha1", value = sha1:upper() } }))
  end)

  for _, algorithm in ipairs { "sha1", "sha256", "sha512", "md5" } do
    it("compares and computes " .. algorithm, function()
      local source = stream("disk.vmdk", vmdk)
      local sum = disks.digest(algorithm, source.file)
      refused("format", algorithm .. " is " .. sum, fetch(source, {
        digest = { algorithm = algorithm, value = ("0"):rep(#sum) },
      }))
      local result = assert(fetch(source, { digests = { algorithm },
        digest = { algorithm = algorithm, value = sum:upper() } }))
      assert.equal(sum, result.digests[algorithm])
    end)
  end

  it("takes what independent writers make", function()
    local qemu = "qemu-img convert -f raw -O vmdk -o subformat=streamOptimized "
    local other = "/usr/bin/python3 -c 'import sys, VMDKstream; VMDKstream.convert_to_stream("
      .. "sys.argv[1], sys.argv[2])' "
    for _, command in ipairs({ qemu, qemu .. "-W -m 16 ", other }) do
      local path = streams .. "/theirs.vmdk"
      disks.run(command .. "'" .. want_path .. "' '" .. path .. "'")
      local result = assert(fetch({ file = path }, { sha512 = true }))
      assert.equal(want, result.sha512)
      assert.equal(want, disks.digest("sha512", output))
    end
  end)

  it("says when there is no space left", function()
    -- In a mount namespace of its own, with a file system that is too small.
    local script = "mount -t tmpfs -o size=256k tmpfs '" .. folder .. "' && '"
      .. "%s' disk '%s' --output '" .. output .. "'; echo exit \\$? in; ls -A '" .. folder .. "'"
    local program = os.getenv("VIC_PROGRAM") or "build/vm-import-controller"
    local source = stream("disk.vmdk", vmdk)
    local command = "unshare -rm sh -c \"" .. script:format(program, source.file) .. "\" 2>&1"
    local text = disks.run(command)
    assert.matches("No space left on device", text)
    assert.matches("exit 1 in\n$", text)
  end)
end)

describe("disk.transfer of a raw disk", function()
  local raw

  setup(function()
    raw = assert(io.open(want_path, "rb")):read("a")
  end)

  local function fetch_raw(bytes, changes)
    return fetch(stream("disk.img", bytes), with({ format = "raw" }, changes))
  end

  it("makes the same disk, with holes", function()
    local result = assert(fetch_raw(raw, { capacity = size, sha512 = true }))
    assert.equal(want, result.sha512)
    assert.equal(want, disks.digest("sha512", output))
    assert.is_true(assert(file.stat(output)).blocks_bytes < 600 * 1024)
  end)

  it("takes any number of sectors if no size is given, but none", function()
    assert.equal(4608, assert(fetch_raw(raw:sub(1, 4608))).capacity)
    assert.equal(4608, assert(file.stat(output)).size)
    os.remove(output)
    refused("format", "byte 0: the stream is empty", fetch_raw(""))
  end)

  it("refuses what ends within a sector, also where its size is as announced", function()
    for _, n in ipairs { 1, 511, 513, 4097, (1 << 20) + 1 } do
      refused("format", "byte " .. n .. ": the stream ends within a sector",
        fetch_raw(raw:sub(1, n)))
    end
    refused("format", "within a sector", fetch_raw(raw:sub(1, 4097), { capacity = 4097 }))
  end)

  it("refuses a disk of another size", function()
    local bytes = raw:sub(1, 8192)
    refused("format", "byte 4096: the stream goes on", fetch_raw(bytes, { capacity = 4096 }))
    refused("format", "byte 8192: the stream ends", fetch_raw(bytes, { capacity = 8704 }))
  end)

  it("refuses a disk that begins as another image format", function()
    local bytes = "QFI\xfb" .. ("\0"):rep(8188)
    refused("unsupported", "qcow2", fetch_raw(bytes))
  end)
end)

describe("disk.transfer of what is guessed to be a raw disk", function()
  local function fetch_guessed(bytes, changes)
    return fetch(stream("disk.img", bytes), with({ format = "raw", guessed = true }, changes))
  end

  -- A fixed VHD with a disk of so many sectors; `fields` of its footer.
  local function vhd(sectors, fields)
    local content = ("\1"):rep(sectors * 512)
    return content .. disks.vhd_footer(#content, fields), content
  end

  it("leaves the footer of a fixed VHD away, wherever it falls", function()
    for _, sectors in ipairs { 1, 2047, 2048, 2049, 6144 } do
      local bytes, content = vhd(sectors)
      local known = sectors % 2 == 0 and #content or nil
      local result = assert(fetch_guessed(bytes, { sha512 = true, capacity = known }))
      assert.equal(#content, result.capacity)
      assert.equal(#bytes, result.received)
      assert.equal(#content, assert(file.stat(output)).size)
      assert.equal(disks.digest("sha512", output), result.sha512)
      assert.equal(disks.digest("sha512", disks.write(folder .. "/want", content)), result.sha512)
      os.remove(output)
      os.remove(folder .. "/want")
    end
  end)

  it("takes a stated raw disk as it is, whatever its last bytes are", function()
    local bytes = vhd(8)
    assert.equal(#bytes, assert(fetch_guessed(bytes, { guessed = false })).capacity)
  end)

  it("refuses the footer of any other VHD", function()
    refused("format", "wrong checksum", fetch_guessed((vhd(8, { checksum = 7 }))))
    refused("format", "of type 3", fetch_guessed((vhd(8, { type = 3 }))))
    refused("format", "of type 4", fetch_guessed((vhd(8, { type = 4 }))))
    refused("format", "a disk of 8192 bytes, but 4096 came",
      fetch_guessed((vhd(8, { size = 8192 }))))
    refused("unsupported", "saved state", fetch_guessed((vhd(8, { saved = 1 }))))
    refused("format", "without a disk", fetch_guessed((vhd(0))))
    refused("format", "goes on", fetch_guessed(vhd(8), { capacity = 2048 }))
    refused("format", "goes on", fetch_guessed(("\1"):rep(4096), { capacity = 4096 - 512 }))
  end)

  it("refuses an Apple disk image, which only its end tells", function()
    refused("unsupported", "DMG",
      fetch_guessed(("\1"):rep(4096) .. "koly" .. ("\0"):rep(508)))
  end)
end)

describe("disk.transfer from a server", function()
  local server, url

  local function serve(opts)
    server = httpd.new(opts)
    url = ("http%s://127.0.0.1:%d"):format(opts and opts.cert and "s" or "", server:port())
  end

  before_each(function()
    serve()
  end)

  after_each(function()
    server:close()
  end)

  local OK = "HTTP/1.1 200 OK\r\n"

  local function chunked(bytes)
    local parts = { OK .. "Transfer-Encoding: chunked\r\n\r\n" }
    for from = 1, #bytes, 5000 do
      local piece = bytes:sub(from, from + 4999)
      parts[#parts + 1] = ("%x\r\n%s\r\n"):format(#piece, piece)
    end
    return table.concat(parts), "0\r\n\r\n"
  end

  it("takes a body with a length, in chunks, or until the connection ends", function()
    server:on("/length", { web.answer(vmdk) })
    local body, last = chunked(vmdk)
    server:on("/chunked", { body, last })
    server:on("/close", { OK .. "\r\n", vmdk, "<close>" })
    for _, path in ipairs({ "/length", "/chunked", "/close" }) do
      assert.equal(want, assert(fetch({ url = url .. path }, { sha512 = true })).sha512)
      os.remove(output)
    end
  end)

  it("sends the headers that it is given", function()
    server:on("/disk", { web.answer(vmdk) })
    assert(fetch({ url = url .. "/disk", headers = { ["X-Ticket"] = "abc" } }))
    assert.matches("\r\nX%-Ticket: abc\r\n", server:requests()[1])
    os.remove(output)
    refused("invalid", "a line break", fetch({
      url = url .. "/disk", headers = { ["X-Ticket"] = "abc\r\nX-More: 1" },
    }))
  end)

  it("connects where it is told to", function()
    server:on("/disk", { web.answer(vmdk) })
    assert(fetch({
      url = "http://esx.example/disk", connect_to = "127.0.0.1:" .. server:port(),
    }))
    assert.matches("\r\nHost: esx.example\r\n", server:requests()[1])
  end)

  it("refuses any other answer than 200, and says nothing of its body", function()
    for _, status in ipairs({ 204, 206, 301, 401, 404, 500, 503 }) do
      server:on("/" .. status, { ("HTTP/1.1 %d X\r\nLocation: %s/disk\r\n"
        .. "Content-Length: 6\r\n\r\nsecret"):format(status, url) })
      local err = refused("http", "HTTP status " .. status, fetch({ url = url .. "/" .. status }))
      assert.equal(status, err.status)
      assert.is_nil(err.message:find("secret", 1, true))
    end
    assert.equal(7, #server:requests())
  end)

  it("never says what is in the path or the query of a URL", function()
    server:on("/nfc/token/disk-0.vmdk?ticket=t", { "HTTP/1.1 404 X\r\n\r\n" })
    local _, err = fetch({ url = "http://user:word@127.0.0.1:" .. server:port()
      .. "/nfc/token/disk-0.vmdk?ticket=t" })
    assert.matches("^http://127.0.0.1:%d+/.../disk%-0.vmdk: ", err.message)
  end)

  it("allows nothing but http and https", function()
    for _, other in ipairs({ "file://" .. streams .. "/disk.vmdk", "ftp://127.0.0.1/x", "x" }) do
      refused("invalid", "URL", fetch({ url = other }))
    end
  end)

  it("refuses a body that is cut, however the connection ends", function()
    local half = vmdk:sub(1, #vmdk // 2)
    local head = OK .. "Content-Length: " .. #vmdk .. "\r\n\r\n"
    local body = chunked(half)
    server:on("/length", { head .. half, "<close>" })
    server:on("/reset", { head .. half, "<reset>" })
    server:on("/chunked", { body, "<close>" })
    server:on("/clean", { web.answer(half) })
    server:on("/close", { OK .. "\r\n" .. half, "<close>" })
    refused("connect", "after " .. #half .. " bytes", fetch({ url = url .. "/length" }))
    refused("connect", "the connection broke", fetch({ url = url .. "/reset" }))
    refused("connect", "the connection broke", fetch({ url = url .. "/chunked" }))
    refused("format", "byte " .. #half .. ": the stream ends", fetch({ url = url .. "/clean" }))
    refused("format", "byte " .. #half .. ": the stream ends", fetch({ url = url .. "/close" }))
  end)

  it("goes on where a body broke off, if it may, as often as something comes", function()
    local third = #vmdk // 3
    local function part(from, to)
      return ("HTTP/1.1 206 OK\r\nContent-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n"
        .. "\r\n%s"):format(from, #vmdk - 1, #vmdk, #vmdk - from, vmdk:sub(from + 1, to))
    end
    server:on("/disk", { OK .. "Content-Length: " .. #vmdk .. "\r\n\r\n"
      .. vmdk:sub(1, third), "<close>" })
    server:on("/disk", { part(third, 2 * third), "<reset>" })
    server:on("/disk", { part(2 * third, #vmdk) })
    local result = assert(fetch({ url = url .. "/disk", resumable = true },
      { sha512 = true, digests = { "sha256" } }))
    assert.equal(want, result.sha512)
    assert.equal(#vmdk, result.received)
    assert.equal(digest.sha256(vmdk), result.digests.sha256)
    assert.matches("\r\nRange: bytes=" .. third .. "%-\r\n", server:requests()[2])
    assert.matches("\r\nRange: bytes=" .. 2 * third .. "%-\r\n", server:requests()[3])
  end)

  -- A download that breaks off after a third, whose resume is answered with 401.
  local function refused_resume(path, answers)
    local third = #vmdk // 3
    server:on(path, { OK .. 'ETag: "one"\r\nContent-Length: ' .. #vmdk .. "\r\n\r\n"
      .. vmdk:sub(1, third), "<close>" })
    for _ = 1, answers do
      server:on(path, { "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno" })
    end
    server:on(path, { ("HTTP/1.1 206 OK\r\nContent-Range: bytes %d-%d/%d\r\n"
      .. "Content-Length: %d\r\n\r\n%s"):format(third, #vmdk - 1, #vmdk, #vmdk - third,
      vmdk:sub(third + 1)) })
    return third
  end

  it("goes on with other headers where those in force are not taken any more", function()
    local third = refused_resume("/disk", 1)
    local headers = disk.headers { ["X-Auth-Token"] = "old" }
    local transfer <close> = assert(disk.transfer(with({ output = output, format = "vmdk",
      source = { url = url .. "/disk", resumable = true, renewal = headers } }, {
      sha512 = true })))
    assert(web.eventually(function()
      return headers:refused()
    end))
    headers:set { ["X-Auth-Token"] = "new" }
    assert.is_false(headers:refused())
    local result = assert(transfer:wait())
    assert.equal(want, result.sha512)
    assert.equal(#vmdk, result.received)
    local asked = server:requests()
    assert.equal(3, #asked)
    assert.matches("X%-Auth%-Token: old\r\n", asked[2])
    assert.matches("X%-Auth%-Token: new\r\n", asked[3])
    assert.matches("Range: bytes=" .. third .. "%-\r\n", asked[3])
    assert.matches('If%-Range: "one"\r\n', asked[3])
  end)

  it("ends at once, though it waits for other headers", function()
    refused_resume("/disk", 1)
    local headers = disk.headers { ["X-Auth-Token"] = "old" }
    local transfer = assert(disk.transfer({ output = output, format = "vmdk",
      source = { url = url .. "/disk", resumable = true, renewal = headers } }))
    assert(web.eventually(function()
      return headers:refused()
    end))
    transfer:close()
    refused("cancelled", "", transfer:wait())
  end)

  it("gives up when no headers are taken", function()
    refused_resume("/disk", 5)
    local headers = disk.headers { ["X-Auth-Token"] = "0" }
    local keeper <close> = task.spawn(function()
      for i = 1, math.huge do
        task.sleep(0.01)
        if headers:refused() then
          headers:set { ["X-Auth-Token"] = tostring(i) }
        end
      end
    end)
    assert(keeper)
    refused("http", "401", fetch({ url = url .. "/disk", resumable = true,
      renewal = headers }))
    assert.equal(5, #server:requests())
  end)

  it("does not go on with bytes of another place", function()
    local third = #vmdk // 3
    local broken = { OK .. "Content-Length: " .. #vmdk .. "\r\n\r\n"
      .. vmdk:sub(1, third), "<close>" }
    server:on("/whole", broken)
    server:on("/whole", { web.answer(vmdk) })
    server:on("/shifted", broken)
    server:on("/shifted", { ("HTTP/1.1 206 OK\r\nContent-Range: bytes %d-%d/%d\r\n"
      .. "Content-Length: 1\r\n\r\nx"):format(third - 1, #vmdk - 1, #vmdk) })
    for _, path in ipairs({ "/whole", "/shifted" }) do
      refused("http", "does not go on there", fetch({ url = url .. path, resumable = true }))
    end
    assert.equal(4, #server:requests())
  end)

  it("refuses a raw disk whose end nothing tells", function()
    local bytes = ("x"):rep(4096)
    server:on("/", { OK .. "\r\n" .. bytes, "<close>" })
    refused("http", "neither length nor end", fetch({ url = url }, { format = "raw" }))
    assert(fetch({ url = url }, { format = "raw", capacity = 4096 }))
  end)

  it("refuses a head, or trailers, without end", function()
    local endless = { send = "T: a\r\n", times = 1 << 30 }
    local body = "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    server:on("/trailers", { "HTTP/1.1 200 OK\r\n" .. body, endless })
    server:on("/head", { "HTTP/1.1 200 OK\r\n", endless })
    server:on("/1xx", { { send = "HTTP/1.1 100 Go on\r\n\r\n", times = 1 << 30 } })
    for _, path in ipairs({ "/trailers", "/head", "/1xx" }) do
      refused("http", "the answer's head is too large: more than 256 KiB or 4096 lines",
        fetch({ url = url .. path }))
      refused("http", "the answer's head is too large",
        fetch({ url = url .. path, resumable = true }))
    end
  end)

  it("does not take the lines of a head or of trailers for progress", function()
    local slow = {}
    for i = 1, 200 do
      slow[2 * i - 1] = "T: a\r\n"
      slow[2 * i] = { wait = pace.seconds(0.02) }
    end
    local body = "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    server:on("/trailers", table.move(slow, 1, #slow, 2, { "HTTP/1.1 200 OK\r\n" .. body }))
    server:on("/head", table.move(slow, 1, #slow, 2, { "HTTP/1.1 200 OK\r\n" }))
    for _, path in ipairs({ "/trailers", "/head" }) do
      refused("timeout", "nothing came for 0.2 s", fetch({ url = url .. path },
        { idle_timeout = 0.2 }))
    end
  end)

  it("refuses a stream that goes on after the bytes that it may have", function()
    local much = { send = ("x"):rep(65536), times = 1 << 30 }
    server:on("/", { "HTTP/1.1 200 OK\r\n\r\n", much })
    for _, bound in ipairs({ { max_size = 1000000 }, { size = 1000000 } }) do
      bound.format = "stream"
      refused("format", "the stream goes on after the 1000000 bytes that it may have",
        fetch({ url = url }, bound))
    end
  end)

  it("gives up when too little comes, on average over a while, resumable or not", function()
    local steps = { "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 9999\r\n\r\n" }
    for i = 1, 400 do
      steps[2 * i] = "x"
      steps[2 * i + 1] = { wait = 0.02 }
    end
    server:on("/", steps)
    for _, resumable in ipairs({ false, true }) do
      refused("timeout", "came in 0.5 s, less than the 1000 bytes a second that a disk must "
        .. "have (spec.leastRate, --least-rate)", fetch({ url = url, resumable = resumable },
        { format = "stream", least_rate = 1000, rate_over = 0.5 }))
    end
    server:on("/vmdk", { web.answer(vmdk) })
    assert(fetch({ url = url .. "/vmdk" }, { least_rate = 1, rate_over = 60 }))
  end)

  it("gives up when nothing comes for too long", function()
    server:on("/silent", { "<hang>" })
    server:on("/stalls", { web.answer(vmdk):sub(1, 9000), "<hang>" })
    for _, path in ipairs({ "/silent", "/stalls" }) do
      local began = time.monotonic()
      refused("timeout", "nothing came for 0.2 s", fetch({ url = url .. path }, {
        idle_timeout = 0.2,
      }))
      assert.is_true(time.monotonic() - began >= 0.2)
    end
  end)

  it("says when nobody answers", function()
    local port = server:port()
    server:close()
    serve()
    refused("connect", "127.0.0.1:" .. port, fetch({
      url = ("http://127.0.0.1:%d/disk"):format(port),
    }))
  end)

  it("counts what passes while it runs", function()
    server:on("/", { web.answer(vmdk):sub(1, at.grain8.at + 100), "<hang>" })
    local running <close> = assert(start({ url = url }))
    assert.is_true(web.eventually(function()
      local now = running:progress()
      return now.received > 100000 and now.capacity == size
    end))
    running:close()
    running:wait()
  end)

  it("ends at once when it is closed, and leaves nothing", function()
    server:on("/silent", { "<hang>" })
    server:on("/stalls", { web.answer(vmdk):sub(1, 9000), "<hang>" })
    for _, path in ipairs({ "/silent", "/stalls" }) do
      local running = assert(start({ url = url .. path }))
      task.sleep(0.02)
      local began = time.monotonic()
      running:close()
      refused("cancelled", "cancelled", running:wait())
      assert.is_true(time.monotonic() - began < 30) -- its idle time-out is 60 s
    end
  end)

  it("ends with the task that holds it", function()
    server:on("/", { "<hang>" })
    local holder = task.spawn(function()
      local running <close> = assert(start({ url = url }))
      running:wait()
    end)
    assert.is_true(web.eventually(function()
      return #server:requests() == 1
    end))
    holder:cancel()
    assert.is_true(web.eventually(function()
      return disks.names(folder) == "" and server:idle()
    end))
  end)

  it("ends when nobody knows it any more", function()
    server:on("/", { "<hang>" })
    assert(start({ url = url }))
    assert.is_true(web.eventually(function()
      collectgarbage()
      return disks.names(folder) == ""
    end))
  end)

  it("tells its end to all who wait, and again later", function()
    server:on("/", { { wait = 0.03 }, web.answer(vmdk) })
    local running <close> = assert(start({ url = url }))
    local waiting = {}
    for i = 1, 3 do
      waiting[i] = task.spawn(running.wait, running)
    end
    for _, each in ipairs(waiting) do
      local ok, result = each:join()
      assert.is_true(ok)
      assert.equal(size, result.capacity)
    end
    assert.equal(size, assert(running:wait()).capacity)
    assert.equal(size, running:progress().position)
  end)

  it("carries eight disks at once", function()
    server:on("/", { web.answer(vmdk) })
    local all = {}
    for i = 1, 8 do
      all[i] = assert(start({ url = url }, { output = output .. i, sha512 = i % 2 == 0 }))
    end
    for i = 1, 8 do
      assert(all[i]:wait())
      assert.equal(want, disks.digest("sha512", output .. i))
    end
  end)
end)

describe("disk.transfer over TLS", function()
  local cert, key = httpd.certificate({ name = "esx.example", alt = "IP:127.0.0.1" })
  local server, url

  setup(function()
    server = httpd.new({ cert = cert, key = key })
    server:on("/", { web.answer(vmdk) })
    url = "https://127.0.0.1:" .. server:port()
  end)

  teardown(function()
    server:close()
  end)

  local function thumbprint(algorithm)
    local der = digest.base64_decode((cert:gsub("%-%-%-%-%-[^-]*%-%-%-%-%-", "")))
    return digest[algorithm](der)
  end

  it("asks nothing of a server that it cannot trust", function()
    local sha256 = thumbprint("sha256"):upper():gsub("%x%x", "%0:"):sub(1, -2)
    refused("tls", sha256, fetch({ url = url }))
    refused("tls", "not the one of the given thumbprint", fetch({
      url = url, tls = { thumbprint = ("0"):rep(40) },
    }))
    assert.equal(0, #server:requests())
  end)

  it("trusts a thumbprint or a CA", function()
    for _, tls in ipairs({
      { thumbprint = thumbprint("sha1") },
      { thumbprint = thumbprint("sha256"):upper() },
      { ca = cert },
    }) do
      assert(fetch({ url = url, tls = tls }))
    end
  end)

  it("refuses what is neither", function()
    refused("invalid", "thumbprint", fetch({ url = url, tls = { thumbprint = "abc" } }))
    refused("invalid", "PEM", fetch({ url = url, tls = { ca = "abc" } }))
  end)
end)

describe("disk.transfer's options", function()
  it("throws on mistakes", function()
    local good = { source = { file = "x" }, format = "vmdk", output = output }
    local mistakes = {
      { format = "qcow2" }, { source = {} }, { source = { file = "x", url = "y" } },
      { digests = { "crc32" } }, { unknown = 1 }, { capacity = -1 },
      { digest = { algorithm = "sha1" } }, { source = { url = "http://x", headers = "a" } },
    }
    for _, mistake in ipairs(mistakes) do
      assert.has_error(function()
        disk.transfer(with(good, mistake))
      end)
    end
    assert.equal("", disks.names(folder))
  end)
end)
