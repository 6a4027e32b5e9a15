local errors = require "host.error"
local file = require "host.file"
local references = require "controller.references"
local values = require "base.values"
local yaml = require "host.yaml"

describe("controller.references", function()
  local shipped = assert(yaml.parse(assert(file.read("deploy/policy.yaml"))))
  local there, asked, now

  before_each(function()
    there, asked, now = values.copy(shipped), 0, 0
  end)

  local function follower(mode)
    local followed = references.new({
      mode = mode,
      clock = function()
        return now
      end,
      client = { get = function(_, kind)
        asked = asked + 1
        for _, object in ipairs(there) do
          if object.kind == kind then
            return object
          end
        end
        return nil, errors.new("notfound", "no such thing")
      end },
    })
    return function(from, namespace)
      return followed:follow(from, namespace, ("Secret %s/s"):format(namespace))
    end
  end

  -- The err of a reference from a to b.
  local function refusal(follow)
    local ok, err = follow("a", "b")
    assert.is_nil(ok)
    assert.equal("denied", err.kind)
    assert.equal("CrossNamespaceRefused", err.reason)
    assert.equal("CrossNamespaceRefused", err.waits)
    assert.equal(30, err.after)
    return err.message
  end

  it("follows what is in the same namespace, whatever is set", function()
    there = {}
    for _, mode in ipairs(references.modes) do
      assert.is_true(follower(mode)("a", "a"))
    end
    assert.equal(0, asked)
  end)

  it("follows into another namespace while the policy stands as shipped", function()
    assert.is_true(follower()("a", "b"))
  end)

  it("asks nobody where the administrator has said", function()
    assert.is_true(follower("allow")("a", "b"))
    assert.truthy(refusal(follower("deny")):find("Secret b/s is in another namespace than a, "
      .. "and is not followed: --cross-namespace=deny is set; name one in the same "
      .. "namespace", 1, true))
    assert.equal(0, asked)
  end)

  local TAMPERED = {
    ["there is no policy"] = function()
      table.remove(there, 1)
    end,
    ["there is no binding"] = function()
      table.remove(there, 2)
    end,
    ["the policy is being deleted"] = function()
      there[1].metadata.deletionTimestamp = "2026-11-30T00:00:00Z"
    end,
    ["a failure of it counts as a yes"] = function()
      there[1].spec.failurePolicy = "Ignore"
    end,
    ["it has conditions"] = function()
      there[1].spec.matchConditions = { { name = "never", expression = "false" } }
    end,
    ["it has parameters"] = function()
      there[1].spec.paramKind = { apiVersion = "v1", kind = "ConfigMap" }
    end,
    ["a validation is missing"] = function()
      table.remove(there[1].spec.validations)
    end,
    ["an expression is another"] = function()
      there[1].spec.validations[1].expression = "true"
    end,
    ["it looks at some namespaces only"] = function()
      there[1].spec.matchConstraints.namespaceSelector = { matchLabels = { x = "y" } }
    end,
    ["it looks at creations only"] = function()
      there[1].spec.matchConstraints.resourceRules[1].operations = { "CREATE" }
    end,
    ["the binding only writes a log"] = function()
      there[2].spec.validationActions = { "Audit" }
    end,
    ["the binding is for some objects only"] = function()
      there[2].spec.matchResources = { objectSelector = { matchLabels = { x = "y" } } }
    end,
    ["the binding has parameters"] = function()
      there[2].spec.paramRef = { name = "x", parameterNotFoundAction = "Allow" }
    end,
    ["the binding is of another policy"] = function()
      there[2].spec.policyName = "another"
    end,
  }
  for what, tamper in pairs(TAMPERED) do
    it("follows nothing when " .. what .. ", and says what to do", function()
      tamper()
      local message = refusal(follower())
      assert.truthy(message:find("apply deploy/policy.yaml", 1, true))
      assert.truthy(message:find("vm-import-references.migration.harvesterhci.io", 1, true))
    end)
  end

  it("follows nothing when the policy cannot be read, and says why", function()
    local followed = references.new({ client = { get = function()
      return nil, errors.new("denied", "you may not")
    end } })
    local _, err = followed:follow("a", "b", "Secret b/s")
    assert.truthy(err.message:find("cannot be read (you may not)", 1, true))
  end)

  it("looks again within seconds", function()
    local follow = follower()
    assert.is_true(follow("a", "b"))
    there = {}
    now = 2
    assert.is_true(follow("a", "b"))
    assert.equal(2, asked)
    now = 2.1
    refusal(follow)
    there = values.copy(shipped)
    now = 11
    assert.is_true(follow("a", "b"))
  end)
end)
