-- Every fault of every call that changes the power, and every way of the clock.

local conditions = require "kube.conditions"
local errors = require "host.error"
local machine_of = require("support.machine").new
local standalone = require "support.standalone"
local vsphere = require "support.vsphere"

local world, run, import_of = standalone.world, standalone.run, standalone.import

-- As providers.vmware has them; without a code: of the transport.
local function fault(code)
  local session = vsphere.logged_in { ShutdownGuest = vsphere.fault(code, "",
    code == "NoPermission"
    and "<privilegeId>VirtualMachine.Interact.PowerOff</privilegeId>" or "") }
  return select(2, session:call("ShutdownGuest",
    { _this = { type = "VirtualMachine", value = "vm-1" } }))
end

local TRANSPORT = {
  ["status 503"] = errors.new("http", "HTTP status 503", { status = 503 }),
  ["a reset"] = errors.new("connect", "reset by peer"),
  ["a timeout"] = errors.new("timeout", "nothing for 60 s"),
}
local PASSING = { "TaskInProgress", "SystemError", "ConcurrentAccess", "InvalidState",
  "InvalidPowerState", "ToolsUnavailable", "HostCommunication", "HostNotConnected",
  "ResourceInUse", "Timedout", "QuestionPending", "MethodDisabled", "RequestCanceled" }
local FOR_GOOD = { "NoPermission", "RestrictedByAdministrator", "RestrictedVersion" }

local function off_condition(w, type)
  return conditions.find(import_of(w).status.importConditions, type) or {}
end

local function with_events(w)
  w.events = {}
  w.env.event = function(_, _, reason, note)
    w.events[#w.events + 1] = reason .. ": " .. note
  end
  w.said = {}
  w.env.observer = { working = function(_, _, message)
    w.said[#w.said + 1] = message
  end }
  return w
end

local function all(opts)
  opts.power, opts.tick = opts.power or "on", opts.tick or 6
  return with_events(world(opts))
end

describe("power_off", function()
  for what, err in pairs(TRANSPORT) do
    it("asks the guest again after " .. what .. ", and cuts nothing", function()
      local w = all({ shutdown_errors = { err, err } })
      run(w)
      assert.equal(3, w.source.asked)
      assert.equal(0, w.source.cut)
      assert.equal("True", standalone.condition(w, "Ready").status)
    end)

    it("cuts nothing when there was nothing but " .. what, function()
      local w = all({ shutdown_errors = { err }, same_always = true })
      run(w, 3)
      assert.equal("on", w.source.power)
      assert.equal(0, w.source.cut)
    end)

    it("looks again after " .. what, function()
      local w = all({ shutdown_errors = {} })
      function w.source:power_state()
        self.looks = (self.looks or 0) + 1
        if self.looks == 2 or self.looks == 4 then
          return nil, err
        end
        return self.power
      end
      run(w)
      assert.equal(0, w.source.cut)
      assert.equal("True", standalone.condition(w, "Ready").status)
    end)

    it("cuts the power again after " .. what, function()
      local w = all({ spec = { forcePowerOff = true }, power_off_errors = { err, err } })
      run(w)
      assert.equal(1, w.source.cut)
      assert.equal("True", standalone.condition(w, "Ready").status)
    end)
  end

  for _, code in ipairs(PASSING) do
    it("asks the guest again after " .. code, function()
      local w = all({ shutdown_errors = { fault(code), fault(code) } })
      run(w)
      assert.equal(3, w.source.asked)
      assert.equal(0, w.source.cut)
    end)

    it("cuts the power, and says so, after nothing but " .. code, function()
      local w = all({ shutdown_errors = { fault(code) }, same_always = true })
      run(w)
      assert.equal(1, w.source.cut)
      assert.is_true(w.uptime >= 1060)
      assert.truthy(off_condition(w, "VMPoweringOff").message:find("cannot be asked", 1, true))
      assert.truthy(table.concat(w.events, "\n"):find("PowerCut: the power of web 01", 1, true))
      assert.truthy(table.concat(w.said, "\n"):find("the power of web 01 is cut", 1, true))
    end)

    it("cuts the power again after " .. code, function()
      local w = all({ spec = { forcePowerOff = true },
        power_off_errors = { fault(code), fault(code) } })
      run(w)
      assert.equal(1, w.source.cut)
      assert.equal("True", standalone.condition(w, "Ready").status)
    end)
  end

  for _, code in ipairs(FOR_GOOD) do
    it("fails, and cuts nothing, when the guest may not be asked: " .. code, function()
      local w = all({ shutdown_errors = { fault(code) }, same_always = true })
      run(w)
      assert.equal("VMMigrationFailed", import_of(w).status.importStatus)
      assert.equal("on", w.source.power)
      if code == "NoPermission" then
        assert.truthy(standalone.condition(w, "Stalled").message:find(
          "VirtualMachine.Interact.PowerOff", 1, true))
      end
    end)

    it("fails when the power may not be cut: " .. code, function()
      local w = all({ spec = { forcePowerOff = true }, power_off_errors = { fault(code) } })
      run(w)
      assert.equal("VMMigrationFailed", import_of(w).status.importStatus)
      assert.equal("on", w.source.power)
    end)
  end

  it("cuts at once where preflight has said that no guest can be asked", function()
    local machine = machine_of()
    machine.guest.tools_running = false
    local w = all({ machine = { guest = machine.guest }, shutdown_errors = {
      fault("ToolsUnavailable") }, same_always = true })
    run(w)
    assert.equal(1, w.source.cut)
    assert.is_true(w.uptime <= 1030)
    assert.truthy(table.concat(w.events, "\n"):find("PowerCut", 1, true))
  end)

  it("says of every cut that it is one", function()
    for _, opts in ipairs { { spec = { forcePowerOff = true } }, { deaf = true } } do
      local w = all(opts)
      run(w)
      assert.equal("PowerCut", off_condition(w, "VMPoweringOff").reason)
      assert.truthy(table.concat(w.events, "\n"):find("PowerCut", 1, true))
      assert.truthy(table.concat(w.said, "\n"):find("is cut", 1, true))
    end
  end)

  for what, jump in pairs { ["an hour ahead"] = 3600, ["an hour back"] = -3600 } do
    it("gives the guest its time when the wall clock goes " .. what, function()
      local w = all({ deaf = true, spec = { gracefulShutdownTimeoutSeconds = 30 } })
      function w.source:shutdown_guest()
        self.asked = self.asked + 1
        w.clock = w.clock + jump
        return true
      end
      run(w)
      assert.equal(1, w.source.cut)
      assert.is_true(w.uptime >= 1030 and w.uptime <= 1060, tostring(w.uptime))
    end)

    it("asks anew when a run was interrupted and the clock went " .. what, function()
      local w = all({ deaf = true })
      function w.source:shutdown_guest()
        self.asked = self.asked + 1
        if self.asked == 1 then
          error(errors.new("cancelled", "interrupted"), 0)
        end
        self.power = "off"
        return true
      end
      run(w, 3)
      w.store:patch("VirtualMachineImport", "default", "web", { status = {
        importConditions = conditions.set(import_of(w).status.importConditions, {
          type = "VMShutdownGuest", status = "True", reason = "GuestAsked" },
          "2026-01-01T00:00:00Z") } }, { status = true })
      w.clock = w.clock + jump
      run(w)
      assert.equal(2, w.source.asked)
      assert.equal(0, w.source.cut)
    end)
  end

  it("says after a failure that the source stays off", function()
    local w = all({ export_error = errors.new("denied", "no export") })
    run(w)
    assert.truthy(standalone.condition(w, "Stalled").message:find(
      "web 01 (vm-1) was shut down for the import and stays off", 1, true))
    w = all({ power = "off", export_error = errors.new("denied", "no export") })
    run(w)
    assert.falsy(standalone.condition(w, "Stalled").message:find("stays off", 1, true))
  end)
end)
