local transfer = require "flows.import.transfer"

local function decide(opts)
  local ctx = {
    options = { no_scratch = opts.no_scratch },
    target = { can = { images = true }, disks = {
      room = function() return opts.free or 100, 50 end,
      space_finding = function() end,
    } },
  }
  return transfer.decide({ spec = { transferMode = opts.wanted } }, ctx,
    { can = { reread = opts.rereads ~= false } }, {})
end

describe("flows.import.transfer", function()
  it("lets disks wait in scratch where there is room, and passes them on where not", function()
    assert.equal("Spool", decide({}).mode)
    assert.equal("Stream", decide({ free = 10 }).mode)
    assert.equal("Spool", decide({ free = 10, rereads = false }).mode)
  end)

  it("passes everything on where there is no scratch, or says before that it cannot", function()
    assert.equal("Stream", decide({ no_scratch = true }).mode)
    assert.equal("Stream", decide({ no_scratch = true, wanted = "Stream" }).mode)
    for _, opts in ipairs { { wanted = "Spool" }, { rereads = false } } do
      opts.no_scratch = true
      local way, finding = decide(opts)
      assert.is_nil(way)
      assert.equal("Blocks", finding.severity)
      assert.equal("NoScratch", finding.code)
    end
  end)
end)
