local plan = require "policy.plan"
local sample = require "support.sample"

local function planned(changes)
  return assert(plan.build(sample.input(changes)))
end

describe("policy.cpu", function()
  it("puts all cores into one socket where the target takes no more, and says so", function()
    local input = sample.input({ cpu = { sockets = 2, cores = 4 } })
    input.defaults = { max_sockets = 1 }
    local p = assert(plan.build(input))
    assert.same({ sockets = 1, cores = 8 }, p.cpu)
    local said = false
    for _, finding in ipairs(p.findings) do
      said = said or finding.code == "SocketsMerged"
    end
    assert.is_true(said)
  end)

  it("keeps the source's topology: 1 x 8 is not 8 x 8", function()
    for _, cpu in ipairs({ { 1, 8 }, { 8, 1 }, { 2, 4 }, { 1, 1 }, { 4, 16 } }) do
      local p = planned({ cpu = { sockets = cpu[1], cores = cpu[2] } })
      local domain = p.virtual_machine.spec.template.spec.domain
      assert.same({ sockets = cpu[1], cores = cpu[2] }, p.cpu)
      assert.equal(cpu[1], domain.cpu.sockets)
      assert.equal(cpu[2], domain.cpu.cores)
      assert.equal(1, domain.cpu.threads)
      assert.equal(cpu[1], domain.cpu.maxSockets)
      assert.equal(tostring(cpu[1] * cpu[2]), domain.resources.limits.cpu)
    end
  end)

  it("counts memory in MiB, binary, to the byte", function()
    for mib, text in pairs({ [4096] = "4096Mi", [512] = "512Mi", [1] = "1Mi",
      [3141592] = "3141592Mi" }) do
      local p = planned({ memory_bytes = mib * 1048576 })
      local domain = p.virtual_machine.spec.template.spec.domain
      assert.equal(mib, p.memory_mib)
      assert.equal(text, domain.memory.guest)
      assert.equal(text, domain.resources.limits.memory)
      assert.is_nil(sample.find(p.findings, "MemoryRounded"))
    end
  end)

  it("rounds memory up to whole MiB, and says so", function()
    local p = planned({ memory_bytes = 1048577 })
    assert.equal(2, p.memory_mib)
    assert.equal("Informs", sample.find(p.findings, "MemoryRounded").severity)
  end)
end)
