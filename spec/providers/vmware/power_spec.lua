local errors = require "host.error"
local power = require "providers.vmware.power"
local vsphere = require "support.vsphere"

local OPTS = { poll = 0.001, task_timeout = 5, lost_answer = 5 }

-- An answer with the machine's power state.
local function state(value)
  return vsphere.objects {
    { type = "VirtualMachine", value = "vm-79",
      props = { ["runtime.powerState"] = value } },
  }
end

local function running()
  return vsphere.data("task_success", { [">success<"] = ">running<" })
end

describe("power.off", function()
  it("waits until vSphere's task has ended", function()
    local session, fake = vsphere.logged_in {
      PowerOffVM_Task = vsphere.data("power_off"),
      RetrievePropertiesEx = { running(), running(), vsphere.data("task_success") },
    }
    assert.is_true(power.off(session, "vm-79", OPTS))
    assert.equal(3, fake.count.RetrievePropertiesEx)
  end)

  it("takes a machine that is off already for success, by fault or by task", function()
    local session = vsphere.logged_in { PowerOffVM_Task = vsphere.data("shutdown_off") }
    assert.is_true(power.off(session, "vm-79", OPTS))
    local task_error = vsphere.data("task_success", {
      [">success<"] = ">error<",
      ["<cancelled>"] = '<error><fault xsi:type="InvalidPowerState">'
        .. "<requestedState>poweredOff</requestedState>"
        .. "<existingState>poweredOff</existingState></fault>"
        .. "<localizedMessage>*types.InvalidPowerState</localizedMessage></error>"
        .. "<cancelled>",
    })
    session = vsphere.logged_in {
      PowerOffVM_Task = vsphere.data("power_off"), RetrievePropertiesEx = task_error,
    }
    assert.is_true(power.off(session, "vm-79", OPTS))
  end)

  it("looks at the machine when the answer got lost, and does not ask twice", function()
    local session, fake = vsphere.logged_in {
      PowerOffVM_Task = errors.new("connect", "reset by peer"),
      RetrievePropertiesEx = { state("poweredOn"), state("poweredOff") },
    }
    assert.is_true(power.off(session, "vm-79", OPTS))
    assert.equal(1, fake.count.PowerOffVM_Task)
  end)

  it("gives up when the call cannot have arrived", function()
    local session = vsphere.logged_in {
      PowerOffVM_Task = errors.new("connect", "refused"),
      RetrievePropertiesEx = state("poweredOn"),
    }
    local ok, err = power.off(session, "vm-79",
      { poll = 0.001, task_timeout = 5, lost_answer = 0.005 })
    assert.is_nil(ok)
    assert.equal("connect", err.kind)
  end)

  it("says what went wrong when it is still on", function()
    local session = vsphere.logged_in {
      PowerOffVM_Task = vsphere.fault("NoPermission", "",
        "<privilegeId>VirtualMachine.Interact.PowerOff</privilegeId>"),
      RetrievePropertiesEx = state("poweredOn"),
    }
    local ok, err = power.off(session, "vm-79", OPTS)
    assert.is_nil(ok)
    assert.equal("denied", err.kind)
    assert.truthy(err.message:find("VirtualMachine.Interact.PowerOff", 1, true))
  end)

  it("does not wait for ever", function()
    local session = vsphere.logged_in {
      PowerOffVM_Task = vsphere.data("power_off"),
      RetrievePropertiesEx = function(body)
        return body:find(">Task<", 1, true) and running() or state("poweredOn")
      end,
    }
    local ok, err = power.off(session, "vm-79", { poll = 0.001, task_timeout = 0.01 })
    assert.is_nil(ok)
    assert.equal("timeout", err.kind)
  end)
end)

describe("power.shutdown_guest", function()
  it("is content with a machine that is off", function()
    local session = vsphere.logged_in { ShutdownGuest = vsphere.data("shutdown_off") }
    assert.is_true(power.shutdown_guest(session, "vm-79"))
  end)

  it("says that the tools are missing", function()
    local session = vsphere.logged_in {
      ShutdownGuest = vsphere.fault("ToolsUnavailable") }
    local ok, err = power.shutdown_guest(session, "vm-79")
    assert.is_nil(ok)
    assert.equal("ToolsUnavailable", err.code)
    assert.truthy(err.message:find("VMware Tools", 1, true))
  end)
end)

describe("power.shutdown_guest, of which nobody knows whether it arrived,", function()
  local function shut_down(err, is)
    local session = vsphere.logged_in { ShutdownGuest = err,
      RetrievePropertiesEx = state(is) }
    return power.shutdown_guest(session, "vm-79")
  end

  it("looks at the machine", function()
    for _, answer in ipairs { errors.new("connect", "reset by peer"),
      vsphere.fault("InvalidPowerState") } do
      assert.is_true(shut_down(answer, "poweredOff"))
      local ok, err = shut_down(answer, "poweredOn")
      assert.is_nil(ok)
      assert.truthy(err.kind)
    end
  end)

  it("believes a fault that says something else", function()
    local ok, err = shut_down(vsphere.fault("NoPermission"), "poweredOff")
    assert.is_nil(ok)
    assert.equal("denied", err.kind)
  end)
end)

describe("power.state", function()
  it("knows three", function()
    for value, word in pairs {
      poweredOn = "on", poweredOff = "off", suspended = "suspended",
    } do
      local session = vsphere.logged_in { RetrievePropertiesEx = state(value) }
      assert.equal(word, power.state(session, "vm-79"))
    end
  end)

  it("says denied when it may not see it", function()
    local session = vsphere.logged_in {
      RetrievePropertiesEx = vsphere.data("unknown_property"),
    }
    local _, err = power.state(session, "vm-79")
    assert.equal("denied", err.kind)
  end)
end)
