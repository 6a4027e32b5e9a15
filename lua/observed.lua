--- observed: what the controller shows of itself: health, readiness, metrics.
--
-- A replica is ready while it leads and knows all imports: so the Service sends those who
-- download images to the one that has them.

local log = require "host.log"
local metrics = require "host.metrics"

local M = {}

-- A server that answers nobody, where the port is not to be had.
local NOBODY = { ready = function() end }

--- observed.serve(host, port) -> observed
-- Listens there; where that fails the controller works on without, and says so.
--
--   observed.ready(is_ready, why)              for /readyz
--   observed.on_request(method, kind, status)  as kube.client's
--   observed.on_result(key, ok)                as kube.controller's
--   observed.server                            to be kept
function M.serve(host, port)
  local server, err = metrics.serve({ host = host, port = port })
  if not server then
    log.warn("health and metrics are not served: " .. err.message)
    server = NOBODY
  end
  local requests = metrics.counter("vmimport_api_requests_total",
    "Requests to the Kubernetes API.", { "method", "code" })
  local reconciles = metrics.counter("vmimport_reconciles_total",
    "Objects looked at, by kind and outcome.", { "kind", "result" })
  local leading = metrics.gauge("vmimport_leader",
    "1 while this replica leads and knows all imports.")
  leading:set(0)
  return {
    server = server,
    ready = function(is_ready, why)
      leading:set(is_ready and 1 or 0)
      server:ready(is_ready, why)
    end,
    on_request = function(method, _, status)
      requests:add(1, { method = method, code = tostring(status) })
    end,
    on_result = function(key, ok)
      reconciles:add(1, { kind = key.kind, result = ok and "success" or "error" })
    end,
  }
end

return M
