--- targets.spools: what waits in scratch, and how it is published.

local disks = require "support.disks"
local file = require "host.file"
local httpd = require "httpd"
local spools = require "targets.spools"
local web = require "support.web"

local folder, remove = disks.folder()
local sample = disks.sample()
local vmdk = disks.footer_style(sample)
local PLAN = { namespace = "default", disks = {} }
local DISK = { id = "2000", name = "web-1a2b-disk-0", capacity_bytes = sample.capacity * 512 }

teardown(remove)

describe("targets.spools", function()
  local source, store

  before_each(function()
    source = httpd.new()
    source:on("/d", { web.answer(vmdk) })
    store = spools.new(folder, {})
  end)

  after_each(function()
    store:remove(PLAN, DISK)
    assert.equal("", disks.names(folder .. "/default"))
    source:close()
  end)

  local function fetch(stream)
    stream.url = ("http://127.0.0.1:%d/d"):format(source:port())
    local transfer <close> = assert(store:put(PLAN, DISK, stream))
    return assert(transfer:wait())
  end

  it("keeps a VMDK as it came, which the next process finds", function()
    assert.is_nil(store:state(PLAN, DISK))
    fetch({ format = "vmdk" })
    for _, each in ipairs { store, spools.new(folder, {}) } do
      assert.equal("whole", each:state(PLAN, DISK))
      assert.equal("userdata", type(each:image(PLAN, DISK).stream))
      assert.truthy(each:path(PLAN, DISK):find("default/web-1a2b-disk-0.vmdk", 1, true))
    end
  end)

  it("holds a disk to the least rate of its source before that of all", function()
    local stream_options = require "targets.stream_options"
    local function rate(stream, limits)
      return stream_options(stream, DISK, limits).least_rate
    end
    assert.equal(5, rate({ least_rate = 5 }, { least_rate = 1024 }))
    assert.equal(0, rate({ least_rate = 0 }, { least_rate = 1024 }))
    assert.equal(1024, rate({}, { least_rate = 1024 }))
  end)

  it("knows that another process still writes a disk", function()
    assert.is_nil(store:writer_of(PLAN, DISK))
    local raw = store:path(PLAN, DISK)
    for _, part in ipairs { raw .. ".part", (raw:gsub("%.raw$", ".vmdk.part")) } do
      assert(file.mkdir(folder .. "/default", { parents = true }))
      local held <close> = assert(file.lock(part))
      assert.equal(part, store:writer_of(PLAN, DISK))
      held:close()
      assert.is_nil(store:writer_of(PLAN, DISK))
      assert(file.remove(part))
    end
    assert.equal("", disks.names(folder .. "/default"))
  end)

  it("keeps anything else as a raw file", function()
    local text = ("x"):rep(DISK.capacity_bytes)
    source:close()
    source = httpd.new()
    source:on("/d", { web.answer(text) })
    fetch({ format = "raw" })
    assert.equal("whole", store:state(PLAN, DISK))
    assert.same({ file = store:path(PLAN, DISK), size = #text }, store:image(PLAN, DISK))
  end)
end)
