-- Clouds whose answers are of another type than the references say: every call of an
-- import, every field of its answer, every type. Nothing throws, and what is wrong is said.

local json = require "host.json"
local openstack = require "providers.openstack"
local program = require "support.program"
local rest = require "support.rest"
local storage = require "support.storage"
local values = require "base.values"

local SECRET, SPEC = rest.cloud.secret, rest.cloud.spec
local ID, VOLUMES = rest.cloud.server, rest.cloud.volumes
local SERVER = "GET /compute/v2.1/servers/" .. ID
local BOOT = ("GET %s/volumes/%s"):format(VOLUMES, rest.data("volume_boot").volume.id)
local TOKENS = "POST /identity/v3/auth/tokens"
local INTERFACES = SERVER .. "/os-interface"
local ACTIONS = SERVER .. "/os-instance-actions"

local deep = json.array({})
for _ = 1, 40 do
  deep = json.array({ deep })
end
local WRONG = { null = json.null, number = 7, fraction = 0.5, below = -1, text = "x",
  boolean = true, list = json.array({}), object = {}, numbers = json.array({ 7 }),
  objects = json.array({ {} }), map = { x = 7 }, deep = deep }

local NAMES = {}
for name in pairs(WRONG) do
  NAMES[#NAMES + 1] = name
end
table.sort(NAMES)
local EACH = program.full and 1 or 12 -- of how many types one is tried at a place

-- Answers of a cloud that has all that an import asks for; its server is off.
local function answers_of(world)
  local server = rest.data("server_volumes")
  server.server.status, server.server["OS-EXT-STS:power_state"] = "SHUTOFF", 4
  server.server.flavor = { id = "f1" } -- of an old Nova: has to be asked for
  server.server.image = { id = "im" }
  local action = ("POST /compute/v2.1/servers/%s/action"):format(ID)
  local answers = world.answers {
    [SERVER] = rest.answer(200, server),
    ["GET /compute/v2.1/servers/detail"] = rest.answer(200, { servers = { server.server } }),
    ["GET /compute/v2.1/flavors/f1"] = rest.answer(200, { flavor = { id = "f1", vcpus = 2,
      ram = 512, disk = 1, swap = "", ["OS-FLV-EXT-DATA:ephemeral"] = 0 } }),
    ["GET /compute/v2.1/flavors/f1/os-extra_specs"] = rest.answer(200,
      { extra_specs = { ["hw:cpu_policy"] = "shared" } }),
    [INTERFACES] = rest.answer(200, rest.text("interfaces")),
    ["GET /network/v2.0/ports"] = rest.answer(200, rest.text("ports")),
    ["GET " .. VOLUMES .. "/limits"] = rest.answer(200, rest.text("limits")),
    [action] = function(request)
      local image = request.body:find("createImage", 1, true) and "im"
      return rest.answer(202, image and { image_id = image } or "")
    end,
  }
  world.things.images.im = rest.data("image")
  for _, name in ipairs { "volume_boot", "volume_data" } do
    local volume = rest.data(name).volume
    world.attached[volume.id] = volume
  end
  return setmetatable(answers, { __index = function()
    return rest.answer(404, "")
  end })
end

-- What a call is to a table of cases: the ids of what is made are others each time.
local function key_of(request)
  return ("%s %s"):format(request.method, request.url:match("^https?://[^/]*([^?]*)")
    :gsub("/(%l+)%-%d+", "/%1-N"))
end

-- A pool of that cloud; see(key, response) may give another answer in place of one.
local function pool_of(see)
  local world = storage.new()
  local pool = world.pool(answers_of(world))
  local plain = pool.request
  function pool:request(request)
    local response, err = plain(self, request)
    return response and see(key_of(request), response) or response, err
  end
  return pool
end

-- All that an import does with its source, as far as it comes. -> the first err
local function use(see)
  local first
  local function note(value, err)
    first = first or not value and err or nil
    return value
  end
  local pool = pool_of(see)
  local source <close> = note(openstack.open(SPEC, SECRET, {
    http = { pool = function() return pool end }, backoff = {}, poll = 0.001,
    stop_timeout = 0.002, delete_timeout = 0.002,
  }))
  if not source then
    return first
  end
  source.waits.retry_count, source.waits.retry_delay = 0, 0
  note(source:find { name = rest.data("server_volumes").server.name })
  note(source:find { name = ID })
  note(source:networks())
  note(source:power_state(ID))
  note(source:power_off(ID))
  local machine = note(source:inspect(ID))
  if not machine then
    return first
  end
  note(source:stamp(machine))
  note(source:preflight(machine))
  for _, disk in ipairs(machine.disks) do
    disk.capacity_bytes = 0 -- which nobody waits for
  end
  local recorded = {}
  local export <close> = note(source:export(machine, { id = "uid-1", record = function(entry)
    recorded[#recorded + 1] = entry
  end }))
  for _, disk in ipairs(export and machine.disks or {}) do
    note(export:stream(disk.id))
  end
  note(not export or export:complete())
  note(source:cleanup(recorded))
  return first
end

-- The places of a document, of lists the first item's: lists of keys, the root first.
local function places(value, at, found)
  found[#found + 1] = at
  if type(value) == "table" then
    for key, item in pairs(value) do
      if not (json.is_array(value) and key > 1) then
        local below = table.move(at, 1, #at, 1, {})
        below[#below + 1] = key
        places(item, below, found)
      end
    end
  end
  return found
end

-- The document with that value at a place.
local function with(document, place, value)
  if #place == 0 then
    return value
  end
  document = values.copy(document)
  local node = document
  for i = 1, #place - 1 do
    node = node[place[i]]
  end
  node[place[#place]] = value
  return document
end

-- Every call of an import -> its document.
local function all_calls()
  local documents = {}
  local err = use(function(key, response)
    if response.status < 300 and response.body ~= "" and not documents[key] then
      documents[key] = json.decode(response.body)
    end
  end)
  assert(not err, err)
  return documents
end

-- Call, place of its document, value, and what is said of it.
local SAID = {
  { TOKENS, {}, json.array({}), "the answer is a list, not an object" },
  { TOKENS, { "token" }, 7, "token is a number, not an object" },
  { TOKENS, { "token", "catalog" }, "x", "token.catalog is text, not a list" },
  { TOKENS, { "token", "catalog", 1, "endpoints" }, 7,
    "token.catalog[1].endpoints is a number, not a list" },
  { TOKENS, { "token", "expires_at" }, 7, "token.expires_at is a number, not text" },
  { "GET /compute/v2.1/servers/detail", { "servers" }, json.null, "servers is missing" },
  { SERVER, { "server", "flavor" }, json.array({}), "server.flavor is a list, not an object" },
  { SERVER, { "server", "addresses" }, 7, "server.addresses is a number, not an object" },
  { SERVER, { "server", "addresses", "shared" }, true,
    "server.addresses.shared is true or false, not a list" },
  { SERVER, { "server", "os-extended-volumes:volumes_attached" }, "x",
    "server.os-extended-volumes:volumes_attached is text, not a list" },
  { SERVER, { "server", "name" }, json.null, "server.name is missing" },
  { SERVER, { "server", "created" }, 7, "server.created is a number, not text" },
  { ACTIONS, { "instanceActions", 1, "start_time" }, 7,
    "instanceActions[1].start_time is a number, not text" },
  { INTERFACES, { "interfaceAttachments", 1, "mac_addr" }, json.null,
    "interfaceAttachments[1].mac_addr is missing" },
  { BOOT, { "volume", "size" }, "large", "volume.size is text, not a whole number" },
  { BOOT, { "volume", "size" }, -1, "volume.size is below 0" },
  { BOOT, { "volume", "attachments" }, {}, "volume.attachments is an object, not a list" },
  { "GET /image/v2/images/im", { "status" }, json.null, "status is missing" },
  { ("POST %s/snapshots"):format(VOLUMES), { "snapshot", "id" }, deep,
    "snapshot.id is a list, not text" },
}

describe("an answer of another type", function()
  local documents = all_calls()

  it("can be that of any call", function()
    local n = 0
    for _ in pairs(documents) do
      n = n + 1
    end
    assert.truthy(n >= 20, n)
  end)

  -- An import, with that value at a place of a call's document. -> pcall's
  local function use_with(key, place, value)
    local body = json.encode(with(documents[key], place, value))
    return pcall(use, function(asked, response)
      return asked == key and response.status < 300
        and { status = response.status, headers = response.headers, body = body } or nil
    end)
  end

  local function try(key, place, name)
    local ok, err = use_with(key, place, WRONG[name])
    local what = ("%s, %s: %s"):format(table.concat(place, "."), name, tostring(err))
    assert(ok, what)
    assert(not err or not err.message:find("[%c]"), what)
  end

  for _, case in ipairs(SAID) do
    local key, place, value, problem = table.unpack(case)
    it("is said: " .. problem, function()
      local ok, err = use_with(key, place, value)
      assert(ok, err)
      assert.equal("format", err.kind)
      local call = key == TOKENS and "logging in to https://" or key:match("/.*")
      assert.truthy(err.message:find(call, 1, true), err.message)
      assert.truthy(err.message:find(": " .. problem, 1, true), err.message)
    end)
  end

  for key, document in pairs(documents) do
    it("is no reason to throw: " .. key, function()
      for i, place in ipairs(places(document, {}, {})) do
        for j, name in ipairs(NAMES) do
          if i == 1 or (i + j) % EACH == 0 then
            try(key, place, name)
          end
        end
      end
    end)
  end
end)
