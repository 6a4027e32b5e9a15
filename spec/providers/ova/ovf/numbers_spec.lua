local numbers = require "providers.ova.ovf.numbers"

describe("numbers.whole", function()
  it("reads decimal digits", function()
    for text, value in pairs { ["0"] = 0, ["007"] = 7, [" 12 "] = 12, ["5.0"] = 5,
      ["72057594037927936"] = 1 << 56 } do
      assert.equal(value, numbers.whole(text))
    end
  end)

  it("reads nothing else", function()
    for _, text in ipairs { "", "-1", "+1", "1.5", "0x10", "1e3", "nan", "inf", "NaN", "1 2",
      "72057594037927937", "1180591620717411303424", ("9"):rep(400), "٣", "${a}" } do
      assert.is_nil(numbers.whole(text), text)
    end
    assert.is_nil(numbers.whole(nil))
  end)
end)

describe("numbers.factor", function()
  it("knows every spelling of a unit", function()
    for units, value in pairs {
      ["byte"] = 1, ["Bytes"] = 1, ["byte * 2^20"] = 1 << 20, ["byte*2^20"] = 1 << 20,
      ["bytes * 2^30"] = 1 << 30, ["byte * 10^9"] = 1000000000, ["2^10"] = 1024,
      ["byte*1024*1024"] = 1 << 20, ["KB"] = 1024, ["KiloBytes"] = 1024, ["KByte"] = 1024,
      ["MegaBytes"] = 1 << 20, ["MB"] = 1 << 20, ["MiB"] = 1 << 20, ["MBytes"] = 1 << 20,
      ["mebibyte"] = 1 << 20, ["GigaBytes"] = 1 << 30, ["GB"] = 1 << 30,
      ["GiB"] = 1 << 30, ["gigabyte"] = 1 << 30, ["TB"] = 1 << 40, ["PB"] = 1 << 50,
      ["byte * 2^ 30"] = 1 << 30,
    } do
      assert.equal(value, numbers.factor(units), units)
    end
  end)

  it("knows no others", function()
    for _, units in ipairs { "", " ", "hertz * 10^6", "count", "bit", "MegaBits", "byte/2",
      "byte * 2^-3", "byte * 2^64", "byte * 99999^64", "byte * x", "2^", "^2" } do
      assert.is_nil(numbers.factor(units), units)
    end
  end)
end)

describe("numbers.bytes", function()
  it("multiplies exactly", function()
    assert.equal(68719476736, numbers.bytes("64", "byte * 2^30"))
    assert.equal((1 << 56) - 1, numbers.bytes(tostring((1 << 56) - 1), "byte"))
    assert.equal(0, numbers.bytes("0", "PB"))
  end)

  it("says which of the two is wrong, and what is too large", function()
    local _, message = numbers.bytes("-1", "byte")
    assert.equal('"-1" is no number of bytes', message)
    _, message = numbers.bytes("1", "furlong")
    assert.equal('"furlong" is no unit of bytes', message)
    _, message = numbers.bytes("18014398509481984", "KB")
    assert.equal("18014398509481984 times KB is more than 64 PiB", message)
  end)
end)
