-- A webhook's cache that is older than what is there, told from what is not there.

local cluster = require "support.cluster"
local ensure = require "kube.ensure"
local lag = require "kube.lag"
local requests = require "kube.requests"

local NETWORK = 'network-attachment-definitions.k8s.cni.cncf.io "vlan1" not found'

local function denial(status, words, by)
  return requests.failure("POST /things", { status = status, headers = {},
    body = ([[{"kind":"Status","message":"%s%s"}]]):format(
      by or [[admission webhook \"w.example\" denied the request: ]],
      words:gsub('"', '\\"')) })
end

local function store_with(kind, object)
  local store = cluster.new()
  assert(store:create(kind, object))
  return store
end

describe("kube.lag", function()
  local network = { metadata = { namespace = "n", name = "vlan1" } }

  it("is a denial, of any status, that misses what is there", function()
    for _, status in ipairs { 400, 403, 404, 409, 422, 500 } do
      for store, words in pairs {
        [cluster.new()] = 'namespaces "n" not found',
        [store_with("NetworkAttachmentDefinition", network)] = NETWORK,
        [store_with("StorageClass", { metadata = { name = "fast" } })] =
          'storageclasses.storage.k8s.io "fast" not found',
      } do
        local err = lag.of(store, "n", denial(status, words))
        assert.equal("busy", err.kind, words)
        assert.is_true(err.behind)
        assert.truthy(err.message:find(words
          .. "; it is there: the webhook has not seen it yet", 1, true))
      end
    end
  end)

  it("is none of what is not there, goes, or nobody knows", function()
    local going = store_with("NetworkAttachmentDefinition",
      { metadata = { namespace = "n", name = "vlan1", finalizers = { "x/y" } } })
    assert(going:delete("NetworkAttachmentDefinition", "n", "vlan1"))
    for words, store in pairs {
      ['namespaces "other" not found'] = cluster.new(),
      [NETWORK] = cluster.new(), [NETWORK .. " "] = going,
      ['widgets.example.org "a" not found'] = cluster.new(),
      ["the memory is too small"] = cluster.new(),
    } do
      local err = denial(404, words)
      assert.equal(err, lag.of(store, "n", err))
    end
  end)

  it("is nothing that the API server says itself", function()
    local err = denial(404, 'namespaces "n" not found', "")
    assert.equal(err, lag.of(cluster.new(), "n", err))
  end)

  it("keeps an object from being made for now, and is no verdict on it", function()
    local store = cluster.new()
    function store.create()
      return nil, denial(404, 'namespaces "n" not found')
    end
    local _, err = ensure.object(store, { kind = "Secret",
      metadata = { namespace = "n", name = "a" } }, function() return true end,
      { caches = 0 })
    assert.equal("busy", err.kind)
    assert.is_true(err.behind)
  end)
end)
