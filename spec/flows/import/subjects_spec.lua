local subjects = require "flows.import.subjects"

describe("flows.import.subjects.text", function()
  for text, names in pairs {
    ["Hard disk 1 to 3, 7"] = { "Hard disk 1", "Hard disk 2", "Hard disk 3", "Hard disk 7" },
    ["disk 1, 2"] = { "disk 2", "disk 1" },
    ["disk 1, 2, 4, 5"] = { "disk 1", "disk 2", "disk 4", "disk 5" },
    ["disk 1, 3 to 5"] = { "disk 1", "disk 3", "disk 4", "disk 5" },
    ["nic-1 to 3"] = { "nic-1", "nic-2", "nic-3" },
    ["spec.networkMapping[0, 2].x"] = { "spec.networkMapping[0].x", "spec.networkMapping[2].x" },
    ["disk 1"] = { "disk 1", "disk 1" },
    ["disk 01, disk 02"] = { "disk 01", "disk 02" },
    ["disk 0, 1"] = { "disk 0", "disk 1" },
    ["disk 999998, 999999"] = { "disk 999998", "disk 999999" },
    ["disk 1000000, disk 1000001"] = { "disk 1000000", "disk 1000001" },
    ["a1, a2"] = { "a1", "a2" },
    ["disk 1, nic 1"] = { "disk 1", "nic 1" },
    [""] = {},
  } do
    it(("says %q"):format(text), function()
      assert.equal(text, subjects.text(names))
    end)
  end
end)

describe("flows.import.subjects.joined", function()
  it("keeps within 1 KiB, and counts what has no room", function()
    local part = ("x"):rep(510)
    assert.equal(part .. "; " .. part, subjects.joined({ part, part }, "; "))
    assert.equal(part .. "; " .. part .. "; and 2 more",
      subjects.joined({ part, part, "a", "b" }, "; "))
    local long = ("x"):rep(511)
    assert.equal(long .. "; and 1 more", subjects.joined({ long, long }, "; "))
  end)

  it("keeps the first, whatever its length", function()
    local long = ("x"):rep(2000)
    assert.equal(long, subjects.joined({ long }, "; "))
    assert.equal(long .. "; and 1 more", subjects.joined({ long, "a" }, "; "))
  end)
end)

describe("flows.import.subjects.labels", function()
  it("are what the source calls disks and NICs", function()
    assert.same({ ["disk a"] = "Hard disk 1", ["nic b"] = "NIC" }, subjects.labels({
      disks = { { id = "a", name = "Hard disk 1" } }, nics = { { id = "b", name = "NIC" },
        { id = "c", name = "" }, { id = "d" } } }))
    assert.same({}, subjects.labels(nil))
  end)

  it("tell two of one name apart", function()
    assert.same({ ["disk a"] = "x (disk a)", ["disk b"] = "x (disk b)" },
      subjects.labels({ disks = { { id = "a", name = "x" }, { id = "b", name = "x" } } }))
  end)
end)
