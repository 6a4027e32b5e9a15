-- Disks of which nobody says a checksum.

local conditions = require "kube.conditions"
local verified = require "flows.import.verified"

local SUM = { algorithm = "sha1", value = "aa" }

local function world(verify)
  local import = { status = { machine = { name = "web" }, diskImportStatus = {}, plan = {
    disks = { { id = "a", name = "web-a", capacity_bytes = 1 },
      { id = "b", name = "web-b", capacity_bytes = 1 } } } } }
  local ctx = { now = function() return 0 end, options = { verify = verify } }
  function ctx.record(fields)
    for key, value in pairs(fields(import.status)) do
      import.status[key] = value
    end
  end
  return import, ctx, import.status.plan.disks
end

local function said(import, i)
  local entry = import.status.diskImportStatus[i]
  local condition = entry and conditions.find(entry.diskConditions, "Verified")
  return condition and condition.status, condition and condition.reason
end

local WAYS = {
  ["a checksum that is known before"] = { stream = { digest = SUM } },
  ["a checksum that comes at the end"] = { stream = { algorithms = { "sha1" } },
    sent = { a = SUM } },
  ["no checksum"] = { stream = {}, lacks = true },
  ["no algorithm"] = { stream = { algorithms = {} }, lacks = true },
  ["no checksum at the end, though it may"] = { stream = { algorithms = { "sha1" } },
    lacks = true },
}

local function run(import, ctx, disk, way)
  verified.check(import, ctx, disk, way.stream)
  verified.compare(import, ctx, { a = way.stream }, way.sent or {})
  verified.settle(import, ctx)
end

describe("a disk whose source says", function()
  for what, way in pairs(WAYS) do
    it(what .. " is imported, and said to be not verified where that is so", function()
      local import, ctx, disks = world()
      run(import, ctx, disks[1], way)
      assert.equal(way.lacks and "False" or nil, (said(import, 1)))
      assert.is_nil(said(import, 2))
      local list = import.status.findings or {}
      assert.equal(way.lacks and 1 or 0, #list)
      assert.equal(way.lacks and "NotVerified" or nil, list[1] and list[1].code)
    end)

    it(what .. " is refused by --verify=require where nobody vouches for it", function()
      local import, ctx, disks = world("require")
      local ok, err = pcall(run, import, ctx, disks[1], way)
      assert.equal(not way.lacks, ok)
      if not ok then
        assert.equal("NotVerified", err.reason)
        assert.is_true(err.final)
      end
    end)
  end

  it("nothing is refused by a later run that requires it, though the disk is here", function()
    local import, ctx, disks = world()
    verified.check(import, ctx, disks[1], {})
    ctx.options.verify = "require"
    assert.is_false(pcall(verified.settle, import, ctx))
  end)

  it("something at last is verified", function()
    local import, ctx, disks = world()
    verified.check(import, ctx, disks[1], {})
    verified.check(import, ctx, disks[1], { digest = SUM })
    assert.equal("True", (said(import, 1)))
    verified.settle(import, ctx)
  end)
end)
