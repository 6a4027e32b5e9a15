-- Harvester's webhook after a restart of the API server: it does not know a new namespace.

local conditions = require "kube.conditions"
local in_cluster = require "support.in_cluster"
local json = require "host.json"
local requests = require "kube.requests"

local import_of, state = in_cluster.import, in_cluster.state

local function denial()
  return requests.failure("POST /x", { status = 404, headers = {},
    body = json.encode({ kind = "Status", message = 'admission webhook '
      .. '"validator.harvesterhci.io" denied the request: namespaces "default" not found' }) })
end

-- An import that no attempt may be counted of, while creations of that kind are denied;
-- and how to end that.
local function lagging(kind)
  local w = in_cluster.world({ spec = { maxRetries = 0 } })
  local create, lags = w.store.create, true
  function w.store:create(of, ...)
    if lags and of == kind then
      return nil, denial()
    end
    return create(self, of, ...)
  end
  w.target.caches = 0
  return w, function() lags = false end
end

describe("a webhook that has not seen the namespace yet", function()
  for kind, before in pairs { VirtualMachine = "", VirtualMachineImage = "disksExported" } do
    it("is waited for, and ends nothing: " .. kind, function()
      local w, catch_up = lagging(kind)
      for _ = 1, 12 do
        local outcome = in_cluster.run(w)
        assert.equal(before, state(w) or "")
        assert.is_true(outcome.after <= 30)
        w.clock = w.clock + outcome.after
      end
      local said = conditions.find(import_of(w).status.conditions, "Ready")
      assert.equal("HarvesterUnreachable", said.reason)
      assert.truthy(said.message:find("the webhook has not seen it yet", 1, true))
      assert.is_nil(import_of(w).status.attempt)
      catch_up()
      w.clock = w.clock + 30
      in_cluster.run(w)
      assert.equal("diskImageSubmitted", state(w))
    end)
  end
end)
