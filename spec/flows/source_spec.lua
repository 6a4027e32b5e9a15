local cluster = require "support.cluster"
local conditions = require "kube.conditions"
local errors = require "host.error"
local flow = require "flows.source"

local KEY = { kind = "VmwareSource", namespace = "default", name = "vc" }

-- A VmwareSource and what opening it gives.
local function world(status)
  local w = { store = cluster.new(), opened = 0, given_back = 0, clock = 1.8e9 }
  w.env = {
    store = w.store,
    now = function()
      return w.clock
    end,
    open_source = function()
      w.opened = w.opened + 1
      if w.err then
        return nil, w.err
      end
      return setmetatable({ certificate = w.certificate }, { __close = function()
        w.given_back = w.given_back + 1
      end })
    end,
  }
  w.store:create("VmwareSource", { metadata = { name = "vc", namespace = "default" },
    spec = { endpoint = "https://vc/sdk" } })
  if status then
    w.store:patch("VmwareSource", "default", "vc", { status = status }, { status = true })
  end
  return w
end

local function status(w)
  return w.store:get("VmwareSource", "default", "vc").status
end

local function condition(w, type)
  return conditions.find(status(w).conditions, type)
end

describe("flows.source", function()
  it("is ready when it could log in, and looks again later", function()
    local w = world()
    w.certificate = { fingerprint = "AA:BB", trusted = true }
    local result = flow.reconcile(KEY, w.env)
    assert.is_true(result.after > 0)
    assert.equal("clusterReady", status(w).status)
    assert.equal("AA:BB", status(w).certificateFingerprint)
    assert.equal("True", condition(w, "Ready").status)
    assert.equal("True", condition(w, "ClusterReady").status)
    assert.equal("False", condition(w, "ClusterError").status)
    assert.equal("False", condition(w, "Stalled").status)
    assert.equal(1, condition(w, "Ready").observedGeneration)
    assert.equal(1, w.given_back)
  end)

  it("says why not, by kind, and looks again sooner", function()
    local ready = flow.reconcile(KEY, world().env).after
    for kind, reason in pairs { denied = "LoginFailed", tls = "CertificateNotTrusted",
      dns = "NameNotResolved", connect = "NotReachable", timeout = "NotReachable",
      notfound = "NotFound", unsupported = "NotSupported", io = "Failed" } do
      local w = world()
      w.err = errors.new(kind, "because of " .. kind)
      local result = flow.reconcile(KEY, w.env)
      assert.is_true(result.after < ready)
      assert.equal("clusterNotReady", status(w).status)
      assert.equal("False", condition(w, "Ready").status)
      assert.equal(reason, condition(w, "Stalled").reason)
      assert.equal("because of " .. kind, condition(w, "Stalled").message)
      assert.equal("True", condition(w, "ClusterError").status)
    end
  end)

  it("says so where it fails itself, and leaves a cancelled look alone", function()
    local w = world()
    w.env.open_source = function()
      error("a nil value")
    end
    assert.is_false(pcall(flow.reconcile, KEY, w.env))
    assert.equal("Internal", condition(w, "Stalled").reason)
    assert.truthy(condition(w, "Stalled").message:find("a nil value", 1, true))
    w = world()
    w.env.open_source = function()
      error(errors.new("cancelled", "stopping"))
    end
    assert.is_false(pcall(flow.reconcile, KEY, w.env))
    assert.is_nil(status(w))
  end)

  it("lets the provider name the reason", function()
    local w = world()
    w.err = errors.new("tls", "changed", { code = "CertificateChanged" })
    flow.reconcile(KEY, w.env)
    assert.equal("CertificateChanged", condition(w, "Ready").reason)
  end)

  it("keeps the fingerprint that was pinned while the source cannot be reached", function()
    local w = world({ certificateFingerprint = "AA:BB" })
    w.err = errors.new("connect", "refused")
    flow.reconcile(KEY, w.env)
    assert.equal("AA:BB", status(w).certificateFingerprint)
  end)

  it("becomes ready again, and moves the time of change only when something changed",
    function()
      local w = world()
      w.err = errors.new("connect", "refused")
      flow.reconcile(KEY, w.env)
      local first = condition(w, "Ready").lastTransitionTime
      w.clock = w.clock + 60
      flow.reconcile(KEY, w.env)
      assert.equal(first, condition(w, "Ready").lastTransitionTime)
      w.err = nil
      flow.reconcile(KEY, w.env)
      assert.equal("clusterReady", status(w).status)
      assert.not_equal(first, condition(w, "Ready").lastTransitionTime)
    end)

  it("leaves a kind without a provider as it was, but for a condition", function()
    local w = world({ status = "clusterReady" })
    w.err = errors.new("unsupported", "no provider", { code = "NoProvider" })
    assert.is_nil(flow.reconcile(KEY, w.env))
    assert.equal("clusterReady", status(w).status)
    assert.equal("NotSupported", condition(w, "Stalled").reason)
  end)

  it("has nothing to do for an object that is gone", function()
    local w = world()
    assert.is_nil(flow.reconcile({ kind = "VmwareSource", namespace = "x", name = "y" }, w.env))
    assert.equal(0, w.opened)
  end)
end)
