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

describe("names, in detail:", function()
  it("what vCenter writes otherwise, and nothing else, is read and written so", function()
    assert.equal("a/b\\c%d", names.decode("a%2fb%5Cc%25d"))
    assert.equal("a%20b%2", names.decode("a%20b%2"))
    assert.equal("a%2fb%5cc%25d", names.encode("a/b\\c%d"))
  end)

  it("one is the same in either form", function()
    assert.is_true(names.same("a%2fb", "a/b"))
    assert.is_true(names.same("a%2fb", "a%2Fb"))
    assert.is_true(names.same("a%2fb", "a%2fb"))
    assert.is_true(names.same("a/b", "a%2fb"))
    assert.is_false(names.same("a", "b"))
  end)

  it("a path is the same, part for part", function()
    assert.same({ "a", "b" }, names.split("//a///b/"))
    assert.is_true(names.same_path({ "a", "b%2f" }, { "a", "b/" }))
    assert.is_true(names.same_path({}, {}))
    assert.is_false(names.same_path({ "a" }, { "a", "b" }))
    assert.is_false(names.same_path({ "a", "b" }, { "a" }))
    assert.is_false(names.same_path({ "x", "b" }, { "a", "b" }))
    assert.is_false(names.same_path({ "a", "x" }, { "a", "b" }))
  end)

  -- Whether one is like the other.
  for _, case in ipairs {
    { "web", "WEB", true }, { "a%2fb", "a/B", true },
    -- short names: one change
    { "webs", "web", true }, { "we", "web", true }, { "wex", "web", true },
    { "wxy", "web", false }, { "ewb", "web", true },
    { "abcd", "abxy", false },
    -- from five letters on: two
    { "server", "sarvar", true }, { "server", "sarvax", false }, { "servers1", "server", true },
    { "esrver", "server", true }, { "esrvre", "server", false },
    { "abcde", "abcxy", true }, { "abcdef", "uvwxyz", false },
    -- one within the other
    { "my-web-01", "web", true }, { "web", "my-web-01", true }, { "my-we-01", "we", false },
    { "we", "my-we-01", false },
    { "a-(x).y-b", "(x).y", true }, { "(x).y", "a-(x).y-b", true },
    { "something", "s.m.t", false }, { "s.m.t", "something", false },
  } do
    it(("%s is%s like %s"):format(case[1], case[3] and "" or " not", case[2]), function()
      assert.equal(case[3] and 1 or 0, #names.near({ { name = case[1] } }, case[2]))
    end)
  end

  it("the nearest come first, equals by path, and no more than five", function()
    local entries = {
      { name = "my-server", path = "/9" }, { name = "sarver", path = "/8" },
      { name = "server", path = "/7" }, { name = "sarvar", path = "/6" },
      { name = "server", path = "/5" }, { name = "serve", path = "/4" },
      { name = "other", path = "/3" },
    }
    local order = {}
    for i, entry in ipairs(names.near(entries, "server")) do
      order[i] = entry.path
    end
    assert.equal("/5 /7 /4 /8 /6", table.concat(order, " "))
    assert.equal(2, #names.near({ { name = "b" }, { name = "a" } }, "a"))
    assert.equal("a", names.near({ { name = "b" }, { name = "a" } }, "a")[1].name)
  end)
end)
