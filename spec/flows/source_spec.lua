local cluster = require "support.cluster"
local conditions = require "kube.conditions"
local errors = require "host.error"
local flow = require "flows.source"
local time = require "host.time"

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
      return setmetatable({ certificate = w.certificate,
        in_clear = w.in_clear }, { __close = function()
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

describe("flows.source, in detail,", function()
  local function look(w)
    return flow.reconcile(KEY, w.env)
  end

  it("looks again after 300 s, or 30 s when it is not ready, and says until when", function()
    local w = world()
    assert.equal(300, look(w).after)
    assert.is_nil(status(w).nextAttemptTime)
    w.err = errors.new("denied", "wrong password")
    assert.equal(30, look(w).after)
    assert.equal(time.rfc3339(w.clock + 30), status(w).nextAttemptTime)
    assert.equal(1, status(w).observedGeneration)
    assert.equal("clusterNotReady", status(w).status)
  end)

  it("pins what it met though it could not log in, but not what it does not trust", function()
    local certificate = { fingerprint = "AA", issuer = "CN=x" }
    local w = world()
    w.err = errors.new("denied", "wrong password", { certificate = certificate })
    look(w)
    assert.equal("AA", status(w).certificateFingerprint)
    assert.equal("PinnedAtFirstSight", condition(w, "CertificateUnverified").reason)
    assert.truthy(condition(w, "CertificateUnverified").message:find("(issuer CN=x, SHA-256 "
      .. "fingerprint AA)", 1, true))
    w = world()
    w.err = errors.new("tls", "not trusted", { certificate = certificate })
    look(w)
    assert.is_nil(status(w).certificateFingerprint)
    assert.is_nil(condition(w, "CertificateUnverified"))
    w = world({ certificateFingerprint = "OLD" })
    w.err = errors.new("denied", "wrong password", { certificate = certificate })
    look(w)
    assert.equal("OLD", status(w).certificateFingerprint)
  end)

  it("says an Event when it becomes ready, and each time that it is not", function()
    local w, said = world(), {}
    w.env.event = function(_, type, reason)
      said[#said + 1] = type .. " " .. reason
    end
    look(w)
    look(w)
    w.err = errors.new("denied", "wrong password")
    look(w)
    look(w)
    assert.same({ "Normal LoggedIn", "Warning LoginFailed", "Warning LoginFailed" }, said)
    said, w.err = {}, nil
    w.certificate = { fingerprint = "AA" }
    look(w)
    assert.same({ "Normal LoggedIn", "Warning PinnedAtFirstSight" }, said)
  end)

  it("warns as long as the source is asked in the clear", function()
    local w, said = world(), {}
    w.env.event = function(_, type, reason)
      said[#said + 1] = type .. " " .. reason
    end
    look(w)
    assert.is_nil(condition(w, "EndpointInsecure"))
    w.in_clear = { "http://cloud/v3", "http://glance/v2" }
    look(w)
    local stands = condition(w, "EndpointInsecure")
    assert.equal("True", stands.status)
    assert.equal("PlainHTTP", stands.reason)
    assert.truthy(stands.message:find("from http://cloud/v3, http://glance/v2 can", 1, true))
    w.err = errors.new("connect", "gone")
    look(w)
    assert.equal("True", condition(w, "EndpointInsecure").status)
    w.err, w.in_clear = nil, nil
    look(w)
    assert.equal("False", condition(w, "EndpointInsecure").status)
    assert.equal("Encrypted", condition(w, "EndpointInsecure").reason)
    assert.same({ "Normal LoggedIn", "Warning PlainHTTP", "Warning NotReachable",
      "Normal LoggedIn" }, said)
  end)

  it("throws where an older definition forgets the pin", function()
    local w, repaired = world(), 0
    w.certificate = { fingerprint = "AA", trusted = true }
    local patch = w.store.patch
    function w.store:patch(kind, namespace, name, change, opts)
      change.status.certificateFingerprint = nil
      return patch(self, kind, namespace, name, change, opts)
    end
    for _, repair in ipairs { function() repaired = repaired + 1 end, false } do
      w.env.repair_definitions = repair or nil
      local ok, err = pcall(look, w)
      assert.is_false(ok)
      assert.equal("OldCustomResourceDefinition", err.reason)
      assert.truthy(err.message:find("CustomResourceDefinition of VmwareSource", 1, true))
    end
    assert.equal(1, repaired)
  end)

  it("leaves to others what others have changed, or lead", function()
    for reason, after in pairs { Conflict = 0, NotLeader = 5 } do
      local w = world()
      function w.store.patch() return nil, errors.new("conflict", "no", { reason = reason }) end
      assert.same({ after = after, again = "no" }, look(w))
    end
  end)

  it("leaves one that is being deleted, and throws what it cannot read", function()
    local w = world()
    w.store:patch("VmwareSource", "default", "vc", { metadata = { finalizers = { "x" } } })
    w.store:delete("VmwareSource", "default", "vc")
    assert.is_nil(look(w))
    assert.equal(0, w.opened)
    function w.store.get() return nil, errors.new("connect", "refused") end
    local ok, err = pcall(look, w)
    assert.is_false(ok)
    assert.equal("connect", err.kind)
  end)

  it("writes of a kind without a provider into its status alone", function()
    for _, w in ipairs { world(), world() } do
      w.env.supports = function(kind) return kind ~= "VmwareSource" end
      assert.is_nil(look(w))
      assert.equal("NotSupported", condition(w, "Stalled").reason)
      assert.equal("True", condition(w, "Stalled").status)
      assert.equal(1, condition(w, "Stalled").observedGeneration)
      assert.equal(0, w.opened)
    end
    local w = world()
    w.err = errors.new("unsupported", "none", { code = "NoProvider" })
    assert.is_nil(look(w))
    assert.equal("NotSupported", condition(w, "Stalled").reason)
  end)
end)
