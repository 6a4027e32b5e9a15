local disk_status = require "flows.import.disk_status"
local json = require "host.json"
local steps = require "support.steps"
local time = require "host.time"

describe("flows.import.disk_status", function()
  it("makes an entry for each disk of the plan, in its order", function()
    local w = steps.world()
    disk_status.change(w.import, w.ctx, function(entry, disk)
      entry.diskLocalPath = "/" .. disk.id
    end)
    assert.same({
      { diskName = "web-0", diskSize = 1048576, busType = "virtio", diskConditions = {},
        diskLocalPath = "/2000" },
      { diskName = "web-1", diskSize = 2097152, busType = "sata", diskConditions = {},
        diskLocalPath = "/2001" },
    }, w:status().diskImportStatus)
  end)

  it("keeps what an entry has, and gives each its own, by name", function()
    local entries = steps.entries({ digests = { sha1 = "aa" } })
    local w = steps.world({ status = { diskImportStatus = json.array({ entries[2],
      entries[1] }) } })
    disk_status.change(w.import, w.ctx, function() end)
    local list = w:status().diskImportStatus
    assert.equal("web-0", list[1].diskName)
    assert.same({ sha1 = "aa" }, list[1].digests)
    assert.equal("/r0", disk_status.of(w.import, { name = "web-0" }).diskRoute)
    assert.same({}, disk_status.of(w.import, { name = "other" }))
  end)

  it("changes a copy: what was there stays until the store has the new", function()
    local w = steps.world({ status = { diskImportStatus = steps.entries() } })
    local before = w.import.status.diskImportStatus[1]
    function w.ctx.record(fields)
      fields(w.import.status)
    end
    disk_status.change(w.import, w.ctx, function(entry)
      entry.diskRoute = nil
    end)
    assert.equal("/r0", before.diskRoute)
  end)

  it("sets conditions, with their times", function()
    local entry = {}
    local ctx = { now = function() return 1.8e9 end }
    disk_status.set(entry, ctx, "T", "True")
    assert.same({ { type = "T", status = "True", reason = "", message = "",
      lastTransitionTime = time.rfc3339(1.8e9), lastUpdateTime = time.rfc3339(1.8e9) } },
      entry.diskConditions)
    disk_status.set(entry, ctx, "T", "True", "R", "m")
    assert.equal("R", entry.diskConditions[1].reason)
    assert.equal("m", entry.diskConditions[1].message)
  end)

  it("names the file of a disk in scratch", function()
    assert.same({ kind = "ScratchFile", name = "web-0", diskID = "2000" },
      disk_status.file_entry({ id = "2000", name = "web-0" }))
  end)

  describe("ensure_routes", function()
    it("gives every disk a path that nobody can guess, once", function()
      local w = steps.world()
      disk_status.ensure_routes(w.import, w.ctx)
      local list = w:status().diskImportStatus
      assert.truthy(list[1].diskRoute:find("^/%x+/web%-0%.raw$"))
      assert.equal(32, #list[1].diskRoute:match("%x+"))
      assert.truthy(list[2].diskRoute:find("^/%x+/web%-1%.raw$"))
      assert.not_equal(list[1].diskRoute:match("%x+"), list[2].diskRoute:match("%x+"))
      disk_status.ensure_routes(w.import, w.ctx)
      assert.same(list, w:status().diskImportStatus)
    end)

    it("gives one to those that have none alone", function()
      local w = steps.world({ status = { diskImportStatus = steps.entries(nil,
        { diskRoute = json.null }) } })
      disk_status.ensure_routes(w.import, w.ctx)
      assert.equal("/r0", w:status().diskImportStatus[1].diskRoute)
      assert.truthy(w:status().diskImportStatus[2].diskRoute:find("web-1", 1, true))
    end)
  end)
end)
