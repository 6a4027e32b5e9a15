local file = require "host.file"
local shipped = require "base.shipped"

describe("base.shipped", function()
  for _, name in ipairs { "crds/vmwaresources.yaml", "deploy/policy.yaml" } do
    it("finds " .. name, function()
      assert.truthy(file.read(shipped.path(name)))
    end)
  end

  it("finds it beside lua/, wherever that is", function()
    local search = package.searchpath
    finally(function()
      package.searchpath = search
    end)
    package.searchpath = function(module)
      return "/usr/share/x/lua/" .. module:gsub("%.", "/") .. ".lua"
    end
    assert.equal("/usr/share/x/crds", shipped.path("crds"))
  end)
end)
