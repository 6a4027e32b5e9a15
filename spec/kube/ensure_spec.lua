local cluster = require "support.cluster"
local ensure = require "kube.ensure"
local errors = require "host.error"
local requests = require "kube.requests"

local DENIED = [[admission webhook \"w.example\" denied the request: it exists]]

local function answer(status, reason, message)
  return requests.failure("POST /things", { status = status, headers = {},
    body = ([[{"kind":"Status","reason":"%s","message":"%s"}]]):format(reason, message) })
end

-- Every way in which a server, or what stands before it, does not make an object.
local REFUSALS = {
  ["AlreadyExists"] = answer(409, "AlreadyExists", "things a exists already"),
  ["a webhook's 409"] = answer(409, "Conflict", DENIED),
  ["a webhook's 400"] = answer(400, "BadRequest", DENIED),
  ["a webhook's 403"] = answer(403, "Forbidden", DENIED),
  ["a webhook's 404"] = answer(404, "NotFound", DENIED),
  ["a webhook's 422"] = answer(422, "Invalid", DENIED),
  ["a webhook's 500"] = answer(500, "InternalError", DENIED),
  ["no rights"] = answer(403, "Forbidden", "things is forbidden"),
  ["a webhook that is down"] = answer(500, "InternalError", "failed calling webhook"),
  ["an answer that was lost"] = errors.new("timeout", "POST /things: no answer"),
}

local function thing(fields)
  local meta = { namespace = "n", name = "a", annotations = { of = "us" } }
  for key, value in pairs(fields or {}) do
    meta[key] = value
  end
  return { kind = "Thing", metadata = meta }
end

local function is_ours(there)
  return there.metadata.annotations.of == "us"
end

-- A store whose create answers `refusal`, after `before` has happened.
local function refusing(refusal, before)
  local store = cluster.new()
  local create, asked = store.create, 0
  function store:create(kind, object)
    asked = asked + 1
    if before then
      create(self, kind, before)
    end
    return nil, refusal
  end
  return store, function() return asked end
end

local function object(store)
  return ensure.object(store, thing(), is_ours, { caches = 0 })
end

describe("kube.ensure", function()
  it("makes what is not there", function()
    local store = cluster.new()
    local made, is_new = object(store)
    assert.is_true(is_new)
    assert.truthy(made.metadata.uid)
    assert.equal(1, #store.writes)
  end)

  it("takes what is there, and does not ask for it", function()
    local store, asked = refusing(REFUSALS["no rights"])
    cluster.create(store, "Thing", thing())
    assert.equal("a", assert(object(store)).metadata.name)
    assert.equal(0, asked())
  end)

  for name, refusal in pairs(REFUSALS) do
    it("looks again at " .. name .. ", and takes what is there", function()
      local store, asked = refusing(refusal, thing())
      assert.equal("a", assert(object(store)).metadata.name)
      assert.equal(1, asked())
    end)

    it("looks again at " .. name .. ", and leaves what is somebody else's", function()
      local store = refusing(refusal, thing({ annotations = { of = "them" } }))
      local got, err = object(store)
      assert.is_nil(got)
      assert.is_true(err.final)
      assert.equal("Thing n/a exists and is somebody else's: rename or remove it",
        err.message)
    end)

    it("says so when nothing is there: " .. name, function()
      local store, asked = refusing(refusal)
      local got, err = object(store)
      assert.is_nil(got)
      assert.equal(refusal.kind, err.kind)
      assert.truthy(err.message:find(refusal.message, 1, true))
      assert.is_nil(err.final)
      assert.equal(refusal.webhook and 2 or 1, asked())
    end)
  end

  it("says what to do when a webhook denies what is not there", function()
    local _, err = object(refusing(REFUSALS["a webhook's 409"]))
    assert.equal('POST /things: admission webhook "w.example" denied the request: it '
      .. "exists; Thing n/a is not there: change what it objects to", err.message)
  end)

  it("asks again a webhook whose caches had not seen yet that it is gone", function()
    local store, asked = refusing(REFUSALS["a webhook's 409"])
    local create = store.create
    function store:create(...)
      if asked() == 1 then
        return cluster.create(self, ...)
      end
      return create(self, ...)
    end
    assert.equal("a", assert(object(store)).metadata.name)
  end)

  it("waits for one of ours that is being deleted", function()
    local store = cluster.new()
    cluster.create(store, "Thing", thing({ finalizers = { "x/y" } }))
    store:delete("Thing", "n", "a")
    local got, err = object(store)
    assert.is_nil(got)
    assert.equal("busy", err.kind)
  end)

  it("makes nothing where it cannot look", function()
    local store, asked = refusing(REFUSALS["no rights"])
    function store.get() return nil, errors.new("timeout", "no answer") end
    local _, err = object(store)
    assert.equal("timeout", err.kind)
    assert.equal(0, asked())
  end)
end)
