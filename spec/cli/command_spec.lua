local command = require "cli.command"
local errors = require "host.error"

describe("cli.command", function()
  local done

  local function run(args, work, needs)
    done = nil
    return command.run({
      name = "try",
      usage = "usage\n",
      options = { help = { short = "h" }, n = { value = "N", number = true } },
      needs = needs,
      work = work or function(values)
        done = values
      end,
    }, args)
  end

  it("ends with 0, or with the code that the work returns", function()
    assert.equal(0, run({ "-h" }))
    assert.is_nil(done)
    assert.equal(0, run({ "--n", "3", "x" }))
    assert.same({ "x", n = 3 }, done)
    assert.equal(7, run({}, function()
      return 7
    end))
  end)

  it("ends with 2 at a wrong command line, and does nothing", function()
    assert.equal(2, run({ "--m" }))
    assert.equal(2, run({}, nil, function()
      return "needs a file"
    end))
    assert.is_nil(done)
  end)

  it("ends with 1 when the work throws", function()
    assert.equal(1, run({}, function()
      error(errors.new("io", "broken"))
    end))
    assert.equal(1, run({}, function()
      error(errors.new("invalid", "two", { problems = { "one", "other" } }))
    end))
  end)

  it("reads the least rate of a disk: 1024 bytes a second, or what is given, also none",
    function()
      assert.equal(1024, command.least_rate({}))
      assert.equal(0, command.least_rate({ ["least-rate"] = "0" }))
      assert.equal(65536, command.least_rate({ ["least-rate"] = "65536" }))
      for _, text in ipairs { "-1", "1.5", "fast" } do
        local ok, err = pcall(command.least_rate, { ["least-rate"] = text })
        assert.is_false(ok)
        assert.equal(("--least-rate %s: must be a whole number of bytes a second, or 0")
          :format(text), err.message)
      end
    end)

  it("reads a size as Kubernetes writes it", function()
    assert.is_nil(command.size({}, "scratch-limit"))
    assert.equal(200 << 30, command.size({ ["scratch-limit"] = "200Gi" }, "scratch-limit"))
    for _, text in ipairs { "much", "1000", "-1Gi" } do
      local ok, err = pcall(command.size, { ["scratch-limit"] = text }, "scratch-limit")
      assert.is_false(ok)
      assert.equal(("--scratch-limit %s: must be a size of 1Mi or more, such as 200Gi")
        :format(text), err.message)
    end
  end)
end)
