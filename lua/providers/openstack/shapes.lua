--- providers.openstack.shapes: what the services answer, as far as it is read here. Pure.
--
-- Source: the API references of Keystone v3, Nova v2.1, Cinder v3, Glance v2 and
-- Neutron v2.0.

local shape = require "providers.shape"

local list, map, object, needed = shape.list, shape.map, shape.object, shape.needed
local flag, number, scalar, text = shape.flag, shape.number, shape.scalar, shape.text
local size, whole = shape.size, shape.whole

local M = {}

-- Where every version writes something else: "" or an object; true or "True".
local flag_or_text = shape.either(flag, text)
local text_or_object = shape.either(text, object { id = text })

local NAMED = object { id = text, name = text }
local REQUIRED_ID = object { id = needed(text) }

local ENDPOINT = object { interface = text, region = text, region_id = text, url = text }

--- shapes.token, shapes.projects: of Keystone
M.token = object { token = needed(object {
  catalog = list(object { type = text, endpoints = list(ENDPOINT) }),
  expires_at = text, issued_at = text, project = NAMED,
}) }
M.projects = object { projects = list(NAMED) }

local FLAVOR = { id = scalar, vcpus = size, ram = size, disk = size, ephemeral = size,
  ["OS-FLV-EXT-DATA:ephemeral"] = size, swap = shape.either(text, size),
  extra_specs = map(scalar) }

local SERVER = {
  id = needed(text), name = needed(text), status = text, created = text, updated = text,
  description = text, locked = flag, config_drive = flag_or_text, image = text_or_object,
  addresses = map(list(object { addr = text, ["OS-EXT-IPS:type"] = text })),
  flavor = object(FLAVOR),
  ["OS-EXT-STS:task_state"] = text, ["OS-EXT-STS:power_state"] = number,
  ["OS-EXT-SRV-ATTR:root_device_name"] = text,
  ["os-extended-volumes:volumes_attached"] = list(REQUIRED_ID),
}

--- shapes.version, shapes.server, shapes.flavor, shapes.extra_specs, shapes.interfaces,
--- shapes.actions, shapes.made_image: of Nova
M.version = object { version = object { version = text } }
M.server = object { server = needed(object(SERVER)) }
M.flavor = object { flavor = needed(object(FLAVOR)) }
M.extra_specs = object { extra_specs = map(scalar) }
M.interfaces = object { interfaceAttachments = list(object {
  port_id = needed(text), mac_addr = needed(text), net_id = text,
  fixed_ips = list(object { ip_address = text }),
}) }
M.actions = object { instanceActions = list(object {
  action = needed(text), start_time = needed(text), request_id = text,
}) }
M.made_image = object { image_id = text }

local VOLUME = {
  id = needed(text), name = text, status = needed(text), size = size,
  bootable = flag_or_text, encrypted = flag, multiattach = flag, volume_type = text,
  volume_image_metadata = map(scalar),
  attachments = list(object { server_id = text, device = text, attachment_id = text,
    attached_at = text }),
}
local SNAPSHOT = { id = needed(text), name = text, status = needed(text), size = size }

--- shapes.volume, shapes.snapshot, shapes.upload, shapes.messages, shapes.limits: of
--- Cinder
M.volume = object { volume = needed(object(VOLUME)) }
M.snapshot = object { snapshot = needed(object(SNAPSHOT)) }
M.upload = object {
  ["os-volume_upload_image"] = needed(object { image_id = needed(text) }),
}
M.messages = object { messages = list(object { user_message = text }) }
M.limits = object { limits = object { absolute = object {
  maxTotalVolumes = whole, totalVolumesUsed = whole, maxTotalSnapshots = whole,
  totalSnapshotsUsed = whole, maxTotalVolumeGigabytes = whole, totalGigabytesUsed = whole,
} } }

--- shapes.image: of Glance
M.image = object { id = needed(text), name = text, status = needed(text), checksum = text,
  os_hash_algo = text, os_hash_value = text, disk_format = text, size = size,
  virtual_size = size }

--- shapes.items: of lists, by their keys
M.items = {
  servers = object(SERVER), volumes = object(VOLUME), snapshots = object(SNAPSHOT),
  images = M.image, networks = object { id = needed(text), name = text },
  ports = object { id = needed(text), created_at = text, ["binding:vnic_type"] = text },
}

--- shapes.page(key) -> shape
-- Of one page of a list: one without its key is none, not an empty one.
function M.page(key)
  return object { [key] = needed(list(M.items[key] or shape.any)), next = text,
    [key .. "_links"] = list(object { rel = text, href = text }) }
end

return M
