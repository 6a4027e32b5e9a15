--- support.rest: a pool that answers from a table, and recorded answers of OpenStack.

local json = require "host.json"

local M = {}

--- rest.text(name) -> text; rest.data(name) -> document
-- A recorded answer, spec/data/openstack/NAME.json.
function M.text(name)
  local file = assert(io.open(("spec/data/openstack/%s.json"):format(name)))
  local text = file:read("a")
  file:close()
  return text
end

function M.data(name)
  return assert(json.decode(M.text(name)))
end

-- {servers = {}} has no servers: what is empty in a document is a list.
local function listed(document)
  for name, item in pairs(document) do
    if type(item) == "table" and next(item) == nil then
      document[name] = json.array({})
    end
  end
  return document
end

--- rest.answer(status, document, headers) -> answer
function M.answer(status, document, headers)
  return { status = status, headers = headers or {},
    body = type(document) == "table" and json.encode(listed(document)) or document or "" }
end

--- rest.token(more) -> answer
-- Of Keystone, with the recorded catalogue.
function M.token(more)
  local document = M.data("token")
  for key, value in pairs(more or {}) do
    document.token[key] = value
  end
  return M.answer(201, document, { ["x-subject-token"] = "gAAAAA-secret" })
end

--- rest.cloud: what the specs of OpenStack import from.
--
--   secret, spec  of the source;  server  id;  volumes  Cinder's path
M.cloud = {
  secret = { username = "demo", password = "s3cret", project_name = "admin",
    domain_name = "default" },
  spec = { endpoint = "https://cloud/identity", region = "RegionOne" },
  server = M.data("server_volumes").server.id,
  volumes = "/volume/v3/" .. M.data("token").token.project.id,
}

--- rest.services() -> answers
-- Of a cloud with that server, which is logged in to and looked at.
function M.services()
  local volumes, server = M.cloud.volumes, M.cloud.server
  return {
    ["GET /identity/v3"] = M.answer(200, {}),
    ["POST /identity/v3/auth/tokens"] = M.token { expires_at = "2999-01-01T00:00:00Z" },
    ["GET /compute/v2.1/servers"] = M.answer(200, { servers = {} }),
    ["GET /compute/v2.1/"] = M.answer(200, { version = { version = "2.93" } }),
    ["GET " .. volumes .. "/volumes"] = M.answer(200, { volumes = {} }),
    ["GET /image/v2/images"] = M.answer(200, { images = {} }),
    ["GET /network/v2.0/networks"] = M.answer(200, M.text("networks")),
    ["GET /compute/v2.1/servers/" .. server] = M.answer(200, M.text("server_volumes")),
    [("GET /compute/v2.1/servers/%s/os-instance-actions"):format(server)] =
      M.answer(200, M.text("actions")),
  }
end

--- rest.pool(answers) -> pool
--
--   answers     "METHOD path" -> an answer; a list of them, the last one stays; or
--               function (request) -> answer | nil, err. Paths are without host, port
--               and query; the query is in request.url
--   pool.calls  list of requests
function M.pool(answers)
  local pool = { calls = {} }
  function pool:request(request)
    request.method = request.method or "GET"
    self.calls[#self.calls + 1] = request
    local key = request.method .. " " .. request.url:match("^https?://[^/]*([^?]*)")
    local found = assert(answers[key], "nothing answers to " .. key)
    if type(found) == "function" then
      return found(request)
    elseif found.status then
      return found
    end
    return #found > 1 and table.remove(found, 1) or found[1]
  end
  function pool:close()
    self.closed = true
  end
  return pool
end

return M
