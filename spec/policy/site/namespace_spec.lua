local namespace = require "policy.site.namespace"

describe("policy.site.namespace", function()
  local own = { namespace = "own" }

  local function check(value, site)
    return namespace.check(value, { import = own, site = site })
  end

  it("is the import's, or one that the administrator has listed", function()
    assert.equal("own", check("own"))
    assert.equal("team", check("team", { namespaces = { "other", "team" } }))
    local value, message = check("kube-system", { namespaces = { "team" } })
    assert.is_nil(value)
    assert.equal("kube-system is neither the import's namespace (own) nor listed in "
      .. "--allowed-namespaces (chart: allowedNamespaces)", message)
    assert.is_nil((check("team")))
  end)

  it("is any where scripts are code of the controller", function()
    assert.equal("kube-system", check("kube-system", { code = true }))
    assert.is_nil((check("a/b", { code = true })))
  end)
end)
