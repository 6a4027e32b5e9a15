local errors = require "host.error"
local images = require "flows.import.steps.images"
local json = require "host.json"
local steps = require "support.steps"
local time = require "host.time"

local IMPORTING, READY = { phase = "importing" }, { phase = "ready" }
local FAILED = { phase = "failed", message = "it broke off" }

local function submitted(name, more)
  local entry = { VirtualMachineImage = name }
  for key, value in pairs(more or {}) do
    entry[key] = value
  end
  return entry
end

local function world(state, entries, opts)
  opts = opts or {}
  opts.status = opts.status or {}
  opts.status.importStatus = state
  opts.status.diskImportStatus = entries
  return steps.world(opts)
end

-- Both images were asked for.
local function waiting(opts)
  return world("diskImageSubmitted",
    steps.entries(submitted("web-0-img"), submitted("web-1-img")), opts)
end

local function names(list)
  local result = {}
  for i, object in ipairs(list) do
    result[i] = object.metadata.name
  end
  return result
end

describe("flows.import.steps.images: of disks that are here", function()
  it("makes the image of each that has none, and records it before", function()
    local w = world("disksExported", steps.entries(nil, steps.ready("web-1-img")))
    w.target.disks.whole = { ["2000"] = true }
    assert.equal("diskImageSubmitted", images.run(w.import, w.ctx))
    assert.same({ "web-0-img" }, names(w.target.made))
    assert.equal("http://svc/r0", w.target.made[1].spec.url)
    assert.same({ { apiVersion = "migration.harvesterhci.io/v1beta1",
      kind = "VirtualMachineImport", name = "web", uid = "1a2b3c4d-0000" } },
      w.target.made[1].metadata.ownerReferences)
    assert.same({ { kind = "VirtualMachineImage", name = "web-0-img", diskID = "2000" } },
      w:status().recorded)
    assert.same({ "publish web-0 /r0", "backend default", "put VirtualMachineImage web-0-img" },
      w.asked)
    assert.equal("web-0-img", w:status().diskImportStatus[1].VirtualMachineImage)
    assert.equal("True", w:disk_condition(1, "VirtualMachineImageSubmitted").status)
    assert.equal("False", w:disk_condition(1, "VirtualMachineImageFailed").status)
    assert.is_nil(w:disk_condition(2, "VirtualMachineImageSubmitted"))
  end)

  it("takes no image of another URL, which is deleted", function()
    local w = world("disksExported", steps.entries())
    w.target.found["web-0-img"] = { spec = { url = "http://other/r0" } }
    local err = w:fails(images.run)
    assert.equal("busy", err.kind)
    assert.truthy(err.message:find("web-0-img is of an earlier attempt", 1, true))
    assert.same({ "delete VirtualMachineImage default/web-0-img" }, w:asked_for("^delete"))
  end)

  it("is served, and one that is read meanwhile, or gone, is held", function()
    local w = world("disksExported", steps.entries())
    w.target.disks.whole = { ["2000"] = true }
    images.publish(w.import, w.ctx)
    assert.same({ "publish web-0 /r0", "hold web-1 /r1" }, w.asked)
  end)

  it("is served no longer once its image is there", function()
    local w = world("disksExported", steps.entries(steps.ready("web-0-img")))
    w.target.disks.whole = { ["2000"] = true, ["2001"] = true }
    images.publish(w.import, w.ctx)
    assert.same({ "publish web-1 /r1" }, w.asked)
  end)

  it("is held for whoever asks where it is passed on", function()
    local w = world("disksExported", steps.entries(),
      { status = { transfer = { mode = "Stream" } } })
    w.target.disks.whole = { ["2000"] = true, ["2001"] = true }
    images.publish(w.import, w.ctx)
    assert.same({ "hold web-0 /r0", "hold web-1 /r1" }, w.asked)
  end)

  it("gets a route before it is published", function()
    local w = world("disksExported")
    images.publish(w.import, w.ctx)
    local route = w:status().diskImportStatus[1].diskRoute
    assert.truthy(route:find("^/%x+/web%-0%.raw$"), route)
    assert.same({ "hold web-0 " .. route }, w:asked_for("web%-0"))
  end)

  it("has no image where the target knows none", function()
    local w = world("disksExported")
    w.target.can.images = false
    assert.is_nil(images.run(w.import, w.ctx))
    images.discard(w.import, w.ctx)
    assert.same({}, w.asked)
  end)
end)

describe("flows.import.steps.images: while Harvester downloads", function()
  it("waits for it, and says how far it is", function()
    local w = waiting()
    w.target.images = { ["web-0-img"] = { phase = "importing", progress = 43 },
      ["web-1-img"] = READY }
    assert.same({ wait = "ImagesImporting", after = 60, message = "image 1/2 43 %" },
      images.run(w.import, w.ctx))
    assert.equal("True", w:disk_condition(2, "VirtualMachineImageReady").status)
    assert.equal("Imported", w:disk_condition(2, "VirtualMachineImageReady").reason)
    assert.is_nil(w:disk_condition(1, "VirtualMachineImageReady"))
    assert.is_nil(w:disk_condition(1, "VirtualMachineImageFailed"))
  end)

  it("looks at what CDI does more often, and at the rest again", function()
    local w = waiting()
    w.target.images = { ["web-0-img"] = { phase = "importing", backend = "cdi" },
      ["web-1-img"] = IMPORTING }
    assert.equal(10, images.run(w.import, w.ctx).after)
  end)

  it("writes nothing while nothing has become of it", function()
    local w = waiting()
    w.target.images = { ["web-0-img"] = IMPORTING, ["web-1-img"] = IMPORTING }
    local before = #w.store.writes
    images.run(w.import, w.ctx)
    assert.equal(before, #w.store.writes)
  end)

  it("writes once what has become of it", function()
    local w = waiting()
    w.target.images = { ["web-0-img"] = READY, ["web-1-img"] = FAILED }
    local states = images.look(w.import, w.ctx)
    images.write_states(w.import, w.ctx, states)
    assert.equal("True", w:disk_condition(2, "VirtualMachineImageFailed").status)
    assert.equal("ImportFailed", w:disk_condition(2, "VirtualMachineImageFailed").reason)
    assert.equal("it broke off", w:disk_condition(2, "VirtualMachineImageFailed").message)
    local built
    function w.ctx.record() built = true end
    images.write_states(w.import, w.ctx, states)
    assert.is_nil(built)
  end)

  it("writes of those that it knows alone", function()
    local w = waiting()
    images.write_states(w.import, w.ctx, { ["2001"] = READY })
    assert.is_nil(w:disk_condition(1, "VirtualMachineImageReady"))
    assert.equal("True", w:disk_condition(2, "VirtualMachineImageReady").status)
  end)

  it("looks at those that are asked for alone", function()
    local w = waiting()
    w.target.images = { ["web-1-img"] = IMPORTING }
    assert.same({ ["2001"] = IMPORTING }, images.look(w.import, w.ctx, function(disk)
      return disk.id == "2001"
    end))
  end)

  it("lets go of all that they were made from when they are there", function()
    local w = waiting({ status = { recorded = json.array({
      { kind = "ScratchFile", name = "web-0", diskID = "2000" },
      { kind = "ScratchFile", name = "web-1", diskID = "2001" },
      { kind = "VirtualMachineImage", name = "web-0-img", diskID = "2000" } }) } })
    w.target.images = { ["web-0-img"] = READY, ["web-1-img"] = READY }
    assert.equal("diskImagesReady", images.run(w.import, w.ctx))
    assert.same({ "forget /r0", "forget /r1", "remove web-0", "remove web-1" },
      { table.unpack(w.asked, 3) })
    assert.same({ { kind = "VirtualMachineImage", name = "web-0-img", diskID = "2000" } },
      w:status().recorded)
  end)

  it("serves no image that is there already, and none that has failed", function()
    local w = waiting()
    w.target.images = { ["web-0-img"] = READY, ["web-1-img"] = IMPORTING }
    images.run(w.import, w.ctx)
    assert.same({ "forget /r0" }, w:asked_for("^forget"))
    images.run(w.import, w.ctx) -- and not once more
    assert.same({ "forget /r0" }, w:asked_for("^forget"))
    w.target.images["web-1-img"] = FAILED
    assert.equal("diskImageFailed", images.run(w.import, w.ctx).state)
    assert.same({ "forget /r0", "forget /r1" }, w:asked_for("^forget"))
  end)

  it("counts an attempt when one has failed", function()
    local w = waiting()
    w.target.images = { ["web-0-img"] = IMPORTING, ["web-1-img"] = FAILED }
    local at = time.rfc3339(w.clock + 5)
    assert.same({ state = "diskImageFailed", after = 5,
      message = "image web-1-img: it broke off; attempt 2 of 6 at " .. at,
      fields = { attempt = 1, nextAttemptTime = at } }, images.run(w.import, w.ctx))
  end)

  it("gives up after the last attempt", function()
    local w = waiting({ spec = { maxRetries = 1 }, status = { attempt = 1 } })
    w.target.images = { ["web-1-img"] = FAILED }
    local err = w:fails(images.run)
    assert.equal("ImageFailed", err.reason)
    assert.is_true(err.final)
    assert.equal("image web-0-img: the image was deleted; image web-1-img: it broke off; "
      .. "given up after 2 attempts", err.message)
  end)

  it("does not take for a failure what it cannot be told", function()
    local w = waiting()
    w.target.images = { ["web-0-img"] = errors.new("denied", "forbidden") }
    assert.equal("forbidden", w:fails(images.run).message)
  end)

  it("says nothing of what is not under way", function()
    local plan = { disks = { { id = "a" }, { id = "b" }, { id = "c" } } }
    assert.equal("image 1/3, image 3/3 50 % (slow)", images.describe(plan, {
      a = { phase = "importing", progress = "", message = "" }, b = READY,
      c = { phase = "importing", progress = 50, message = "slow" } }))
    assert.equal("", images.describe(plan, {}))
  end)
end)

describe("flows.import.steps.images: the checksum that Longhorn reports", function()
  local function look(state, sent, entry)
    local w = world("diskImageSubmitted", steps.entries(entry, submitted("web-1-img")))
    w.target.images = { ["web-0-img"] = state, ["web-1-img"] = IMPORTING }
    w.target.sent["/r0"] = sent
    return images.look(w.import, w.ctx)["2000"], w:asked_for("^delete")
  end

  it("is compared with the one of what was sent, and the image deleted", function()
    local state, asked = look({ phase = "ready", sha512 = "BB" }, { sha512 = "aa" })
    assert.equal("failed", state.phase)
    assert.equal("its SHA-512 is BB, of what was sent it is aa: the image was deleted",
      state.message)
    assert.same({ "delete VirtualMachineImage default/web-0-img" }, asked)
  end)

  for what, case in pairs {
    ["is the same, in capitals"] = { { phase = "ready", sha512 = "AA" }, { sha512 = "aa" } },
    ["is not there"] = { { phase = "ready" }, { sha512 = "aa" } },
    ["is of an image that is not whole"] = { { phase = "importing", sha512 = "bb" },
      { sha512 = "aa" } },
    ["can be compared with nothing"] = { { phase = "ready", sha512 = "bb" }, {} },
    ["can be compared with nothing after a restart"] = { { phase = "ready", sha512 = "bb" } },
    ["is of an image that was found good before"] = { { phase = "ready", sha512 = "bb" },
      { sha512 = "aa" }, steps.ready("web-0-img") },
    ["is of a disk without a route"] = { { phase = "ready", sha512 = "bb" }, { sha512 = "aa" },
      { diskRoute = json.null } },
  } do
    it(what .. ", and the image stays", function()
      local state, asked = look(table.unpack(case, 1, 3))
      assert.equal(case[1], state)
      assert.same({}, asked)
    end)
  end
end)

describe("flows.import.steps.images: when images have failed", function()
  local function failed(opts)
    return world("diskImageFailed",
      steps.entries(submitted("web-0-img"), submitted("web-1-img")), opts)
  end

  it("deletes those, when it is time, and makes them again", function()
    local w = failed()
    w.target.images = { ["web-0-img"] = IMPORTING, ["web-1-img"] = FAILED }
    assert.equal("diskImageSubmitted", images.run(w.import, w.ctx))
    assert.same({ "delete VirtualMachineImage default/web-1-img" }, w:asked_for("^delete"))
    assert.same({ "web-0-img", "web-1-img" }, names(w.target.made))
  end)

  it("waits for the time of the next attempt, and says again why", function()
    local w = failed({ status = { nextAttemptTime = time.rfc3339(1.8e9 + 7),
      conditions = json.array({ steps.is("Reconciling", "True", "R", "it broke off") }) } })
    w.target.images = { ["web-1-img"] = FAILED }
    assert.same({ wait = "DiskImageFailed", after = 7, message = "it broke off",
      trouble = true },
      images.run(w.import, w.ctx))
    assert.same({}, w.asked)
    w.clock = w.clock + 6
    assert.equal(1, images.run(w.import, w.ctx).after)
    w.clock = w.clock + 1
    assert.equal("diskImageSubmitted", images.run(w.import, w.ctx))
  end)

  it("waits no longer than it ever would, of a clock that was set back", function()
    local w = failed({ status = { nextAttemptTime = time.rfc3339(1.8e9 + 4000) } })
    assert.same({ wait = "DiskImageFailed", after = 300, message = "", trouble = true },
      images.run(w.import, w.ctx))
  end)

  it("does not wait for a time that is none", function()
    local w = failed({ status = { nextAttemptTime = "soon" } })
    assert.equal("diskImageSubmitted", images.run(w.import, w.ctx))
  end)

  it("waits until they are gone", function()
    local w = failed()
    w.target.images = { ["web-0-img"] = FAILED }
    w.target.stays["web-0-img"] = true
    assert.same({ wait = "DiskImageFailed", after = 5, trouble = true,
      message = "deleting the failed image web-0-img, to make it again" },
      images.run(w.import, w.ctx))
    w.target.delete_error = errors.new("denied", "used by web")
    assert.equal("deleting the failed image web-0-img, to make it again: used by web",
      images.run(w.import, w.ctx).message)
  end)

  it("deletes those whose disks still came, without counting, and says so", function()
    local w = world("sourceReady", steps.entries(submitted("web-0-img"), submitted("")))
    w.target.images = { ["web-0-img"] = FAILED, ["web-1-img"] = FAILED }
    assert.is_nil(images.delete_early(w.import, w.ctx))
    assert.same({ "delete VirtualMachineImage default/web-0-img" }, w.asked)
    assert.equal("image web-0-img, while its disk still came: it broke off",
      w:event("DiskImageFailed").note)
    assert.equal("Warning", w:event("DiskImageFailed").type)
  end)

  it("leaves early those that are there, come, or were never asked for", function()
    local w = world("sourceReady", steps.entries(steps.ready("web-0-img"),
      submitted("web-1-img")))
    w.target.images = { ["web-0-img"] = FAILED, ["web-1-img"] = IMPORTING }
    assert.is_nil(images.delete_early(w.import, w.ctx))
    assert.same({}, w.asked)
  end)

  it("waits for early ones until they are gone", function()
    local w = world("sourceReady", steps.entries(submitted("web-0-img")))
    w.target.images = { ["web-0-img"] = FAILED }
    w.target.stays["web-0-img"] = true
    assert.equal(5, images.delete_early(w.import, w.ctx).after)
  end)
end)

describe("flows.import.steps.images: when what was sent was wrong", function()
  it("gives up the image and its route, of this disk alone", function()
    local w = world("diskImageSubmitted", steps.entries(
      submitted("web-0-img", { digests = { sha1 = "aa" } }),
      submitted("web-1-img", { digests = { sha1 = "bb" } })))
    images.give_up(w.import, w.ctx, w.import.status.plan.disks[1])
    local first, second = table.unpack(w:status().diskImportStatus)
    assert.is_nil(first.VirtualMachineImage or first.diskRoute or first.digests)
    assert.equal("False", w:disk_condition(1, "VirtualMachineImageReady").status)
    assert.equal("ImageGone", w:disk_condition(1, "VirtualMachineImageReady").reason)
    assert.equal("/r1", second.diskRoute)
    assert.same({ sha1 = "bb" }, second.digests)
    assert.same({ "forget /r0", "delete VirtualMachineImage default/web-0-img" }, w.asked)
  end)

  it("deletes it by its own name where there is no route", function()
    local w = world("diskImageSubmitted", steps.entries({ diskRoute = json.null,
      VirtualMachineImage = "another" }))
    images.give_up(w.import, w.ctx, w.import.status.plan.disks[1])
    assert.same({ "delete VirtualMachineImage default/another" }, w.asked)
  end)

  it("deletes all of them when they are of an older state", function()
    local w = world("sourceReady", steps.entries(steps.ready("web-0-img")))
    images.discard(w.import, w.ctx)
    assert.same({ "delete VirtualMachineImage default/web-0-img",
      "delete VirtualMachineImage default/web-1-img" }, w.asked)
    assert.equal("False", w:disk_condition(1, "VirtualMachineImageReady").status)
  end)

  it("does not go on until they are gone", function()
    local w = world("sourceReady", steps.entries(steps.ready("web-0-img")))
    w.target.stays["web-0-img"] = true
    local err = w:fails(images.discard)
    assert.equal("busy", err.kind)
    assert.equal(5, err.after)
    assert.equal("VirtualMachineImage web-0-img is of an older state of the machine: it is "
      .. "being deleted", err.message)
    w.target.delete_error = errors.new("denied", "used by web")
    assert.equal("used by web", w:fails(images.discard).message)
  end)
end)

describe("flows.import.steps.images: an image that is ready", function()
  local function verified(state)
    local ready = steps.ready("web-0-img")
    ready.digests = { sha1 = "aa" }
    local w = world("diskImageSubmitted", steps.entries(ready,
      submitted("web-1-img", { digests = { sha1 = "bb" } })))
    w.target.images = { ["web-0-img"] = state }
    local before = #w.store.writes
    images.verify(w.import, w.ctx)
    return w, #w.store.writes - before
  end

  it("stays so while it is there", function()
    local w = verified(READY)
    assert.equal("web-0-img", w:status().diskImportStatus[1].VirtualMachineImage)
    assert.equal("True", w:disk_condition(1, "VirtualMachineImageReady").status)
  end)

  for what, state in pairs { ["is gone"] = false, ["is no longer"] = IMPORTING } do
    it("is made again when it " .. what, function()
      local w = verified(state or nil)
      local first, second = table.unpack(w:status().diskImportStatus)
      assert.is_nil(first.VirtualMachineImage or first.digests)
      assert.equal("False", w:disk_condition(1, "VirtualMachineImageReady").status)
      assert.equal("the image is not there any more",
        w:disk_condition(1, "VirtualMachineImageReady").message)
      assert.equal("web-1-img", second.VirtualMachineImage)
      assert.same({ sha1 = "bb" }, second.digests)
    end)
  end

  it("is not taken for gone by who cannot be told", function()
    local ok, problem = pcall(verified, errors.new("connect", "refused"))
    assert.is_false(ok)
    assert.equal("connect", problem.kind)
  end)

  it("writes nothing where none was", function()
    local w = world("diskImageSubmitted", steps.entries(submitted("web-0-img")))
    local written
    function w.ctx.record() written = true end
    images.verify(w.import, w.ctx)
    assert.is_nil(written)
  end)
end)
