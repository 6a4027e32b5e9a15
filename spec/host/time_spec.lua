local time = require "host.time"

describe("time.rfc3339:", function()
  it("writes UTC without a fraction", function()
    assert.equal("1970-01-01T00:00:00Z", time.rfc3339(0))
    assert.equal("2026-01-02T03:04:05Z", time.rfc3339(1767323045.999))
    assert.equal("1969-12-31T23:59:59Z", time.rfc3339(-0.5))
    assert.equal("2000-02-29T00:00:00Z", time.rfc3339(951782400))
  end)

  it("is now by default", function()
    assert.is_true(math.abs(time.parse(time.rfc3339()) - time.now()) < 2)
  end)

  it("throws outside of the years that it can write", function()
    assert.equal("9999-12-31T23:59:59Z", time.rfc3339(253402300799))
    assert.has_error(function()
      time.rfc3339(253402300800)
    end)
    assert.has_error(function()
      time.rfc3339(0 / 0)
    end)
  end)
end)

describe("time.rfc3339_micro:", function()
  it("has six digits, always", function()
    assert.equal("2026-01-02T03:04:05.000000Z", time.rfc3339_micro(1767323045))
    assert.equal("2026-01-02T03:04:05.250000Z", time.rfc3339_micro(1767323045.25))
    assert.matches("^%d+%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%d%d%d%dZ$",
      time.rfc3339_micro())
  end)

  it("carries what rounds up to a second", function()
    assert.equal("1970-01-01T00:00:02.000000Z", time.rfc3339_micro(1.9999999))
  end)
end)

describe("time.parse:", function()
  it("reads what rfc3339 and rfc3339_micro write", function()
    assert.equal(1767323045, time.parse("2026-01-02T03:04:05Z"))
    assert.equal("integer", math.type(time.parse("2026-01-02T03:04:05Z")))
    assert.equal(1767323045.25, time.parse("2026-01-02T03:04:05.250000Z"))
  end)

  it("reads offsets", function()
    assert.equal(1767323045, time.parse("2026-01-02T04:34:05+01:30"))
    assert.equal(1767323045, time.parse("2026-01-01T22:04:05-05:00"))
    assert.equal(1767323045, time.parse("2026-01-02t03:04:05z"))
  end)

  it("takes a leap second for the next one", function()
    assert.equal(time.parse("2017-01-01T00:00:00Z"), time.parse("2016-12-31T23:59:60Z"))
  end)

  it("refuses everything else", function()
    for _, text in ipairs({ "", "x", "2026-01-02", "2026-01-02T03:04:05",
      "2026-1-2T03:04:05Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
      "2026-02-29T00:00:00Z", "2026-01-32T00:00:00Z", "2026-01-01T24:00:00Z",
      "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "2026-01-01T00:00:00.Z",
      "2026-01-01T00:00:00+1:00",
      "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00Zx", "2026-01-01 00:00:00Z",
      "2026-01-01T00:00:00Z\0", " 2026-01-01T00:00:00Z", "1900-02-29T00:00:00Z" }) do
      local seconds, err = time.parse(text)
      assert.is_nil(seconds, text)
      assert.equal("format", err.kind)
    end
  end)
end)

describe("time's clocks:", function()
  it("agree with the system's", function()
    assert.is_true(math.abs(time.now() - os.time()) < 2)
  end)

  it("go on and never back", function()
    for _, clock in ipairs({ time.monotonic, time.boottime }) do
      local before = clock()
      assert.is_true(clock() >= before)
    end
  end)
end)
