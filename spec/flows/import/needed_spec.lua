-- Networks, storage classes and quota are others': who misses them waits, and counts
-- nothing, whenever they go.

local conditions = require "kube.conditions"
local in_cluster = require "support.in_cluster"
local json = require "host.json"
local requests = require "kube.requests"
local errors = require "host.error"
local needed = require "flows.import.needed"
local steps = require "support.steps"

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

describe("flows.import.needed, alone,", function()
  local MANIFEST = { kind = "VirtualMachine", metadata = { name = "web-01" } }

  local function put(err, change)
    local w = steps.world()
    w.target.refuses = { VirtualMachine = err }
    change(w)
    return w:fails(needed.put, MANIFEST)
  end

  local function lacks_network(w)
    w.target.lacks_network = w.import.status.plan.nics[1]
  end

  -- Of the first of both disks, or of the one that names it.
  local function lacks_class(name)
    return function(w)
      function w.target.backend(_, class)
        if class == name then
          return nil, errors.new("notfound", "no class")
        end
        return "backingimage"
      end
    end
  end

  for kind, looked_into in pairs { invalid = true, notfound = true, denied = true,
    busy = false } do
    it(("looks for what is missing when it is refused with %s: %s"):format(kind, looked_into),
      function()
        local err = put(errors.new(kind, "no"), lacks_network)
        assert.equal(looked_into and "NetworkGone" or nil, err.outage)
        assert.equal(looked_into and 30 or nil, err.retry_most)
        assert.equal("no", put(errors.new(kind, "no"), function() end).message)
      end)
  end

  it("names what is missing as people do", function()
    assert.equal('the network default/vlan1, for "Network adapter 1" of web-01, does not exist '
      .. "any more: create the NetworkAttachmentDefinition again",
      put(errors.new("invalid", "no"), lacks_network).message)
    assert.truthy(put(errors.new("invalid", "no"), function(w)
      lacks_network(w)
      w.import.status.machine = nil
    end).message:find('for "nic-0" of', 1, true))
    assert.equal('the StorageClass fast, for "Hard disk 2" of web-01, does not exist any more: '
      .. "create it again", put(errors.new("invalid", "no"), lacks_class("fast")).message)
    assert.equal("the cluster has no default StorageClass any more: make one the default again",
      put(errors.new("invalid", "no"), lacks_class(nil)).message)
    assert.truthy(put(errors.new("invalid", "no"), function(w)
      lacks_class("fast")(w)
      w.import.status.plan.disks[2].display_name = nil
    end).message:find('for "web-1" of', 1, true))
  end)

  it("waits for a quota, and takes nothing else for one", function()
    local quota = put(errors.new("denied", "x: exceeded quota: q"), lacks_network)
    assert.equal("QuotaExceeded", quota.outage)
    assert.equal(30, quota.retry_most)
    assert.is_nil(put(errors.new("busy", "exceeded quota"), lacks_network).outage)
    assert.equal("NetworkGone", put(errors.new("invalid", "exceeded quota"),
      lacks_network).outage)
  end)

  it("throws what it cannot be told of a class", function()
    local err = put(errors.new("invalid", "no"), function(w)
      function w.target.backend() return nil, errors.new("connect", "refused") end
    end)
    assert.equal("refused", err.message)
  end)

  it("asks once for each class", function()
    local w = steps.world()
    w.import.status.plan.disks[2].storage_class = nil
    w.target.refuses = { VirtualMachine = errors.new("invalid", "no") }
    w:fails(needed.put, MANIFEST)
    assert.same({ "backend default" }, w:asked_for("^backend"))
  end)

  it("says the backend of a disk's class, or what is missing", function()
    local w = steps.world()
    local disks = w.import.status.plan.disks
    assert.equal("backingimage", needed.backend(w.import, w.ctx, disks[1]))
    lacks_class("fast")(w)
    assert.equal("StorageClassGone", w:fails(needed.backend, disks[2]).outage)
    function w.target.backend() return nil, errors.new("connect", "refused") end
    assert.equal("refused", w:fails(needed.backend, disks[2]).message)
  end)

  it("looks at networks alone", function()
    local w = steps.world()
    needed.check_networks(w.import, w.ctx)
    lacks_network(w)
    assert.equal("NetworkGone", w:fails(needed.check_networks).outage)
  end)
end)
