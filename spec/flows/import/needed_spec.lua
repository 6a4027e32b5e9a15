-- Networks, storage classes and quota are others': who misses them waits, and counts
-- nothing, whenever they go.

local conditions = require "kube.conditions"
local in_cluster = require "support.in_cluster"
local json = require "host.json"
local requests = require "kube.requests"

local world, run, state = in_cluster.world, in_cluster.run, in_cluster.state

describe("flows.import.needed", function()
  local function said(w)
    return conditions.find(in_cluster.import(w).status.conditions, "Reconciling")
  end

  local function refusal(status, message)
    return requests.failure("POST /x", { status = status, headers = {},
      body = json.encode({ kind = "Status", code = status, message = message }) })
  end

  -- From now on CREATEs of that kind are refused, after gone() has run; returns mend().
  local function refuse(w, kind, err, gone)
    local create = w.store.create
    function w.store:create(of, object, opts)
      if of == kind and not (opts and opts.dry_run) then
        gone()
        return nil, err
      end
      return create(self, of, object, opts)
    end
    return function()
      w.store.create = create
    end
  end

  local function ready(opts)
    local w = world(opts)
    w.target.caches = 0
    run(w)
    in_cluster.all_imported(w)
    return w
  end

  -- Looks on for longer than all attempts would take.
  local function waits(w, reason, text)
    for _ = 1, 8 do
      local after = run(w).after
      assert.is_true(after > 0 and after <= 30, after)
      w.clock = w.clock + after
    end
    local status = in_cluster.import(w).status
    assert.is_nil(status.attempt)
    assert.equal(reason, said(w).reason)
    assert.truthy(said(w).message:find(text, 1, true), said(w).message)
    assert.truthy(said(w).message:find("waited for since " .. status.outage.since, 1, true))
    assert.truthy(status.nextAttemptTime)
    assert.equal(2, #in_cluster.images(w))
  end

  it("waits for a network that goes between the look and the webhook's answer", function()
    local w = ready()
    local mend = refuse(w, "VirtualMachine", refusal(400, 'admission webhook "v" denied the '
      .. "request: network-attachment-definitions vlan1 not found"), function()
        w.store:delete("NetworkAttachmentDefinition", "default", "vlan1")
      end)
    waits(w, "NetworkGone", "the network default/vlan1, for \"")
    mend()
    w.store:create("NetworkAttachmentDefinition", {
      metadata = { name = "vlan1", namespace = "default" } })
    run(w)
    assert.equal("virtualMachineCreated", state(w))
    assert.is_nil(in_cluster.import(w).status.outage)
  end)

  it("waits for quota that somebody else has used up meanwhile", function()
    local w = ready()
    local mend = refuse(w, "PersistentVolumeClaim", refusal(403, 'persistentvolumeclaims "x" '
      .. "is forbidden: exceeded quota: q, requested: requests.storage=3Mi"), function() end)
    waits(w, "QuotaExceeded", "exceeded quota: q")
    mend()
    run(w)
    assert.equal("virtualMachineCreated", state(w))
  end)

  it("counts a refusal for which nothing is missing", function()
    local w = ready()
    refuse(w, "VirtualMachine", refusal(400, 'admission webhook "v" denied the request: no'),
      function() end)
    run(w)
    assert.equal(1, in_cluster.import(w).status.attempt)
    assert.is_nil(in_cluster.import(w).status.outage)
  end)

  it("waits for a StorageClass that goes while the disks come, whoever named it", function()
    for named, text in pairs { [true] = "the StorageClass longhorn, for \"",
      [false] = "no default StorageClass any more" } do
      local w = world({ spec = { storageClass = named and "longhorn" or nil } })
      local put = w.disks.put
      function w.disks:put(...)
        w.store:delete("StorageClass", nil, "longhorn")
        return put(self, ...)
      end
      for _ = 1, 8 do
        w.clock = w.clock + run(w).after
      end
      assert.equal("disksExported", state(w))
      assert.equal("StorageClassGone", said(w).reason)
      assert.truthy(said(w).message:find(text, 1, true), said(w).message)
      assert.is_nil(in_cluster.import(w).status.attempt)
      w.store:create("StorageClass", { metadata = { name = "longhorn", annotations = {
        ["storageclass.kubernetes.io/is-default-class"] = "true" } },
        provisioner = "driver.longhorn.io" })
      run(w)
      assert.equal("diskImageSubmitted", state(w))
      assert.equal(2, w.disks.fetched)
    end
  end)
end)
