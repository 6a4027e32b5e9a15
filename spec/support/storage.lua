--- support.storage: a Cinder and a Glance in a table: what is made is there, what is deleted
-- is gone.

local json = require "host.json"
local rest = require "support.rest"

local M = {}

local VOLUMES = rest.cloud.volumes

--- storage.new() -> world
--
--   world.things     {snapshots, volumes, images}: id -> object
--   world.attached   id -> volume: those of the server, see world.attach
--   world.log        list of "create KIND", "delete KIND"
--   world.on_find    function (): images are about to be looked for; optional
--   world.on_delete  function (kind, id) -> answer in its place, or nil; optional
function M.new()
  local things = { snapshots = {}, volumes = {}, images = {} }
  local made = 0
  local world = { things = things, log = {}, attached = {} }

  local function create(key, object)
    made = made + 1
    object.id = ("%s-%d"):format(key, made)
    things[key][object.id] = object
    return object
  end

  local function handle(request)
    local path = request.url:match("^https?://[^/]*([^?]*)")
    local key, id = path:match("/(%l+)/([%w-]+)$")
    if not things[key] then
      return nil
    elseif id == "detail" then
      local list = json.array({})
      for _, object in pairs(things[key]) do
        list[#list + 1] = object
      end
      return rest.answer(200, { [key] = list })
    elseif request.method == "DELETE" then
      local instead = world.on_delete and world.on_delete(key, id)
      if instead then
        return instead
      end
      world.log[#world.log + 1] = "delete " .. key
      things[key][id] = nil
      return rest.answer(204, "")
    end
    local object = things[key][id] or key == "volumes" and world.attached[id]
    if not object then
      return rest.answer(404, { itemNotFound = { message = "gone" } })
    end
    return rest.answer(200, key == "images" and object or { [key:sub(1, -2)] = object })
  end

  --- world.attach(ids) -> answer, of Nova: these volumes are the server's, in that order
  function world.attach(ids)
    local server = rest.data("server_volumes").server
    local list = json.array({})
    world.attached = {}
    for i, id in ipairs(ids) do
      list[i] = { id = id }
      world.attached[id] = { id = id, name = id, size = 1, status = "in-use",
        attachments = { { server_id = server.id, attachment_id = "of-" .. id,
          device = "/dev/vd" .. ("abcdefgh"):sub(i, i),
          attached_at = "2026-11-23T02:16:24.000000" } } }
    end
    server["os-extended-volumes:volumes_attached"] = list
    return rest.answer(200, { server = server })
  end

  --- world.pool(answers) -> pool of support.rest
  function world.pool(answers)
    local pool = rest.pool(answers)
    local plain = pool.request
    function pool:request(request)
      request.method = request.method or "GET"
      if request.url:find("/image/v2/images?name=", 1, true) then
        if world.on_find then
          world.on_find()
        end
        local list = json.array({})
        for _, image in pairs(things.images) do
          list[#list + 1] = image
        end
        return rest.answer(200, { images = list })
      end
      local answer = handle(request)
      if answer then
        return answer
      end
      return plain(self, request)
    end
    return pool
  end

  --- world.answers(more) -> answers, those of `more` in front
  function world.answers(more)
    local answers = rest.services()
    answers["POST " .. VOLUMES .. "/snapshots"] = function(request)
      local body = json.decode(request.body).snapshot
      world.log[#world.log + 1] = "create snapshots"
      return rest.answer(202, { snapshot = create("snapshots",
        { name = body.name, status = "available" }) })
    end
    answers["POST " .. VOLUMES .. "/volumes"] = function(request)
      local body = json.decode(request.body).volume
      world.log[#world.log + 1] = "create volumes"
      local volume = create("volumes", { name = body.name, status = "available" })
      local action = ("POST %s/volumes/%s/action"):format(VOLUMES, volume.id)
      answers[action] = more and more[action] or function(upload)
        local what = json.decode(upload.body)["os-volume_upload_image"]
        world.log[#world.log + 1] = "create images"
        local image = create("images", { name = what.image_name, status = "active",
          disk_format = "raw", size = 2 ^ 30 | 0, os_hash_algo = "sha512",
          os_hash_value = "AB" })
        return rest.answer(202, { ["os-volume_upload_image"] = { image_id = image.id } })
      end
      return rest.answer(202, { volume = volume })
    end
    answers["GET " .. VOLUMES .. "/messages"] = rest.answer(200, { messages = {
      { user_message = "upload volume to image: no room" } } })
    for key, value in pairs(more or {}) do
      answers[key] = value
    end
    return answers
  end

  --- world.left() -> how many things there are
  function world.left()
    local n = 0
    for _, list in pairs(things) do
      for _ in pairs(list) do
        n = n + 1
      end
    end
    return n
  end

  return world
end

return M
