--- cli.endpoints: where sources may not lead (host.http's deny): --deny-endpoints.
--
-- Whoever may create a source names hosts that this process then asks, and reads what
-- they answer. In a cluster it stands where he does not: beside the API server, Services,
-- and what a node or a cloud tells its own machines.

local errors = require "host.error"
local http = require "host.http"

local M = {}

--- endpoints.option: of cli.arguments.
M.option = { value = "LIST" }

--- endpoints.default: of a controller.
M.default = "loopback,link-local,cluster"

-- Of a command at a shell: loopback is allowed, for people reach a vCenter through a
-- tunnel, and who runs it may connect there anyway. What clouds tell their machines is
-- no source, and the answer of a hostile one must not lead there.
local STANDALONE = { { range = "link-local" } }

-- Nothing says how large the range of Services is; 2^16 addresses is what Harvester, K3s
-- and RKE2 have, and a part of what kubeadm has.
local SERVICE_BITS, SERVICE_BITS_V6 = 16, 112

local function add_cluster(list, url, service)
  local host = url and (url:match("^%a+://%[([^%]]+)%]") or url:match("^%a+://([^/:]+)"))
  if host then
    list[#list + 1] = { host = host, name = "the API server" }
  end
  if service and service ~= "" then
    local bits = service:find(":", 1, true) and SERVICE_BITS_V6 or SERVICE_BITS
    list[#list + 1] = { range = ("%s/%d"):format(service, bits),
      name = "the cluster's Services" }
  end
end

--- endpoints.list(text, opts) -> list for http.deny | nil
-- Of "loopback,link-local,cluster,10.52.0.0/16"; "none": of nothing. nil for "".
--
--   opts.url      string  the API server's
--   opts.service  string  KUBERNETES_SERVICE_HOST, or nil: this is no pod
function M.list(text, opts)
  local list = {}
  for word in text:gmatch("[^,%s]+") do
    if word == "cluster" then
      add_cluster(list, opts.url, opts.service)
    elseif word ~= "none" then
      list[#list + 1] = { range = word }
    end
  end
  return text:find("[^,%s]") and list or nil
end

--- endpoints.deny(text, opts)
-- From now on no connection but those to the API server leads there; throws for what is
-- no list. `text` nil: the default.
function M.deny(text, opts)
  local list = M.list(text or M.default, opts)
  local ok, err
  if list then
    ok, err = http.deny(list)
  else
    err = errors.new("invalid", "it is empty; none is for nothing")
  end
  if not ok then
    error(errors.wrap(err, "--deny-endpoints"))
  end
end

--- endpoints.standalone()
-- The same for a command at a shell.
function M.standalone()
  assert(http.deny(STANDALONE))
end

return M
