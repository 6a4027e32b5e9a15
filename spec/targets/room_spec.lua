--- targets.room: quota, Longhorn's disks and CSIStorageCapacity against a plan's claims.

local cluster = require "support.cluster"
local errors = require "host.error"
local json = require "host.json"
local room = require "targets.room"

local GIB = 1 << 30

-- Two disks, of 6 and 2 GiB.
local PLAN = { namespace = "default", disks = {
  { id = "2000", capacity_bytes = 6 * GIB }, { id = "2001", capacity_bytes = 2 * GIB },
} }

local function class(provisioner, parameters)
  return { metadata = { name = "fast" }, provisioner = provisioner,
    parameters = parameters or {} }
end

local LONGHORN, LVM = class("driver.longhorn.io"), class("lvm.driver.harvesterhci.io")

-- Severity and code of each finding; the first finding.
local function found(store, of_class, backend)
  local list = room.findings(store, PLAN, function()
    return of_class, backend
  end)
  local texts = {}
  for i, finding in ipairs(list) do
    texts[i] = finding.severity .. " " .. finding.code
  end
  return table.concat(texts, ", "), list[1]
end

describe("room.findings", function()
  local store

  before_each(function()
    store = cluster.new()
  end)

  it("says nothing where nothing is known", function()
    assert.equal("", (found(store, LONGHORN, "backingimage")))
    assert.equal("", (found(store, LVM, "cdi")))
    assert.equal("", (found(store)))
  end)

  it("says nothing where nothing may be read, or the kind is unknown", function()
    for _, kind in ipairs { "denied", "notfound" } do
      local closed = { list = function()
        return nil, errors.new(kind, "no")
      end }
      assert.equal("", (found(closed, LONGHORN, "backingimage")))
      assert.equal("", (found(closed, LVM, "cdi")))
    end
  end)

  it("does not take an outage for room", function()
    assert.has_error(function()
      found({ list = function()
        return nil, errors.new("connect", "no")
      end }, LONGHORN, "backingimage")
    end)
  end)

  describe("of a quota", function()
    local OF_CLASS = "fast.storageclass.storage.k8s.io/"

    local function quota(hard, used, spec)
      local object = { metadata = { name = "team", namespace = "default" },
        spec = spec or {}, status = { hard = hard, used = used } }
      object.spec.hard = hard
      store:create("ResourceQuota", object)
    end

    -- resource, hard, used, backend, is exceeded
    for _, case in ipairs {
      { "requests.storage", "10Gi", "2Gi", "backingimage", false },
      { "requests.storage", "10Gi", "2049Mi", "backingimage", true },
      { "requests.storage", "16Gi", "0", "cdi", false }, -- image and disk
      { "requests.storage", "15Gi", "0", "cdi", true },
      { "persistentvolumeclaims", "3", "1", "backingimage", false },
      { "persistentvolumeclaims", "2", "1", "backingimage", true },
      { "persistentvolumeclaims", "3", "0", "cdi", true },
      { "count/persistentvolumeclaims", "1", "0", "backingimage", true },
      { OF_CLASS .. "requests.storage", "8Gi", "0", "cdi", true },
      { OF_CLASS .. "persistentvolumeclaims", "3", "0", "cdi", true },
      -- Longhorn's images have classes of their own.
      { OF_CLASS .. "requests.storage", "1Gi", "0", "backingimage", false },
      { "slow.storageclass.storage.k8s.io/requests.storage", "1Gi", "0", "cdi", false },
      { "requests.cpu", "1", "1", "cdi", false },
    } do
      local resource, hard, used, backend, exceeded = table.unpack(case)
      it(("%s %s, %s used, backend %s"):format(resource, hard, used, backend), function()
        quota({ [resource] = hard }, { [resource] = used })
        assert.equal(exceeded and "Blocks QuotaExceeded" or "",
          (found(store, LONGHORN, backend)))
      end)
    end

    it("says what is allowed, used and needed, and by how much to raise it", function()
      quota({ ["requests.storage"] = "10Gi" }, { ["requests.storage"] = "4Gi" })
      local _, first = found(store, LONGHORN, "backingimage")
      assert.equal("ResourceQuota default/team allows 10240 MiB of requests.storage, of which "
        .. "4096 MiB are used; the claims of this machine need 8192 MiB", first.message)
      assert.equal("raise it by 2048 MiB, or free as much", first.action)
    end)

    it("that has scopes is of other objects", function()
      quota({ persistentvolumeclaims = "0" }, {}, { scopes = json.array({ "BestEffort" }) })
      assert.equal("", (found(store, LONGHORN, "backingimage")))
    end)
  end)

  describe("of Longhorn", function()
    -- A node with one disk of so many GiB, of which so many are promised.
    local function node(name, most, scheduled, more)
      local spec = { allowScheduling = true, storageReserved = 0, tags = json.array({}) }
      for key, value in pairs(more or {}) do
        spec[key] = value
      end
      store:create("LonghornNode", { metadata = { name = name, namespace = "longhorn-system" },
        spec = { allowScheduling = spec.allowScheduling, tags = json.array({}), disks = {
          d = { allowScheduling = true, diskType = spec.diskType or "filesystem",
            storageReserved = spec.storageReserved, tags = spec.tags } } },
        status = { diskStatus = { d = { storageMaximum = most * GIB,
          storageAvailable = most * GIB, storageScheduled = scheduled * GIB } } } })
    end

    local function percent(value)
      store:create("LonghornSetting", { value = value, metadata = {
        name = "storage-over-provisioning-percentage", namespace = "longhorn-system" } })
    end

    -- What there is, what is found. The disks need 8 GiB, 24 as three replicas.
    for name, case in pairs {
      ["room for all replicas"] = { { { 30, 0 } }, "" },
      ["room for less replicas than wanted"] = { { { 10, 1 } }, "Warns NoRoomOnClass" },
      ["no room"] = { { { 10, 3 } }, "Blocks NoRoomOnClass" },
      ["no place for the largest"] = { { { 5, 0 }, { 5, 0 }, { 20, 15 } },
        "Blocks NoRoomOnClass" },
      ["what is reserved"] = { { { 30, 0, { storageReserved = 25 * GIB } } },
        "Blocks NoRoomOnClass" },
      ["a node that takes nothing"] = { { { 30, 0, { allowScheduling = false } } },
        "Blocks NoRoomOnClass" },
      ["disks of the other engine"] = { { { 30, 0, { diskType = "block" } } },
        "Blocks NoRoomOnClass" },
    } do
      it("says what it finds: " .. name, function()
        percent("100")
        for i, one in ipairs(case[1]) do
          node("node" .. i, table.unpack(one))
        end
        assert.equal(case[2], (found(store, LONGHORN, "backingimage")))
      end)
    end

    it("counts what may be promised beyond what there is, if that is known", function()
      node("one", 10, 8)
      assert.equal("Warns NoRoomOnClass", (found(store, LONGHORN, "backingimage")))
      percent("400")
      assert.equal("", (found(store, LONGHORN, "backingimage")))
    end)

    it("looks at the disks alone that the class may use", function()
      percent("100")
      node("big", 100, 0)
      node("ssd", 10, 0, { tags = json.array({ "ssd" }) })
      local of = class("driver.longhorn.io", { diskSelector = "ssd", numberOfReplicas = "1" })
      assert.equal("", (found(store, of, "backingimage")))
      of.parameters.diskSelector = "nvme,ssd"
      assert.equal("Blocks NoRoomOnClass", (found(store, of, "backingimage")))
    end)
  end)

  describe("of CSIStorageCapacity", function()
    for name, case in pairs {
      ["enough"] = { { { "20Gi" } }, "" },
      ["no place for the largest"] = { { { "5Gi" }, { "5Gi" } }, "Blocks NoRoomOnClass" },
      ["no volume so large"] = { { { "20Gi", "5Gi" } }, "Blocks NoRoomOnClass" },
      ["too little in all"] = { { { "7Gi" } }, "Warns NoRoomOnClass" },
      ["another class's"] = { { { "1Gi", nil, "slow" } }, "" },
    } do
      it("says what it finds: " .. name, function()
        for i, one in ipairs(case[1]) do
          store:create("CSIStorageCapacity", { storageClassName = one[3] or "fast",
            capacity = one[1], maximumVolumeSize = one[2],
            metadata = { name = "c" .. i, namespace = "kube-system" } })
        end
        assert.equal(case[2], (found(store, LVM, "cdi")))
      end)
    end
  end)
end)
