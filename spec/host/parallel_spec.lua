-- Eight disks at once, as of eight imports: fetched and served by the same workers while
-- somebody pulls, drops out, or cancels. Under ThreadSanitizer it is this that counts.

local disk = require "host.disk"
local disks = require "support.disks"
local file = require "host.file"
local httpd = require "httpd"
local served = require "support.served"
local task = require "host.task"
local web = require "support.web"
local zlib = require "support.zlib"

local GRAIN, GRAINS = 64 * 1024, 24
local SIZE = GRAIN * GRAINS
local DISKS = 8

local function path(i)
  return ("/%032x/disk-%d.raw"):format(i, i)
end

-- A disk of its own: its stream, and the SHA-512 of its bytes.
local function make(folder, i)
  local grains, text = {}, {}
  for n = 0, GRAINS - 1 do
    local data = string.char(i * 16 + n % 16):rep(GRAIN)
    grains[n + 1] = { n, zlib.stored(data) }
    text[n + 1] = data
  end
  return (disks.footer_style({ capacity = GRAINS * 128, grains = grains })),
    disks.digest("sha512", disks.write(folder .. "/raw", table.concat(text)))
end

describe("eight disks at once", function()
  local folder, remove = disks.folder()
  local site, source
  local sums = {}

  lazy_setup(function()
    site = served.open({ wait = 5, sha512 = true })
    source = httpd.new()
    for i = 1, DISKS do
      local stream
      stream, sums[i] = make(folder, i)
      -- In two halves, so that all are under way together.
      local head = web.answer(stream)
      source:on("/" .. i, { head:sub(1, #head // 2), { wait = 0.3 },
        head:sub(#head // 2 + 1) })
      source:on("/half-" .. i, { head:sub(1, #head // 2), "<hang>" })
    end
  end)

  lazy_teardown(function()
    site:close()
    source:close()
    remove()
  end)

  local function options(name)
    return {
      source = { url = ("http://127.0.0.1:%d/%s"):format(source:port(), name) },
      format = "vmdk", capacity = SIZE, digests = { "sha256" },
    }
  end

  local function pull(i)
    local result = served.shell([[
      curl -s -o "$2" "$1"; code=$?; sha512sum <"$2"; rm -f "$2"; exit $code]],
      site:url(path(i)), ("%s/pulled-%d"):format(folder, i))
    return result.status == 0 and result.stdout:match("^%x+") or nil
  end

  -- By way of a spool, and pulled meanwhile.
  local function by_spool(i)
    local base = ("%s/spool-%d"):format(folder, i)
    local spool <close> = assert(disk.spool({ path = base, capacity = SIZE }))
    site.server:publish(path(i), { stream = spool })
    local opts = options(i)
    opts.spool = spool
    local running <close> = assert(disk.transfer(opts))
    local pulling = task.spawn(pull, i)
    local result, err = running:wait()
    local _, sum = pulling:join()
    site.server:forget(path(i))
    return result and sum, err
  end

  local function by_stream(i)
    local stream <close> = assert(disk.stream(options(i)))
    site.server:publish(path(i), { stream = stream })
    local sum = pull(i)
    site.server:forget(path(i))
    return sum
  end

  -- One that is given up half-way does no harm to the others.
  local function given_up(i)
    local base = ("%s/given-up-%d"):format(folder, i)
    local spool <close> = assert(disk.spool({ path = base, capacity = SIZE }))
    local opts = options("half-" .. i)
    opts.spool = spool
    local running <close> = assert(disk.transfer(opts))
    task.sleep(0)
    running:close()
    local _, err = running:wait()
    return err.kind
  end

  for _, each in ipairs { { "spooled", by_spool }, { "passed on", by_stream } } do
    it("are " .. each[1] .. " whole, each to its own", function()
      local tasks = {}
      for i = 1, DISKS do
        tasks[i] = task.spawn(each[2], i)
      end
      local dropped = task.spawn(given_up, 1)
      for i, t in ipairs(tasks) do
        local _, sum = assert(t:join())
        assert.equal(sums[i], sum, "disk " .. i)
      end
      assert.equal("cancelled", select(2, dropped:join()))
      for _, name in ipairs(assert(file.list(folder))) do
        os.remove(folder .. "/" .. name)
      end
    end)
  end
end)
