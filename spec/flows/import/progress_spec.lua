local progress = require "flows.import.progress"

local DISKS = { { id = "a", capacity_bytes = 10e9 // 1 | 0 },
  { id = "b", capacity_bytes = 50e6 // 1 | 0 } }

local function reading(now)
  return { progress = function() return now end }
end

describe("flows.import.progress", function()
  it("says how far the disks are that are being read, and when they will be there", function()
    assert.equal("disk 1/2 25 % of 10.0 GB, 1.0 GB at 10 MB/s, 5 min left",
      progress.describe(DISKS, { a = reading({ position = 2500000000, received = 1000000000,
        rate = 1e7 }) }))
    assert.equal("disk 1/2 0 % of 10.0 GB, 0 MB at 0 MB/s; "
      .. "disk 2/2 50 % of 50 MB, 20 MB at 2 MB/s, 10 s left",
      progress.describe(DISKS, {
        a = reading({ position = 0, received = 0, rate = 0 }),
        b = reading({ position = 25000000, received = 20000000, rate = 2e6 }),
      }))
    assert.equal("", progress.describe(DISKS, {}))
  end)

  it("knows the part of all disks together", function()
    local b = reading({ position = 25000000 })
    assert.near(0.0024876, progress.fraction(DISKS, { b = b }, {}), 1e-6)
    assert.near(0.9975124, progress.fraction(DISKS, { b = b }, { a = true }), 1e-6)
    assert.equal(1, progress.fraction(DISKS, {}, { a = true, b = true }))
  end)
end)
