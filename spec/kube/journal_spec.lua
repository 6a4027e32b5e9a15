local errors = require "host.error"
local journal = require "kube.journal"
local lines_of = require "support.lines"

local function object(name, uid)
  return { kind = "VirtualMachineImport",
    metadata = { namespace = "n", name = name or "a", uid = uid or "u1" } }
end

describe("kube.journal", function()
  it("writes lines that say what they are about", function()
    local j, lines = lines_of.journal()
    j:of(object()):warn("m", { reason = "R" })
    assert.same({ { level = "warn", message = "m", reason = "R", import = "n/a",
      kind = "VirtualMachineImport", namespace = "n", name = "a", uid = "u1" } }, lines)
  end)

  it("takes the same words for news once in a chapter, whatever their numbers", function()
    local j = journal.new(false)
    assert.is_true(j:is_new(object(), "c", "R", "image 1/2 3 %"))
    assert.is_false(j:is_new(object(), "c", "R", "image 1/2 97 %"))
    assert.is_true(j:is_new(object(), "c", "R", "image of another"))
    assert.is_false(j:is_new(object(), "c", "R", "image 2/2 4 %"))
    assert.is_true(j:is_new(object(), "c", "Other", "image 1/2 3 %"))
    assert.is_true(j:is_new(object(), "d", "R", "image 1/2 3 %"))
  end)

  it("tells objects, their parts, and one of the same name made anew apart", function()
    local j = journal.new(false)
    assert.is_true(j:is_new(object(), "c", "R", "m"))
    assert.is_true(j:is_new(object(), "c", "R", "m", "disk-1"))
    assert.is_true(j:is_new(object("b"), "c", "R", "m"))
    assert.is_true(j:is_new(object("a", "u2"), "c", "R", "m"))
  end)

  it("forgets an object that is gone", function()
    local j = journal.new(false)
    j:is_new(object(), "c", "R", "m")
    j:forget({ kind = "VirtualMachineImport", namespace = "n", name = "a" })
    assert.is_nil(next(j.pages))
    assert.is_true(j:is_new(object(), "c", "R", "m"))
  end)

  it("remembers no more than so much of one object", function()
    local j = journal.new(false)
    for i = 1, 1000 do
      j:is_new(object(), "c", "R", ("x"):rep(i))
    end
    local page = j.pages["VirtualMachineImport/n/a"]
    local count = 0
    for _ in pairs(page.said) do
      count = count + 1
    end
    assert.is_true(count <= 100)
  end)

  it("remembers a hundred things of a chapter, and begins anew with the next", function()
    local j = journal.new(false)
    for i = 1, 100 do
      assert.is_true(j:is_new(object(), "c", "R", ("x"):rep(i)))
    end
    assert.is_true(j:is_new(object(), "c", "R", ("x"):rep(101)))
    assert.is_true(j:is_new(object(), "c", "R", "x"))
    assert.is_false(j:is_new(object(), "c", "R", ("x"):rep(101)))
  end)

  it("gives a programming mistake its traceback, and an err none", function()
    local ok, err = xpcall(function()
      local named = {}
      return named.one.field
    end, journal.explained)
    assert.is_false(ok)
    assert.equal("internal", err.kind)
    assert.truthy(err.traceback:find("journal_spec", 1, true))
    ok, err = xpcall(error, journal.explained, errors.new("busy", "later"))
    assert.is_false(ok)
    assert.equal("busy", err.kind)
    assert.is_nil(err.traceback)
  end)
end)
