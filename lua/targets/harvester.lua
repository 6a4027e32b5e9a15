--- targets.harvester: disks become images and claims of a Harvester cluster, the
-- machine a VirtualMachine.
--
-- Disks wait in scratch (targets.spools), or are passed on as they are read; the image
-- server has them under unguessable routes, and Harvester downloads them as
-- VirtualMachineImages. Everything made here has a name derived from the import's uid: a
-- second try finds it and goes on.

local checks = require "targets.checks"
local disk_image = require "host.disk"
local ensure = require "kube.ensure"
local finding = require "base.finding"
local json = require "host.json"
local lag = require "kube.lag"
local marks = require "base.marks"
local spools = require "targets.spools"
local states = require "targets.states"
local stream_options = require "targets.stream_options"
local time = require "host.time"

local STATE_CLASS = "vmstate-persistence"

local methods = {}
local mt = { __name = "targets.harvester", __index = methods }

local M = {}


-- Made by this import: here, or by an earlier controller, which only set itself as owner.
local function is_of(object, import)
  local meta = object.metadata
  for _, reference in ipairs(meta.ownerReferences or {}) do
    if reference.uid == import.metadata.uid then
      return true
    end
  end
  return (meta.annotations or {})[marks.IMPORT_UID] == import.metadata.uid
end

-- Harvester's webhooks are asked about the machine before anything is moved for it.
local function check_admission(self, plan)
  local made, err = self.client:create("VirtualMachine", plan.virtual_machine,
    { dry_run = true })
  if made or err.reason == "AlreadyExists" then
    return nil
  end
  err = lag.of(self.client, plan.namespace, err)
  if err.kind ~= "invalid" and err.kind ~= "denied" then
    error(err)
  end
  return finding.blocks("VirtualMachineRefused", plan.name,
    "the cluster would refuse the VirtualMachine: " .. err.message,
    "change what it objects to")
end

-- An object that is there is not asked for: a webhook would find fault with a second one.
local function check_machine(self, plan, import)
  local there, err = self.client:get("VirtualMachine", plan.namespace, plan.name)
  if not there then
    return err.kind ~= "notfound" and error(err) or check_admission(self, plan)
  elseif not is_of(there, import) then
    return finding.blocks("VirtualMachineExists", plan.name,
      ("VirtualMachine %s/%s exists already"):format(plan.namespace, plan.name),
      "set spec.targetName, or remove it")
  end
end

-- Creates it, or takes the one of this import that is there.
local function create_or_adopt(self, manifest, import)
  local meta = manifest.metadata
  meta.annotations = meta.annotations or {}
  meta.annotations[marks.IMPORT_UID] = import.metadata.uid
  meta.annotations[marks.IMPORT] = ("%s/%s"):format(import.metadata.namespace,
    import.metadata.name)
  return ensure.object(self.client, manifest, function(there)
    return is_of(there, import)
  end, { caches = self.caches })
end

--- target:backend(storage_class) -> "backingimage" | "cdi" | nil, err   [waits]
-- How Harvester stores an image of that class; nil class: the default one. Without the
-- right to look it is taken to be backingimage, what a Harvester has at first.
function methods:backend(name)
  local backend, err = self.checks:backend(name)
  if not backend and err.kind == "denied" then
    return "backingimage"
  end
  return backend, err
end

-- The value of one of Harvester's settings; nil too where it may not be read.
local function setting(self, name)
  local object, err = self.client:get("Setting", nil, name)
  self.settings_denied = err and err.kind == "denied" and err.message or nil
  local value = object and object.value
  return object and ((value or "") ~= "" and value or object.default) or nil
end

--- target:defaults() -> {max_sockets, link_state, ...}                  [waits]
-- What planning has to know of the cluster.
--
-- Source: the webhook of Harvester up to 1.8 sets maxSockets to 1, and KubeVirt then
-- refuses a machine of more; from 1.9 on it is the number of sockets. Harvester 1.6 is
-- the first with a KubeVirt (1.5) that knows a NIC whose link is down. From 1.5 on it
-- keeps the state of TPMs, in claims of a StorageClass of its own.
function methods:defaults()
  local major, minor = (setting(self, "server-version") or ""):match("^v?(%d+)%.(%d+)")
  local known = major ~= nil
  major, minor = tonumber(major) or 0, tonumber(minor) or 0
  local function is_from(least)
    return major > 1 or major == 1 and minor >= least
  end
  local link_state
  if known then
    link_state = is_from(6)
  end
  return {
    max_sockets = not is_from(9) and 1 or nil,
    link_state = link_state,
    persistent_state = is_from(5) and self.checks:has_class(STATE_CLASS),
    termination_grace_seconds = math.tointeger(tonumber(
      setting(self, "default-vm-termination-grace-period-seconds"))),
  }
end

-- Without them the machine is planned for the oldest Harvester.
local function settings_finding(self)
  return self.settings_denied and finding.informs("SettingsNotRead", "settings",
    "what this Harvester is was not looked up, it is taken to be 1.8 or older: "
      .. self.settings_denied,
    "allow the controller to get settings of harvesterhci.io")
end

--- target:check(plan, import) -> findings                               [waits]
-- Findings of why this cluster cannot take the machine.
function methods:check(plan, import)
  local found = self.checks:run(plan)
  found[#found + 1] = check_machine(self, plan, import)
  found[#found + 1] = settings_finding(self)
  return found
end

--- target:room_problem(plan, skip) -> finding | nil                     [waits]
-- What keeps the claims from being made by now: asked for right before a machine is
-- powered off.
--
--   skip  boolean  spec.skipPreflightChecks: quota alone, which is certain
function methods:room_problem(plan, skip)
  for _, problem in ipairs(self.checks:room(plan)) do
    if problem.severity == "Blocks" and (not skip or problem.code == "QuotaExceeded") then
      return problem
    end
  end
end

--- target:missing_network(plan) -> nic | nil                            [waits]
-- The first one whose network is not there any more.
function methods:missing_network(plan)
  for _, nic in ipairs(plan.nics or {}) do
    if nic.network and self.checks:network_is_gone(nic.network) then
      return nic
    end
  end
end

--- target:image_url(route) -> url
function methods:image_url(route)
  return self.base_url .. route
end

--- target:publish(plan, disk, route)                                    [waits]
-- From now on the image server answers this route with the disk. Again does no harm.
function methods:publish(plan, disk, route)
  self.server:publish(route, self.disks:image(plan, disk))
end

--- target:hold(disk, route)
-- The image server knows the disk's size, but its bytes only later: who asks waits.
function methods:hold(disk, route)
  self.server:hold(route, disk.capacity_bytes)
end

--- target:publish_stream(disk, route, stream) -> reads, to be closed | nil, err
-- From now on whoever asks for this route causes a read at the source.
--
--   stream  as a provider's export:stream() returns it
--   reads   host.disk's stream: progress(), close()
function methods:publish_stream(disk, route, stream)
  local reads, err = disk_image.stream(stream_options(stream, disk, self))
  if reads then
    self.server:publish(route, { stream = reads })
  end
  return reads, err
end

--- target:served(route) -> {requests, full_reads, bytes, active, sha512} | nil
-- What the image server has sent; sha512: of the last that went out whole, or nil.
function methods:served(route)
  return self.server:stats(route)
end

--- target:forget(route)
function methods:forget(route)
  self.server:forget(route)
end

--- target:image_state(namespace, name) -> state | nil, err              [waits]
-- As states.image.
function methods:image_state(namespace, name)
  return states.image(self.client, namespace, name)
end

--- target:look_again(namespace, name, now) -> true | nil, err           [waits]
-- Brings an image back to Harvester's controller, which looks at one when it changes.
--
--   now  seconds of the wall
function methods:look_again(namespace, name, now)
  return self.client:patch("VirtualMachineImage", namespace, name, { metadata = {
    annotations = { [marks.LOOK_AGAIN] = time.rfc3339(now) } } })
end

--- target:whole_since(namespace, name) -> seconds of the wall | nil     [waits]
-- As states.whole_since.
function methods:whole_since(namespace, name)
  return states.whole_since(self.client, namespace, name)
end

--- target:copy_state(namespace, name) -> message | nil                  [waits]
-- As states.copy.
function methods:copy_state(namespace, name)
  return states.copy(self.client, namespace, name)
end

--- target:machine_state(namespace, name) -> state | nil, err            [waits]
-- As states.machine.
function methods:machine_state(namespace, name)
  return states.machine(self.client, namespace, name)
end

--- target:is_made_from(namespace, name, entries) -> boolean | nil, err  [waits]
-- As states.is_made_from.
function methods:is_made_from(namespace, name, entries)
  return states.is_made_from(self.client, namespace, name, entries)
end

--- target:delete(kind, namespace, name, import) -> gone | nil, err      [waits]
-- True: nothing of this import is there any more; false: asked for, not gone yet.
-- Somebody else's object of that name is left alone.
function methods:delete(kind, namespace, name, import)
  local there, err = self.client:get(kind, namespace, name)
  if not there then
    return err.kind == "notfound" or nil, err
  elseif not is_of(there, import) then
    return true
  end
  local ok
  ok, err = self.client:delete(kind, namespace, name, { uid = there.metadata.uid })
  if not ok and err.kind ~= "notfound" then
    return nil, err
  end
  there, err = self.client:get(kind, namespace, name)
  if there then
    return false
  end
  return err.kind == "notfound" or nil, err
end

--- target:put(manifest, import) -> object | nil, err                    [waits]
-- Creates an image, a claim, a DataVolume or the VirtualMachine, or takes the one of
-- this import that is there.
--
--   err  invalid: somebody else's; busy: ours, but it is being deleted
function methods:put(manifest, import)
  return create_or_adopt(self, manifest, import)
end

--- target:disown(kind, namespace, name) -> true | nil, err              [waits]
-- Takes the import's owner reference off: it stays when the import is deleted.
function methods:disown(kind, namespace, name, uid)
  local object, err = self.client:get(kind, namespace, name)
  if not object then
    return nil, err
  end
  local kept = json.array({})
  for _, reference in ipairs(object.metadata.ownerReferences or {}) do
    if reference.uid ~= uid then
      kept[#kept + 1] = reference
    end
  end
  if #kept == #(object.metadata.ownerReferences or {}) then
    return true
  end
  return self.client:patch(kind, namespace, name, { metadata = {
    resourceVersion = object.metadata.resourceVersion,
    ownerReferences = kept,
  } })
end

--- harvester.new(opts) -> target
--
--   opts.client    kube.client
--   opts.server    host.images server
--   opts.base_url  string  where the cluster reaches it: "http://SERVICE:8080"
--   opts.scratch   string  a folder for disks
--   opts.idle_timeout, opts.least_rate, opts.scratch_limit  as targets.spools
--   opts.caches        as kube.ensure
--   opts.remembered    as targets.checks
function M.new(opts)
  return setmetatable({
    client = opts.client,
    server = opts.server,
    base_url = opts.base_url,
    can = { images = true, run = true },
    checks = checks.new(opts.client, opts.remembered),
    disks = spools.new(opts.scratch, opts),
    idle_timeout = opts.idle_timeout,
    least_rate = opts.least_rate,
    caches = opts.caches,
  }, mt)
end

return M
