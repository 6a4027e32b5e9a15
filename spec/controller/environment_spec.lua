local cluster = require "support.cluster"
local contract = require "flows.environment"
local environment = require "controller.environment"
local journal = require "kube.journal"

local function with(opts)
  local made = environment.new({ client = cluster.new(), target = {}, sessions = opts.sessions,
    events = opts.events, options = { max_imports = 1, max_per_source = 1 },
    journal = journal.new(false), wake = opts.wake })
  return made:of({ hook = function() end, hash = "0123", code = {
    require = function()
      return { of = function(kind)
        return kind == "VmwareSource" and {} or nil
      end }
    end } })
end

describe("controller.environment", function()
  it("is what flows expect, and nothing else", function()
    assert.is_true(contract.check(with({})))
  end)

  it("passes on which source is to be opened, and whether anew", function()
    local asked
    local env = with({ sessions = { open = function(_, ref, opts)
      asked = { ref, opts.fresh }
      return "source"
    end } })
    assert.equal("source", env.open_source("ref", { fresh = true }))
    assert.same({ "ref", true }, asked)
    env.open_source("ref")
    assert.same({ "ref" }, asked)
  end)

  it("says which kinds there is a provider for", function()
    assert.is_true(with({}).supports("VmwareSource"))
    assert.is_false(with({}).supports("OvaSource"))
  end)

  it("lets no more imports move than there are places for", function()
    local env = with({})
    local function import(name)
      return { metadata = { namespace = "n", name = name, uid = name },
        spec = { sourceCluster = { kind = "VmwareSource", name = "vc" } } }
    end
    assert.is_true((env.take_place(import("a"))))
    assert.is_false((env.take_place(import("b"))))
  end)

  it("wakes who is next when somebody is slow", function()
    local woken
    local env = with({ wake = function(keys)
      woken = keys
    end })
    local function import(name)
      return { metadata = { namespace = "n", name = name, uid = name },
        spec = { sourceCluster = { kind = "VmwareSource", name = name } } }
    end
    env.take_place(import("a"))
    env.take_place(import("b"))
    env.slow_place(import("a"), true)
    assert.same({ { kind = "VirtualMachineImport", namespace = "n", name = "b" } }, woken)
    assert.is_true((env.take_place(import("b"))))
  end)

  it("wakes who is next when a place is left", function()
    local woken
    local env = with({ wake = function(keys)
      woken = keys
    end })
    local function import(name)
      return { metadata = { namespace = "n", name = name, uid = name },
        spec = { sourceCluster = { kind = "VmwareSource", name = "vc" } } }
    end
    env.take_place(import("a"))
    env.take_place(import("b"))
    env.leave_place(import("a"))
    assert.same({ { kind = "VirtualMachineImport", namespace = "n", name = "b" } }, woken)
    assert.is_true((env.take_place(import("b"))))
  end)
end)
