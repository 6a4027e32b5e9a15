local errors = require "host.error"
local json = require "host.json"
local last_look = require "flows.import.steps.last_look"
local moment = require "flows.import.moment"
local steps = require "support.steps"

describe("flows.import.steps.last_look", function()
  -- Its disks are of the state that the machine is in.
  local function world(opts)
    local w = steps.world(opts)
    moment.settle(w.import, w.ctx, w.source)
    w.asked = {}
    return w
  end

  it("goes on when the machine is off, and its disks are of that moment", function()
    local w = world()
    assert.is_nil(last_look.run(w.import, w.ctx))
    assert.same({ "open_source VmwareSource default/vc" }, w.asked)
  end)

  it("waits in a cluster while it runs there", function()
    local w = world({ power = "on" })
    local outcome = last_look.run(w.import, w.ctx)
    assert.equal("SourceRunning", outcome.wait)
    assert.equal(30, outcome.after)
    assert.equal("web 01 is running again at its source: the copy would be a second one of "
      .. "it, and lack what it writes; shut it down there, and its disks are fetched again, "
      .. "or delete the import", outcome.message)
    assert.equal("Warning", outcome.event)
  end)

  it("says in which state it is, when it does not run and is not off", function()
    local w = world({ power = "suspended" })
    assert.truthy(last_look.run(w.import, w.ctx).message:find("web 01 is suspended at", 1, true))
  end)

  it("fails in a directory while it runs there", function()
    local w = world({ power = "on" })
    w.target.can.run = false
    local err = w:fails(last_look.run)
    assert.equal("SourceRunning", err.reason)
    assert.is_true(err.final)
    assert.truthy(err.message:find("shut it down there and run this again", 1, true))
  end)

  it("fetches its disks again when it was on meanwhile", function()
    local w = world()
    w.source.epoch = "2"
    local outcome = last_look.run(w.import, w.ctx)
    assert.equal("sourceReady", outcome.state)
    assert.truthy(outcome.message:find("all of its disks are fetched again", 1, true))
    assert.is_nil(w:status().sourceStamp)
  end)

  it("goes on when it does not exist there any more, and says so", function()
    local w = world({ state_errors = { errors.new("gone", "no such machine") } })
    w.source.epoch = "2"
    assert.is_nil(last_look.run(w.import, w.ctx))
    assert.equal("web 01 does not exist at its source any more; the copy is made of what "
      .. "was fetched", w:event("SourceGone").note)
  end)

  it("throws what is no answer", function()
    local w = world({ state_errors = { errors.new("timeout", "too slow") } })
    assert.equal("timeout", w:fails(last_look.run).kind)
  end)

  it("waits for a source that was deleted", function()
    local w = world()
    w.open_error = errors.new("notfound", "no source vc", { reason = "SourceNotFound" })
    local err = w:fails(last_look.run)
    assert.equal("SourceNotFound", err.waits)
    assert.equal(30, err.after)
    assert.truthy(err.message:find("no source vc; create it again", 1, true))
    w.target.can.run = false
    assert.is_nil(w:fails(last_look.run).waits)
    w.open_error = errors.new("connect", "refused")
    w.target.can.run = true
    assert.equal(w.open_error, w:fails(last_look.run))
  end)

  describe("of a machine that was recorded", function()
    local function made(machine, err)
      local w = world({ power = "on", status = { recorded = json.array({
        { kind = "DataVolume", name = "web-0" }, { kind = "VirtualMachine", name = "web-01" },
      }) } })
      w.target.machine, w.target.machine_error = machine, err
      return w
    end

    it("does not look again when it is made", function()
      local w = made({ message = "Starting" })
      assert.is_nil(last_look.run(w.import, w.ctx))
      assert.same({}, w.asked)
    end)

    it("looks when it is not", function()
      local w = made()
      assert.equal("SourceRunning", last_look.run(w.import, w.ctx).wait)
    end)

    it("throws what is no answer", function()
      assert.equal("refused", made(nil, errors.new("connect", "refused")):fails(
        last_look.run).message)
    end)

    it("looks where no machine is ever made", function()
      local w = made({ message = "Starting" })
      w.target.can.run = false
      assert.equal("SourceRunning", w:fails(last_look.run).reason)
    end)
  end)
end)
