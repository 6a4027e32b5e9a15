-- What happens to a plan whose disk is larger than its source had said.

local size = require "flows.import.size"

local GIB = 2 ^ 30 | 0

local function world()
  local import = { status = { machine = { name = "web" }, findings = {
      { code = "Other", severity = "Informs", subject = "x", message = "m", action = "" } },
    plan = { disks = {
      { id = "a", name = "web-a", capacity_bytes = GIB },
      { id = "b", name = "web-b", capacity_bytes = 2 * GIB },
    } },
    diskImportStatus = { { diskName = "web-a", diskSize = GIB },
      { diskName = "web-b", diskSize = 2 * GIB } },
  } }
  local ctx = { record = function(fields)
    for key, value in pairs(fields(import.status)) do
      if key == "plan" then
        import.status.plan.disks = value.disks
      else
        import.status[key] = value
      end
    end
  end }
  return import, ctx
end

describe("size.settle", function()
  for what, capacity in pairs { ["as large as planned"] = GIB, ["of no stated size"] = false,
    ["smaller, which the decoder refuses"] = GIB // 2 } do
    it("leaves a plan alone for a disk that is " .. what, function()
      local import, ctx = world()
      local disk = import.status.plan.disks[1]
      assert.equal(disk, size.settle(import, ctx, disk, { capacity = capacity or nil }))
      assert.equal(1, #import.status.findings)
    end)
  end

  it("plans with what is really there, and says so", function()
    local import, ctx = world()
    local disk = size.settle(import, ctx, import.status.plan.disks[1],
      { capacity = 8 * GIB })
    assert.equal(8 * GIB, disk.capacity_bytes)
    assert.equal(GIB, disk.planned_bytes)
    assert.equal(2 * GIB, import.status.plan.disks[2].capacity_bytes)
    assert.equal(8 * GIB, import.status.diskImportStatus[1].diskSize)
    assert.equal(2 * GIB, import.status.diskImportStatus[2].diskSize)
    assert.same({ "DiskLargerThanSaid", "Other" },
      { import.status.findings[1].code, import.status.findings[2].code })
    assert.equal(disk, size.settle(import, ctx, disk, { capacity = 8 * GIB }))
    assert.equal(2, #import.status.findings)
  end)

  it("refuses what is no rounding any more", function()
    local import, ctx = world()
    local ok, err = pcall(size.settle, import, ctx, import.status.plan.disks[1],
      { capacity = 1000 * GIB })
    assert.is_false(ok)
    assert.equal("invalid", err.kind)
    assert.is_true(err.final)
  end)
end)

describe("size.keep", function()
  local function grown()
    local import, ctx = world()
    import.status.machine.id = "vm-1"
    size.settle(import, ctx, import.status.plan.disks[1], { capacity = 8 * GIB })
    return import
  end

  local function plan_of(bytes)
    return { disks = { { id = "a", name = "web-a", capacity_bytes = bytes },
      { id = "b", name = "web-b", capacity_bytes = 2 * GIB } } }
  end

  it("plans anew with what is really there, and says so again", function()
    local plan = plan_of(GIB)
    local found = size.keep(grown(), { id = "vm-1" }, plan)
    assert.equal(8 * GIB, plan.disks[1].capacity_bytes)
    assert.equal(GIB, plan.disks[1].planned_bytes)
    assert.equal(2 * GIB, plan.disks[2].capacity_bytes)
    assert.equal(1, #found)
    assert.equal("DiskLargerThanSaid", found[1].code)
    assert.truthy(found[1].message:find(("%d bytes, not %d"):format(8 * GIB, GIB), 1, true))
  end)

  for what, case in pairs { ["another machine"] = { "vm-2", GIB },
    ["a source that says something else now"] = { "vm-1", 3 * GIB } } do
    it("does not of " .. what, function()
      local plan = plan_of(case[2])
      assert.same({}, size.keep(grown(), { id = case[1] }, plan))
      assert.same(plan_of(case[2]), plan)
    end)
  end

  it("has nothing to keep of an import that was never planned", function()
    assert.same({}, size.keep({}, { id = "vm-1" }, plan_of(GIB)))
  end)
end)

describe("what is no rounding any more", function()
  local function taken(planned, capacity, before)
    local import, ctx = world()
    local disk = import.status.plan.disks[1]
    disk.capacity_bytes, disk.planned_bytes = before or planned, before and planned
    local ok, result = pcall(size.settle, import, ctx, disk, { capacity = capacity })
    return ok and result.capacity_bytes or result.reason, import
  end

  it("is more than twice what was planned, and 64 GiB more", function()
    assert.equal(65 * GIB, (taken(GIB, 65 * GIB)))
    assert.equal("DiskSizeDiffers", (taken(GIB, 65 * GIB + 1)))
    assert.equal(400 * GIB, (taken(200 * GIB, 400 * GIB)))
    assert.equal("DiskSizeDiffers", (taken(200 * GIB, 400 * GIB + 1)))
  end)

  it("is told by what was planned at first", function()
    assert.equal("DiskSizeDiffers", (taken(GIB, 66 * GIB, 65 * GIB)))
    local _, import = taken(GIB, 65 * GIB, 2 * GIB)
    assert.equal(GIB, import.status.plan.disks[1].planned_bytes)
  end)

  it("names the disk as the source does, where it does", function()
    local import, ctx = world()
    import.status.plan.disks[1].display_name = "Hard disk 1"
    size.settle(import, ctx, import.status.plan.disks[1], { capacity = 2 * GIB })
    assert.truthy(import.status.findings[1].message:find('^"Hard disk 1" has 2147483648'))
    import, ctx = world()
    size.settle(import, ctx, import.status.plan.disks[1], { capacity = 2 * GIB })
    assert.truthy(import.status.findings[1].message:find('^"web%-a" has 2147483648 bytes, not '
      .. "1073741824"))
  end)
end)
