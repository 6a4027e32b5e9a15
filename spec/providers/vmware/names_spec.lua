local names = require "providers.vmware.names"

describe("names", function()
  it("decodes hex of either case, and only what vSphere encodes", function()
    assert.equal("a/b%c\\d %20", names.decode("a%2fb%25c%5Cd %20"))
    assert.equal("a%2fb%25c%5cd", names.encode("a/b%c\\d"))
  end)

  it("takes what people type in either form", function()
    assert.is_true(names.same("a%2fb", "a/b"))
    assert.is_true(names.same("a%2fb", "a%2Fb"))
    assert.is_true(names.same("50%25", "50%"))
    assert.is_false(names.same("a%2fb", "a b"))
    assert.is_false(names.same("web", "Web"))
  end)

  it("compares paths part by part", function()
    assert.is_true(names.same_path({ "Prod", "a%2fb" }, { "Prod", "a/b" }))
    assert.is_false(names.same_path({ "Prod" }, { "Prod", "web" }))
  end)
end)

describe("names.near", function()
  local function near(wanted, ...)
    local entries, found = {}, {}
    for i, name in ipairs { ... } do
      entries[i] = { name = name }
    end
    for i, entry in ipairs(names.near(entries, wanted)) do
      found[i] = entry.name
    end
    return found
  end

  it("finds other case, slips and parts, the nearest first", function()
    assert.same({ "WEB01", "web02", "my-web01" },
      near("web01", "my-web01", "db", "web02", "WEB01"))
    assert.same({ "web01" }, near("wbe01", "web01", "mail"))
  end)

  it("does not offer what is nothing like it", function()
    assert.same({}, near("web01", "database", "mail", "x"))
    assert.same({}, near("db", "ab12", "web"))
  end)

  it("offers five at most, in order of their paths", function()
    assert.same({ "vm1", "vm2", "vm3", "vm4", "vm5" },
      near("vm0", "vm6", "vm5", "vm4", "vm3", "vm2", "vm1"))
  end)
end)
