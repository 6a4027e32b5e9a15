--- support.living: a server of the lab's OpenStack with a guest that writes to its disks
-- (spec/labs/openstack/services/lab_guest.py), and what may happen to it: it is switched on
-- and off, written, its volumes are attached, detached, extended and reverted.

local http = require "host.http"
local json = require "host.json"
local lab = require "support.lab"
local process = require "host.process"
local task = require "host.task"

local M = {}

local GUEST = "spec/labs/openstack/services/lab_guest.py"
local ROOT_BYTES = 4 * 2 ^ 20 | 0 -- of a root disk that is no volume
local LARGEST = 2       -- GiB to which a volume grows
local SETTLED = 60      -- seconds that Nova or Cinder may take for a change
local LOOK = 0.3        -- seconds between two looks at the cloud

local methods = {}
local mt = { __name = "support.living", __index = methods }

-- As lab.wait_for, for what takes a service a second or two.
local function wait_for(what, check, seconds)
  lab.wait_for(what, function()
    local value = check()
    if not value then
      task.sleep(LOOK)
    end
    return value
  end, seconds)
end

local function volume_path(id)
  return "/volumes/" .. id
end

function methods:volume(id)
  return self.cloud:call("GET", "volume", volume_path(id)).volume
end

function methods:until_volume(id, status)
  wait_for(("volume %s is %s"):format(id, status), function()
    local now = self:volume(id).status
    assert(not now:find("^error"), ("volume %s is %s"):format(id, now))
    return now == status
  end, SETTLED)
end

-- Any request that may be refused: true if it was not.
function methods:try(...)
  return (pcall(self.cloud.call, self.cloud, ...))
end

function methods:act(what)
  return self:try("POST", "compute", ("/servers/%s/action"):format(self.id),
    { [what] = json.null })
end

function methods:server()
  return self.cloud:call("GET", "compute", "/servers/" .. self.id).server
end

-- Until Nova does nothing with it.
function methods:settled()
  wait_for("Nova is done with the server", function()
    return self:server()["OS-EXT-STS:task_state"] == nil
  end, SETTLED)
end

function methods:power(action)
  local done = self:act(action)
  self:settled()
  return done
end

local function is_off(server)
  return server.status == "SHUTOFF" and not server["OS-EXT-STS:task_state"]
end

function methods:off()
  if is_off(self:server()) then
    return true
  end
  self:power("os-stop")
  return is_off(self:server())
end

function methods:guest(...)
  local result = assert(process.run { argv = { "python3", "-B", GUEST, self.cloud.folder,
    self.id, ... }, timeout = 60 })
  return result.status == 0 and (result.stdout:gsub("%s+$", "")),
    result.stderr
end

function methods:attached()
  local list = {}
  for _, volume in ipairs(self:server()["os-extended-volumes:volumes_attached"]) do
    list[#list + 1] = volume.id ~= self.boot and volume.id or nil
  end
  return list
end

function methods:attach(id)
  local done = self:try("POST", "compute",
    ("/servers/%s/os-volume_attachments"):format(self.id),
    { volumeAttachment = { volumeId = id } })
  self:until_volume(id, done and "in-use" or self:volume(id).status)
  return done
end

function methods:detach(id)
  local done = self:try("DELETE", "compute",
    ("/servers/%s/os-volume_attachments/%s"):format(self.id, id))
  if done then
    self:until_volume(id, "available")
  end
  return done
end

-- One of them, or nil.
function methods:one_of(list)
  return list[self.random(math.max(#list, 1))]
end

function methods:snapshots(id)
  return self.cloud:call("GET", "volume", "/snapshots/detail?volume_id=" .. id).snapshots
end

--- living.operations: name -> function (server) -> whether it could be done  [waits]
local operations = {}
M.operations = operations

function operations.on(self)
  return self:power("os-start")
end

function operations.off(self)
  return self:off()
end

-- It worked for a while between two looks: nothing but its actions tells.
function operations.work(self)
  return self:power("os-start") and self:off()
end

function operations.write(self)
  return self:guest("write", tostring(self.random(0, 2))) and true
end

function operations.remove(self)
  local id = self:off() and self:one_of(self:attached())
  return id and self:detach(id)
end

function operations.add(self)
  if not self:off() then
    return false
  end
  for _, id in ipairs(self.data) do
    if self:volume(id).status == "available" then
      return self:attach(id)
    end
  end
end

-- Cinder's NFS driver knows no chain of files here: without a snapshot only.
function operations.grow(self)
  local id = self:off() and self:one_of(self.volumes)
  if not id or #self:snapshots(id) > 0 or self:volume(id).size >= LARGEST then
    return false
  end
  local before = self:volume(id)
  local done = self:try("POST", "volume", volume_path(id) .. "/action",
    { ["os-extend"] = { new_size = before.size + 1 } }, "volume 3.42")
  if done then
    self:until_volume(id, before.status)
    self:settled()
  end
  return done
end

function operations.snapshot(self)
  local id = self:off() and self:one_of(self.volumes)
  if not id or #self:snapshots(id) > 0 then
    return false
  end
  local made = self.cloud:call("POST", "volume", "/snapshots",
    { snapshot = { volume_id = id, name = "of the history", force = true } }).snapshot
  wait_for("the snapshot is made", function()
    return self.cloud:call("GET", "volume", "/snapshots/" .. made.id).snapshot.status
      == "available"
  end, SETTLED)
  return true
end

-- To the newest snapshot, as Cinder can: of a volume that is detached for it.
function operations.revert(self)
  local id = self:off() and self:one_of(self:attached())
  local list = id and self:snapshots(id) or {}
  if #list ~= 1 or not self:detach(id) then
    return false
  end
  local done = self:try("POST", "volume", volume_path(id) .. "/action",
    { revert = { snapshot_id = list[1].id } }, "volume 3.40")
  self:until_volume(id, "available")
  return self:attach(id) and done
end

function methods:close()
  self.cloud:remove(self.name)
end

mt.__close = methods.close

local function new_volume(self, name)
  local volume = self.cloud:call("POST", "volume", "/volumes",
    { volume = { name = self.name .. "-" .. name, size = 1, volume_type = "thin" } }).volume
  self.volumes[#self.volumes + 1] = volume.id
  self:until_volume(volume.id, "available")
  return volume.id
end

-- An image of zeros, and a flavor that gives a root disk of its size.
local function image_of(cloud)
  local known = cloud:call("GET", "image", "/images?name=living").images[1]
  if known then
    return known.id
  end
  local id = cloud:call("POST", "image", "/images", { name = "living", disk_format = "raw",
    container_format = "bare" }).id
  local answer = assert(http.request { method = "PUT", timeout = 60,
    url = ("%s/v2/images/%s/file"):format(cloud.urls.image, id),
    headers = { ["X-Auth-Token"] = cloud.token,
      ["Content-Type"] = "application/octet-stream" }, body = ("\0"):rep(ROOT_BYTES) })
  assert(answer.status < 300, answer.body)
  return id
end

local function flavor_of(cloud)
  for _, flavor in ipairs(cloud:call("GET", "compute", "/flavors").flavors) do
    if flavor.name == "living" then
      return flavor.id
    end
  end
  return cloud:call("POST", "compute", "/flavors", { flavor = { name = "living", ram = 64,
    vcpus = 1, disk = 0 } }).flavor.id
end

local function boot(self, has_root)
  local cloud = self.cloud
  local network = cloud:call("GET", "network", "/networks?name=shared").networks[1].id
  local body = { name = self.name, flavorRef = flavor_of(cloud),
    networks = { { uuid = network } }, metadata = { guest = "writes" } }
  if has_root then
    body.imageRef = image_of(cloud)
  else
    self.boot = new_volume(self, "boot")
    cloud:call("POST", "volume", volume_path(self.boot) .. "/action",
      { ["os-set_bootable"] = { bootable = true } })
    body.block_device_mapping_v2 = { { boot_index = 0, uuid = self.boot,
      source_type = "volume", destination_type = "volume", delete_on_termination = false } }
  end
  self.id = cloud:call("POST", "compute", "/servers", { server = body }).server.id
  wait_for("the server is ACTIVE", function()
    local status = self:server().status
    assert(status ~= "ERROR", "the server is not made")
    return status == "ACTIVE"
  end, 2 * SETTLED)
end

--- living.prepare(cloud)                                                [waits]
-- Makes the flavor and the image that all of these servers share, before the first of them.
function M.prepare(cloud)
  flavor_of(cloud)
  image_of(cloud)
end

--- living.new(cloud, name, has_root) -> server, to be closed            [waits]
-- With two disks, and a volume that can be attached. One that a killed spec has left goes.
--
--   cloud     of support.openstack
--   has_root  its root disk is an image's, not a volume
--   server.random  to be set before anything happens to it: as math.random
function M.new(cloud, name, has_root)
  local self = setmetatable({ cloud = cloud, name = name, volumes = {}, data = {} }, mt)
  cloud:remove(name)
  boot(self, has_root)
  self.data = { new_volume(self, "data"), new_volume(self, "more") }
  assert(self:attach(self.data[1]))
  return self
end

return M
