--- targets.scratch: who finds room in scratch where it has a limit, and what ends when it
-- is passed all the same.

local disks = require "support.disks"
local file = require "host.file"
local httpd = require "httpd"
local scratch = require "targets.scratch"
local spools = require "targets.spools"
local task = require "host.task"

local MIB = 1 << 20
local LIMIT = 80 * MIB -- of which 70 are given away

local function disk(name, mib)
  return { id = name, name = name, capacity_bytes = mib * MIB }
end

local function plan(...)
  return { namespace = "default", disks = { ... } }
end

describe("targets.scratch", function()
  local folder, remove, store

  before_each(function()
    folder, remove = disks.folder()
    assert(file.mkdir(folder .. "/default"))
    store = scratch.new(folder, { scratch_limit = LIMIT, look_every = 0.02 })
  end)

  after_each(function()
    remove()
  end)

  local function write(name, mib)
    disks.write(folder .. "/default/" .. name, ("x"):rep(mib * MIB))
  end

  it("promises no more than there is, and again what was given back", function()
    local first, second = plan(disk("a-0", 20), disk("a-1", 20)), plan(disk("b-0", 31))
    local promise = assert(store:promise(first, first.disks))
    assert.equal(30 * MIB, store:free(second))
    local none, why = store:promise(second, second.disks)
    assert.is_nil(none)
    assert.equal("scratch: others hold, or count on, 40 MiB of 70 (--scratch-limit), the "
      .. "disks may need 31", why)
    assert(store:promise(first, first.disks)) -- its own does not stand in its way
    getmetatable(promise).__close(promise)
    assert(store:promise(second, second.disks))
  end)

  it("counts what lies there as it is, whoever it is of", function()
    write("old-0.vmdk", 3)
    assert.equal(67 * MIB, store:free(plan(disk("a-0", 1))))
    assert.equal(70 * MIB, store:free(plan(disk("old-0", 20))))
    assert.equal(67 * MIB, store:free(plan(disk("old", 20)))) -- a name that begins so
  end)

  it("lets a disk that is larger than all of it try alone", function()
    local huge = plan(disk("huge-0", 1000))
    local promise = assert(store:promise(huge, huge.disks))
    assert.is_nil((store:promise(plan(disk("a-0", 1)), { disk("a-0", 1) })))
    getmetatable(promise).__close(promise)
    write("old-0.vmdk", 2)
    assert.is_nil((store:promise(huge, huge.disks)))
  end)

  it("without a limit promises everything, and bounds nothing", function()
    local free = scratch.new(folder, {})
    local huge = plan(disk("huge-0", 1 << 30))
    assert.is_nil(free:free(huge))
    assert(free:promise(huge, huge.disks))
    assert(free:promise(huge, huge.disks))
    local transfer = {}
    assert.equal(transfer, free:bound(transfer, nil))
  end)

  -- A disk that sends 64 KiB over and over.
  local function endless(server, spool, one)
    server:on("/" .. one.name, { "HTTP/1.1 200 OK\r\n\r\n",
      { send = ("x"):rep(65536), times = 1 << 30 } })
    return assert(spool:put(plan(one), one, { format = "raw",
      url = ("http://127.0.0.1:%d/%s"):format(server:port(), one.name) }))
  end

  it("ends the youngest transfer when all of it passes the limit, and what it wrote", function()
    local server <close> = httpd.new()
    local spool = spools.new(folder, { scratch_limit = 8 * MIB, look_every = 0.02 })
    local slow = disk("slow-0", 4000)
    server:on("/slow-0", { "HTTP/1.1 200 OK\r\nContent-Length: 4194304000\r\n\r\nx",
      "<hang>" })
    local older <close> = assert(spool:put(plan(slow), slow, { format = "raw",
      url = ("http://127.0.0.1:%d/slow-0"):format(server:port()) }))
    local waiting = task.spawn(older.wait, older)
    local younger <close> = endless(server, spool, disk("fast-0", 4 << 20))
    local result, err = younger:wait()
    assert.is_nil(result)
    assert.equal("nospace", err.kind)
    assert.equal("scratch holds all of 7 MiB that it may (--scratch-limit)", err.message)
    assert.is_nil(disks.names(folder .. "/default"):find("fast", 1, true))
    assert.is_false(waiting:done())
    waiting:cancel()
  end)
end)
