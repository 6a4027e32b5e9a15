-- The same error at the same byte is met twice, in one attempt or in two, however the
-- disks go.

local conditions = require "kube.conditions"
local errors = require "host.error"
local in_cluster = require "support.in_cluster"
local json = require "host.json"
local pace = require "support.pace"
local standalone = require "support.standalone"
local task = require "host.task"

describe("flows.import.same_error", function()
  local function wrong_at(byte)
    return errors.new("format", ("byte %d: the grain is damaged"):format(byte))
  end

  -- Of a disk that is passed on: what look() says went wrong last, and how often.
  local function reads(look)
    return setmetatable({ close = function() end, progress = function()
      local err, failed = look()
      return { position = 0, received = 0, rate = 0, reading = 0, error = err,
        failed = failed }
    end }, { __close = function() end })
  end

  -- Disks that are passed on, and each attempt's read of the first one fails with the next
  -- of these; a process for each attempt. Returns the world and the attempts it took.
  local function passed_on(failures)
    local w = in_cluster.world({ spec = { transferMode = "Stream" } })
    w.source.can = { reread = true }
    local attempts, broken = 0, false
    function w.target.publish_stream(_, disk)
      return reads(function()
        local err = broken and disk.id == "2000" and failures[attempts] or nil
        return err, err and 1 or 0
      end)
    end
    repeat
      attempts, broken = attempts + 1, false
      local step = task.spawn(in_cluster.run, w)
      assert.is_true(pace.eventually(function()
        local list = in_cluster.images(w) -- the first one anew in each attempt
        return #list == 2 and not list[1].status
      end))
      broken = true
      for i, image in ipairs(in_cluster.images(w)) do
        in_cluster.set_image(w, image.metadata.name, failures[attempts] and i == 1
          and { conditions = json.array({ { type = "RetryLimitExceeded", status = "True",
            message = "reset" } }) }
          or { size = 1, virtualSize = 1, storageClassName = "lh-x",
            conditions = json.array({ { type = "Imported", status = "True" } }) })
      end
      step:join()
      w.clock = w.clock + 3600
    until in_cluster.state(w) ~= "diskImageFailed" or attempts == 9
    return w, attempts
  end

  it("ends an import whose disk is passed on and wrong twice at the same byte", function()
    local w, attempts = passed_on { wrong_at(512), wrong_at(512), wrong_at(512) }
    assert.equal(2, attempts)
    assert.equal("VMMigrationFailed", in_cluster.state(w))
    local stalled = conditions.find(in_cluster.import(w).status.conditions, "Stalled")
    assert.matches("^disk 2000 of web 01: byte 512: .*fetched twice", stalled.message)
  end)

  it("ends it too while Harvester would still download the image again", function()
    local w = in_cluster.world({ spec = { transferMode = "Stream" } })
    w.source.can = { reread = true }
    local failed = 0
    function w.target.publish_stream()
      return reads(function()
        return failed > 0 and wrong_at(512) or nil, failed
      end)
    end
    local step = task.spawn(in_cluster.run, w)
    failed = 1
    assert.is_true(pace.eventually(function()
      local entry = ((in_cluster.import(w).status or {}).diskImportStatus or {})[1]
      return entry and entry.lastError
    end))
    task.sleep(0.02) -- looks that find nothing new
    assert.equal("diskImageSubmitted", in_cluster.state(w))
    failed = 2
    step:join()
    assert.equal("VMMigrationFailed", in_cluster.state(w))
  end)

  it("reads a disk again that was wrong at another byte, and forgets it then", function()
    local w, attempts = passed_on { wrong_at(512), wrong_at(1024), wrong_at(512) }
    assert.equal(4, attempts)
    assert.equal("virtualMachineCreated", in_cluster.state(w))
    for _, entry in ipairs(in_cluster.import(w).status.diskImportStatus) do
      assert.is_nil(entry.lastError)
    end
  end)

  it("ends an import whose disk is fetched and wrong once in each attempt", function()
    local w = standalone.world()
    w.target.fail["2000"] = { wrong_at(512), errors.new("nospace", "full"), wrong_at(512) }
    standalone.run(w)
    assert.equal(1, standalone.import(w).status.attempt)
    w.clock = w.clock + 3600
    standalone.run(w)
    assert.equal("VMMigrationFailed", standalone.import(w).status.importStatus)
    assert.matches("byte 512: .*fetched twice",
      standalone.condition(w, "Stalled").message)
    for _, entry in ipairs(standalone.import(w).status.diskImportStatus) do
      assert.is_nil(entry.lastError) -- whoever begins it anew has two fetches again
    end
  end)

  it("ends an import whose disk has twice the same digest that is not the source's", function()
    local w = standalone.world({ sent = { ["2000"] = { algorithm = "sha1", value = "BB" } } })
    standalone.run(w)
    assert.equal(1, standalone.import(w).status.attempt)
    w.clock = w.clock + 3600
    standalone.run(w)
    assert.equal("VMMigrationFailed", standalone.import(w).status.importStatus)
    assert.matches("sha1 of what came is aa, .*fetched twice",
      standalone.condition(w, "Stalled").message)
  end)
end)
