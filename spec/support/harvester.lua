--- support.harvester: the strict stand-in for Harvester (spec/labs/harvester), and what it
-- has seen.

local env = require "host.env"
local http = require "host.http"
local json = require "host.json"
local lab = require "support.lab"
local process = require "host.process"
local task = require "host.task"

local M = { real = (env.get("VIC_REAL") or "") ~= "" }

local HERE = "spec/labs/harvester/"

local methods = {}
local mt = { __name = "support.harvester", __index = methods }

local function script(name, ...)
  local result = assert(process.run({
    argv = { HERE .. name, ... },
    inherit = true,
    timeout = 1200, -- the first one ever builds it
  }))
  assert(result.status == 0, name .. ": " .. result.stderr)
  return result.stdout
end

local function ask(self, method, path, body)
  local answer = assert(http.request({
    url = self.control .. path,
    method = method,
    body = body and json.encode(body),
    max_body = 256 * 1024 * 1024,
  }))
  assert(answer.status < 300, answer.body)
  return answer.body ~= "" and json.decode(answer.body) or nil
end

--- harvester:state(image) -> table                                      [waits]
-- How images were asked for, and requests that were refused (its README).
--
--   image  "namespace/name"; nil: of all
function methods:state(image)
  return ask(self, "GET", "/state" .. (image and "?image=" .. image or ""))
end

--- harvester:forget()                                                   [waits]
function methods:forget()
  ask(self, "DELETE", "/state")
end

--- harvester:fault(fault)                                               [waits]
-- Makes something go wrong, as its README has it.
function methods:fault(fault)
  ask(self, "POST", "/faults", fault)
end

--- harvester:mend()                                                     [waits]
-- Nothing goes wrong any more.
function methods:mend()
  ask(self, "DELETE", "/faults")
end

--- harvester:holders(map)                                               [waits]
-- Where requests for the Lease's holder lead: beginning of its identity -> "host:port".
function methods:holders(map)
  ask(self, "PUT", "/holders", map)
end

--- harvester:resolve(map)                                               [waits]
-- Where names of the cluster lead: "host:port" -> "address:port".
function methods:resolve(map)
  ask(self, "PUT", "/resolve", map)
end

--- harvester:pulls(namespace, image) -> list of SHA-512                 [waits]
-- Of every download of the whole that came to its end.
function methods:pulls(namespace, image)
  local sums = {}
  for _, exchange in ipairs(self:state(namespace .. "/" .. image).exchanges or {}) do
    if (exchange.sha512 or "") ~= "" and exchange.done and (exchange.error or "") == "" then
      sums[#sums + 1] = exchange.sha512
    end
  end
  return sums
end

local function stop(self)
  if M.real then
    script("real/down", self.folder)
  end
  script("down", self.folder)
end

mt.__close = function(self)
  task.goodbye(stop, self)
end

--- harvester.start(cluster, ...) -> harvester, to be closed             [waits]
--
--   cluster  support.kube
--   ...      more flags
--
-- Where VIC_REAL is set, as real/alone does, Harvester's own programs run beside it.
function M.start(cluster, ...)
  local flags = { "--hurry", ... }
  if M.real then
    flags[#flags + 1] = "--real"
  end
  local said = script("up", cluster.folder, table.unpack(flags))
  if M.real then
    script("real/up", cluster.folder)
  end
  return setmetatable({
    folder = cluster.folder,
    control = assert(said:match("HARVESTER=(%S+)")),
  }, mt)
end

M.eventually = lab.wait_for

return M
