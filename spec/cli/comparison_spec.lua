local comparison = require "cli.comparison"

local function lines(decisions)
  local list = {}
  for line in comparison.text(decisions):gmatch("[^\n]+") do
    list[#list + 1] = line:gsub("%s+", " ")
  end
  table.remove(list, 1)
  return list
end

describe("comparison.text", function()
  it("shows what stands, what is changed, and what is nothing", function()
    assert.same({ "name web =", "disk_bus of 2000 sata virtio", "cloud_init - =",
      "description text -" },
      lines {
        { name = "name", builtin = "web", changed = false },
        { name = "disk_bus", subject = "2000", builtin = "sata", changed = true,
          site = "virtio" },
        { name = "cloud_init", changed = false },
        { name = "description", builtin = "text", changed = true },
      })
  end)

  it("shows of a table only the fields that differ", function()
    assert.same({ "labels.b 1 2", "labels.list[1] 1 3", "labels[x/y] - z" },
      lines { {
        name = "labels", changed = true,
        builtin = { a = "same", b = 1, list = { 1 } },
        site = { a = "same", b = 2, ["x/y"] = "z", list = { 3 } },
      } })
  end)

  it("calls a change that changes nothing none", function()
    assert.same({ "cpu {\"cores\":1} =" }, lines { { name = "cpu", changed = true,
      builtin = { cores = 1 }, site = { cores = 1 } } })
  end)

  it("keeps a line short and a terminal unmoved", function()
    local list = lines { { name = "x", changed = false, builtin = "\27[2J" .. ("ü"):rep(200) } }
    assert.is_nil(list[1]:find("%c"))
    assert.is_true(utf8.len(list[1]) < 80)
  end)
end)
