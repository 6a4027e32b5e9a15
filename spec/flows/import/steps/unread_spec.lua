local errors = require "host.error"
local steps = require "support.steps"
local unread = require "flows.import.steps.unread"

local NOW = 1.8e9
local SAID = "nobody reads it: Harvester was asked to look at the image again"

-- The first disk's image and its route, and who has asked for it.
local function world(sent)
  local w = steps.world({ status = { importStatus = "diskImageSubmitted",
    diskImportStatus = steps.entries({ VirtualMachineImage = "web-0-img", diskRoute = "/r0" }) } })
  w.target.sent["/r0"] = sent
  return w
end

local function look(w, state)
  return unread.look(w.import, w.ctx, w.import.status.plan.disks[1], state)
end

local function importing(created, looked_again)
  return { phase = "importing", created = NOW + created,
    looked_again = looked_again and NOW + looked_again }
end

local NOBODY = { active = 0, full_reads = 0, requests = 1, bytes = 0 }

describe("flows.import.steps.unread: an image that nobody reads", function()
  it("is brought back to Harvester's controller once a minute, and that is said", function()
    local w = world(NOBODY)
    assert.equal(SAID, look(w, importing(-60)).message)
    assert.same({ "look_again default/web-0-img" }, w.asked)
    assert.equal(SAID, look(w, importing(-110, -50)).message)
    assert.equal(1, #w.asked)
    look(w, importing(-120, -60))
    assert.equal(2, #w.asked)
  end)

  it("has a minute from the start, unless the clock is set", function()
    local w = world(NOBODY)
    assert.is_nil(look(w, importing(-59)).message)
    assert.same({}, w.asked)
    look(w, importing(3600))
    assert.equal(1, #w.asked)
  end)

  it("keeps what Harvester says", function()
    local state = importing(-60)
    state.message = "retry 1/2: EOF"
    assert.equal("retry 1/2: EOF", look(world(NOBODY), state).message)
  end)

  it("is not said of one that was read whole, which Longhorn still works on", function()
    local w = world({ active = 0, full_reads = 1 })
    assert.is_nil(look(w, importing(-60)).message)
    assert.equal(1, #w.asked)
  end)

  it("is made again when Longhorn has all of it, and Harvester does not see that", function()
    for _, sent in ipairs { NOBODY, { active = 0, full_reads = 1 } } do
      local w = world(sent)
      w.target.whole_at = NOW - 60
      local state = look(w, importing(-120, -60))
      assert.equal("failed", state.phase)
      assert.equal("Longhorn has all of it, and Harvester has taken no note of that for 60 s: "
        .. "the image was deleted", state.message)
      assert.same({ "delete VirtualMachineImage default/web-0-img" }, w.asked)
    end
  end)

  it("is left to Harvester for a minute once Longhorn has all of it", function()
    local w = world(NOBODY)
    w.target.whole_at = NOW - 59
    assert.equal("importing", look(w, importing(-120, -60)).phase)
    assert.same({ "look_again default/web-0-img" }, w.asked)
  end)

  it("is none while somebody reads, before it has a route, once it has ended", function()
    for _, case in ipairs { { { active = 1, full_reads = 0 }, importing(-600) },
      { nil, importing(-600) }, { NOBODY, { phase = "ready", created = 1 } },
      { NOBODY, { phase = "failed", created = 1 } }, { NOBODY, { phase = "importing" } } } do
      local w = world(case[1])
      assert.is_nil(look(w, case[2]).message)
      assert.same({}, w.asked)
    end
  end)

  it("is asked about again at the next look where that was refused", function()
    local w = world(NOBODY)
    w.target.look_error = errors.new("denied", "no patch")
    assert.is_nil(look(w, importing(-60)).message)
    look(w, importing(-61))
    assert.equal(2, #w.asked)
  end)
end)
