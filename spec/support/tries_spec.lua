local pace = require "support.pace"
local tries = require "support.tries"

describe("support.tries", function()
  local path

  before_each(function()
    path = os.tmpname()
  end)

  after_each(function()
    os.remove(path)
  end)

  it("gives a second try once within a run, and says so at its end", function()
    assert.is_nil(tries.said(path))
    assert.is_true(tries.again("a_spec", path))
    assert.is_true(tries.again("b_spec", path))
    assert.is_false(tries.again("a_spec", path))
    assert.same({ "a_spec", "b_spec", "a_spec" }, tries.list(path))
    assert.equal("3 second tries, each of which is a finding:\n  a_spec\n  b_spec\n  a_spec",
      tries.said(path))
  end)

  describe("pace.of_three", function()
    -- Fails so many times.
    local function failing(times)
      local tried = 0
      return function()
        tried = tried + 1
        if tried <= times then
          error("number " .. tried, 0)
        end
        return "fine"
      end
    end

    local again
    before_each(function()
      again = tries.again
      tries.again = function(name)
        return again(name, path)
      end
    end)
    after_each(function()
      tries.again = again
    end)

    it("notes what has not passed at once, and takes it once", function()
      assert.equal("fine", pace.of_three("a", failing(0)))
      assert.same({}, tries.list(path))
      assert.equal("fine", pace.of_three("a", failing(2)))
      assert.same({ "a" }, tries.list(path))
      assert.has_error(function()
        pace.of_three("a", failing(1))
      end, "a has needed a second try twice")
      assert.equal("fine", pace.of_three("b", failing(1)))
    end)

    it("fails as the last has", function()
      assert.has_error(function()
        pace.of_three("a", failing(3))
      end, "number 3")
      assert.same({}, tries.list(path))
    end)
  end)
end)
