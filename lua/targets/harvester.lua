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
local json = require "host.json"
local marks = require "base.marks"
local spools = require "targets.spools"
local stream_options = require "targets.stream_options"

local methods = {}
local mt = { __name = "targets.harvester", __index = methods }

local M = {}

local LONGHORN = "longhorn-system"

local function condition(object, type)
  for _, c in ipairs(object.status and object.status.conditions or {}) do
    if c.type == type then
      return c
    end
  end
  return nil
end

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

-- What its webhooks say of the machine before anything was moved for it.
local function check_admission(self, plan)
  local made, err = self.client:create("VirtualMachine", plan.virtual_machine,
    { dry_run = true })
  if made or err.reason == "AlreadyExists" then
    return nil
  elseif err.kind ~= "invalid" and err.kind ~= "denied" then
    error(err)
  end
  return {
    code = "VirtualMachineRefused", severity = "Blocks", subject = plan.name,
    message = "the cluster would refuse the VirtualMachine: " .. err.message,
    action = "change what it objects to",
  }
end

-- What is there is not asked for: a webhook would find fault with the second one.
local function check_machine(self, plan, import)
  local there, err = self.client:get("VirtualMachine", plan.namespace, plan.name)
  if not there then
    return err.kind ~= "notfound" and error(err) or check_admission(self, plan)
  elseif not is_of(there, import) then
    return {
      code = "VirtualMachineExists", severity = "Blocks", subject = plan.name,
      message = ("VirtualMachine %s/%s exists already"):format(plan.namespace, plan.name),
      action = "set spec.targetName, or remove it",
    }
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

--- target:defaults() -> {max_sockets, termination_grace_seconds}        [waits]
-- What planning has to know of the cluster.
--
-- Source: the webhook of Harvester up to 1.8 sets maxSockets to 1, and KubeVirt then
-- refuses a machine of more; from 1.9 on it is the number of sockets.
function methods:defaults()
  local major, minor = (setting(self, "server-version") or ""):match("^v?(%d+)%.(%d+)")
  major, minor = tonumber(major) or 0, tonumber(minor) or 0
  local many = major > 1 or major == 1 and minor >= 9
  return {
    max_sockets = not many and 1 or nil,
    termination_grace_seconds = math.tointeger(tonumber(
      setting(self, "default-vm-termination-grace-period-seconds"))),
  }
end

-- Without them the machine is planned for the oldest Harvester.
local function settings_finding(self)
  return self.settings_denied and {
    code = "SettingsNotRead", severity = "Informs", subject = "settings",
    message = "what this Harvester is was not looked up, it is taken to be 1.8 or older: "
      .. self.settings_denied,
    action = "allow the controller to get settings of harvesterhci.io",
  }
end

--- target:check(plan, import) -> findings                               [waits]
-- What stands in the way in this cluster, all of it.
function methods:check(plan, import)
  local found = self.checks:run(plan)
  found[#found + 1] = check_machine(self, plan, import)
  found[#found + 1] = settings_finding(self)
  return found
end

-- What a CDI image's DataVolume says; CDI never reports failure through the image.
local function volume_message(self, namespace, name)
  local volume = self.client:get("DataVolume", namespace, name)
  if not volume then
    return nil
  end
  local running = condition(volume, "Running")
  local bound = condition(volume, "Bound")
  if running and running.status == "False" and (running.message or "") ~= "" then
    return running.message
  elseif bound and bound.status ~= "True" and (bound.message or "") ~= "" then
    return bound.message
  end
  return volume.status and volume.status.progress
end

--- target:room_problem(plan, skip) -> finding | nil                     [waits]
-- What keeps the claims from being made by now: asked for right before a machine is
-- powered off.
--
--   skip  boolean  spec.skipPreflightChecks: quota alone, which is certain
function methods:room_problem(plan, skip)
  for _, finding in ipairs(self.checks:room(plan)) do
    if finding.severity == "Blocks" and (not skip or finding.code == "QuotaExceeded") then
      return finding
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

--- target:copy_state(namespace, name) -> message | nil                  [waits]
-- What CDI says of a claim that it still copies from its image; nil: it is whole, or CDI
-- has no part in it (or has tidied its DataVolume away).
function methods:copy_state(namespace, name)
  local volume, err = self.client:get("DataVolume", namespace, name)
  if not volume then
    return err.kind ~= "notfound" and err.kind ~= "denied" and error(err) or nil
  end
  local phase = volume.status and volume.status.phase
  if phase == "Succeeded" then
    return nil
  end
  local said = volume_message(self, namespace, name)
  return (phase or "Pending") .. (said and said ~= "" and ": " .. said or "")
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
  local reads, err = disk_image.stream(stream_options(stream, disk, self.idle_timeout))
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

-- The SHA-512 that Longhorn has computed of an image, or nil: there is none (CDI), or it
-- may not be read. Harvester names backing images so; earlier versions by name.
local function checksum(self, image)
  local names = { "vmi-" .. image.metadata.uid,
    ("%s-%s"):format(image.metadata.namespace, image.metadata.name) }
  for _, name in ipairs(image.spec.backend == "cdi" and {} or names) do
    local backing = self.client:get("BackingImage", LONGHORN, name)
    local sum = backing and backing.status and backing.status.checksum or ""
    if sum ~= "" then
      return sum
    end
  end
end

--- target:image_state(namespace, name) -> state | nil, err              [waits]
--
--   state.phase     "importing" | "ready" | "failed"
--   state.message   what Harvester says
--   state.progress  per cent or nil
--   state.backend   "backingimage" | "cdi"
--   state.storage_class, .size  once it is ready: the class and bytes its claims need
--   state.sha512    then, where Longhorn has computed it: of what it received
--   err             notfound: it is not there any more
function methods:image_state(namespace, name)
  local image, err = self.client:get("VirtualMachineImage", namespace, name)
  if not image then
    return nil, err
  end
  local status = image.status or {}
  local imported = condition(image, "Imported") or {}
  local limit = condition(image, "RetryLimitExceeded") or {}
  if imported.status == "True" then
    return {
      phase = "ready",
      storage_class = status.storageClassName,
      size = math.max(status.size or 0, status.virtualSize or 0),
      backend = image.spec.backend,
      sha512 = checksum(self, image),
    }
  elseif limit.status == "True" then
    return { phase = "failed", message = limit.message or imported.message or "" }
  end
  local message = limit.message or ""
  if message == "" and imported.status == "False" then
    message = imported.message or ""
  end
  if message == "" and image.spec.backend == "cdi" then
    message = volume_message(self, namespace, name) or ""
  end
  return { phase = "importing", message = message, progress = status.progress,
    backend = image.spec.backend }
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

-- The volumes that an earlier controller made of these disks: claims named after its
-- files, or the images' own claims.
local function old_claims(entries)
  local names = {}
  for _, entry in ipairs(entries) do
    names[(entry.diskName or ""):lower():gsub("%.img$", "")] = true
    names[entry.VirtualMachineImage or ""] = true
  end
  names[""] = nil
  return names
end

--- target:is_made_from(namespace, name, entries) -> boolean | nil, err  [waits]
-- Is there a VirtualMachine of that name that an earlier controller made of the disks of
-- these entries of status.diskImportStatus?
function methods:is_made_from(namespace, name, entries)
  local machine, err = self.client:get("VirtualMachine", namespace, name)
  if not machine then
    if err.kind == "notfound" then
      return false
    end
    return nil, err
  end
  local claims, count = old_claims(entries), 0
  for _, volume in ipairs(machine.spec.template.spec.volumes or {}) do
    local claim = volume.persistentVolumeClaim
    if claim and not claims[claim.claimName] then
      return false
    end
    count = count + (claim and 1 or 0)
  end
  return count > 0 and (machine.metadata.labels or {})[marks.IMPORTED] == "true"
end

--- target:machine_state(namespace, name) -> state | nil, err            [waits]
--
--   state.running  boolean
--   state.stopped  boolean  its owner has said that it shall not run
--   state.message  what KubeVirt says while it does not run
--   err            notfound: it is not there
function methods:machine_state(namespace, name)
  local machine, err = self.client:get("VirtualMachine", namespace, name)
  if not machine then
    return nil, err
  end
  local status = machine.status or {}
  local ready = condition(machine, "Ready") or {}
  local failure = condition(machine, "Failure") or {}
  local message = status.printableStatus or "not started yet"
  for _, text in ipairs { failure.message or "", ready.message or "" } do
    if text ~= "" then
      message = message .. ": " .. text
      break
    end
  end
  return {
    running = status.printableStatus == "Running" or ready.status == "True",
    stopped = machine.spec.runStrategy == "Halted" or machine.spec.running == false,
    message = message,
  }
end

--- harvester.new(opts) -> target
--
--   opts.client    kube.client
--   opts.server    host.images server
--   opts.base_url  string  where the cluster reaches it: "http://SERVICE:8080"
--   opts.scratch   string  a folder for disks
--   opts.idle_timeout  as targets.spools
--   opts.caches        as kube.ensure
function M.new(opts)
  return setmetatable({
    client = opts.client,
    server = opts.server,
    base_url = opts.base_url,
    can = { images = true, run = true },
    checks = checks.new(opts.client),
    disks = spools.new(opts.scratch, opts),
    idle_timeout = opts.idle_timeout,
    caches = opts.caches,
  }, mt)
end

return M
