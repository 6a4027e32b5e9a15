local mode = require "flows.import.mode"

local FINDING = { code = "SpaceMayRunOut" }

local function decide(opts)
  local ctx = {
    options = { no_scratch = opts.no_scratch },
    target = { can = { images = not opts.files }, disks = {
      room = function()
        return not opts.unknown and (opts.free or 100) or nil, 50
      end,
      space_finding = function() return FINDING end,
    } },
  }
  return mode.decide({ spec = { transferMode = opts.wanted } }, ctx,
    { can = { reread = opts.rereads ~= false } }, {})
end

describe("flows.import.mode", function()
  local function takes(expected, reason, opts)
    for _, wanted in ipairs { "", "Auto" } do
      opts.wanted = wanted ~= "" and wanted or nil
      local transfer, finding = decide(opts)
      assert.equal(expected, transfer.mode)
      assert.truthy(transfer.reason:find(reason, 1, true), transfer.reason)
      assert.equal(opts.finding, finding)
    end
  end

  it("lets disks wait in scratch where there is room", function()
    takes("Spool", "are free in scratch, the disks need", {})
    takes("Spool", "are free in scratch, the disks need", { free = 50 })
  end)

  it("passes them on where there is not, or where nobody can tell", function()
    takes("Stream", "are free in scratch, the disks may need", { free = 49 })
    takes("Stream", "nobody can tell", { unknown = true })
  end)

  it("lets disks of a source that is read but once wait, whatever room there is", function()
    takes("Spool", "cannot be read again", { free = 10, rereads = false, finding = FINDING })
  end)

  it("takes what the import names, and warns of scratch that may not do", function()
    local transfer, finding = decide({ wanted = "Spool", free = 10 })
    assert.same({ mode = "Spool", reason = "spec.transferMode" }, transfer)
    assert.equal(FINDING, finding)
    transfer, finding = decide({ wanted = "Stream" })
    assert.same({ mode = "Stream", reason = "spec.transferMode" }, transfer)
    assert.is_nil(finding)
  end)

  it("refuses to pass on what is read but once", function()
    local transfer, finding = decide({ wanted = "Stream", rereads = false })
    assert.is_nil(transfer)
    assert.equal("TransferModeUnsupported", finding.code)
    assert.equal("Blocks", finding.severity)
  end)

  it("decides nothing where disks end in files", function()
    assert.is_nil(decide({ files = true, wanted = "Stream" }))
  end)

  it("passes everything on where there is no scratch, or says before that it cannot", function()
    takes("Stream", "there is no scratch", { no_scratch = true })
    assert.equal("Stream", decide({ no_scratch = true, wanted = "Stream" }).mode)
    for _, opts in ipairs { { wanted = "Spool" }, { rereads = false } } do
      opts.no_scratch = true
      local transfer, finding = decide(opts)
      assert.is_nil(transfer)
      assert.equal("Blocks", finding.severity)
      assert.equal("NoScratch", finding.code)
    end
  end)

  it("may be changed while it is Auto, and the source is read as often as need be", function()
    local function may(wanted, rereads)
      return mode.may_stream({ spec = { transferMode = wanted } },
        { can = { reread = rereads } })
    end
    assert.is_true(may(nil, true))
    assert.is_true(may("", true))
    assert.is_true(may("Auto", true))
    assert.is_false(may("Auto", false))
    assert.is_false(may("Spool", true))
  end)
end)
