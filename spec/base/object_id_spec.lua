local object_id = require "base.object_id"

describe("base.object_id", function()
  it("puts namespace and name together and takes them apart", function()
    assert.equal("n/a", object_id.of("n", "a"))
    assert.same({ "n", "a" }, { object_id.split("n/a") })
  end)

  it("does so where there is no namespace", function()
    assert.equal("/a", object_id.of(nil, "a"))
    assert.equal("/a", object_id.of("", "a"))
    assert.same({ "", "a" }, { object_id.split("/a") })
  end)

  for _, text in ipairs { "", "a", "n/", "n/a/b", "/" } do
    it(("does not take %q for one"):format(text), function()
      assert.is_nil(object_id.split(text))
    end)
  end
end)
