local admit = require "flows.import.steps.admit"
local errors = require "host.error"
local steps = require "support.steps"

describe("flows.import.steps.admit", function()
  local function world(opts, source)
    local w = steps.world(opts)
    if source ~= false then
      w.store:create("VmwareSource", { metadata = { name = "vc", namespace = "default" } })
      w.store:patch("VmwareSource", "default", "vc",
        { status = { status = source or "clusterReady" } }, { status = true })
    end
    return w
  end

  local function waits(w, reason, after, message, trouble)
    assert.same({ wait = reason, after = after, message = message, trouble = trouble },
      admit.run(w.import, w.ctx))
  end

  it("lets it begin, having asked for room", function()
    local w = world()
    assert.equal("sourceReady", admit.run(w.import, w.ctx))
    assert.same({ "room_problem nil" }, w.asked)
  end)

  it("rests there where it is a dry run, without looking at anything", function()
    local w = world({ spec = { dryRun = true } }, false)
    local outcome = admit.run(w.import, w.ctx)
    assert.equal("DryRun", outcome.rest)
    assert.truthy(outcome.message:find("status.findings and status.plan", 1, true))
    assert.same({}, w.asked)
  end)

  it("waits for a source that is not there", function()
    waits(world({}, false), "SourceNotReady", 30,
      "waiting for VmwareSource default/vc: it does not exist", true)
  end)

  it("waits for a source that is not ready", function()
    local w = world({}, "clusterNotReady")
    waits(w, "SourceNotReady", 30, "waiting for VmwareSource default/vc: it is not clusterReady",
      true)
    w.store:patch("VmwareSource", "default", "vc", { status = { status = false } },
      { status = true })
    assert.equal("SourceNotReady", admit.run(w.import, w.ctx).wait)
  end)

  it("waits for a source that nobody has looked at yet", function()
    local w = world({}, false)
    w.store:create("VmwareSource", { metadata = { name = "vc", namespace = "default" } })
    assert.equal("SourceNotReady", admit.run(w.import, w.ctx).wait)
  end)

  it("throws what is no answer", function()
    local w = world()
    function w.store.get() return nil, errors.new("connect", "refused") end
    assert.equal("connect", w:fails(admit.run).kind)
  end)

  it("waits for room, while the source still runs", function()
    local w = world({ spec = { skipPreflightChecks = true } })
    w.target.no_room = { code = "NoRoomOnClass", message = "full", action = "make room" }
    waits(w, "NoRoomOnClass", 30, "full: make room; the source is not touched until then",
      true)
    assert.same({ "room_problem true" }, w.asked)
  end)

  it("asks nobody for room where no machine will run", function()
    local w = world()
    w.target.room_problem, w.target.can = nil, { images = false, run = false }
    assert.equal("sourceReady", admit.run(w.import, w.ctx))
  end)

  it("waits for a place under the limits", function()
    local w = world()
    w.env.take_place = function(import)
      assert.equal("web", import.metadata.name)
      return false, "2 others move disks"
    end
    waits(w, "WaitingForPlace", 300, "2 others move disks")
    w.env.take_place = function() return true end
    assert.equal("sourceReady", admit.run(w.import, w.ctx))
  end)
end)
