--- controller.references: whether a reference into another namespace is followed.
--
-- The controller cannot know who wrote an object, admission can: deploy/policy.yaml asks
-- whether the writer may read what is named. Only while that stands, and is bound, are
-- such references followed, unless the administrator says otherwise.

local errors = require "host.error"
local file = require "host.file"
local shipped = require "base.shipped"
local time = require "host.time"
local values = require "base.values"
local yaml = require "host.yaml"

local methods = {}
local mt = { __name = "references", __index = methods }

local M = {}

--- references.modes: what --cross-namespace may say; the first is the default.
M.modes = { "admitted", "allow", "deny" }

local LOOKED_FOR = 2 -- seconds that a look at the policy counts
local AGAIN = 30     -- seconds until what was refused is looked at again

-- Why an object of the policy does not stand as it is shipped, or nil.
local function differs(self, ours)
  local what = ("%s %s"):format(ours.kind, ours.metadata.name)
  local there, err = self.client:get(ours.kind, nil, ours.metadata.name)
  if not there and err.kind == "notfound" then
    return what .. " is not there"
  elseif not there then
    return ("%s cannot be read (%s)"):format(what, err.message)
  elseif there.metadata.deletionTimestamp then
    return what .. " is being deleted"
  elseif not values.same(there.spec, ours.spec) then
    return what .. " is not as it is shipped with this version"
  end
end

local function look(self)
  for _, ours in ipairs(self.policy) do
    local why = differs(self, ours)
    if why then
      return why
    end
  end
end

-- Why the policy does not stand, or nil; asked anew when the last look is seconds old.
local function missing(self)
  local now = self.clock()
  if not self.looked_at or now - self.looked_at > LOOKED_FOR then
    self.why = look(self)
    self.looked_at = now
  end
  return self.why
end

local function refused(what, from, why, action)
  return nil, errors.new("denied", ("%s is in another namespace than %s, and is not "
    .. "followed: %s; %s"):format(what, from, why, action),
    { reason = "CrossNamespaceRefused", waits = "CrossNamespaceRefused", after = AGAIN })
end

local HERE = "name one in the same namespace"

--- references:follow(from, namespace, what) -> true | nil, err          [waits]
-- Whether an object in namespace `from` may lead to `what`, which is in `namespace`.
--
--   what  string  for people: "Secret cattle-system/vcenter"
--   err   denied with reason and waits CrossNamespaceRefused: nobody's failed attempt
function methods:follow(from, namespace, what)
  if from == namespace or self.mode == "allow" then
    return true
  elseif self.mode == "deny" then
    return refused(what, from, "--cross-namespace=deny is set", HERE)
  end
  local why = missing(self)
  if why then
    return refused(what, from, why, HERE .. ", or apply deploy/policy.yaml (Kubernetes "
      .. "1.30 or later), or set --cross-namespace=allow (chart: crossNamespace)")
  end
  return true
end

--- references.new(opts) -> references
--
--   opts.client  kube.client
--   opts.mode    one of references.modes (default admitted)
--   opts.clock   function () -> seconds, for specs
function M.new(opts)
  local path = shipped.path("deploy/policy.yaml")
  return setmetatable({
    client = opts.client,
    mode = opts.mode or M.modes[1],
    clock = opts.clock or time.monotonic,
    policy = assert(yaml.parse(assert(file.read(path)), { what = path })),
  }, mt)
end

return M
