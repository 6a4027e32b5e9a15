local json = require "host.json"
local yaml = require "host.yaml"

-- The only document of the text.
local function read(text)
  local documents = assert(yaml.parse(text))
  assert.equal(1, #documents)
  return documents[1]
end

local function refusal(text)
  local documents, err = yaml.parse(text, { what = "vm.yaml" })
  assert.is_nil(documents)
  assert.equal("format", err.kind)
  return err.message
end

describe("yaml.parse, scalars:", function()
  local function value_of(scalar)
    return read("v: " .. scalar).v
  end

  it("reads as booleans what go-yaml v2 does", function()
    for _, word in ipairs({ "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true",
      "True", "TRUE" }) do
      assert.equal(true, value_of(word), word)
    end
    for _, word in ipairs({ "n", "N", "no", "No", "NO", "off", "Off", "OFF", "false",
      "False", "FALSE" }) do
      assert.equal(false, value_of(word), word)
    end
  end)

  it("leaves other spellings of them text", function()
    for _, word in ipairs({ "yEs", "oN", "tRUE", "nO", "nULL", "none", "enabled" }) do
      assert.equal(word, value_of(word))
    end
  end)

  it("reads integers of all four bases", function()
    for text, number in pairs({ ["0"] = 0, ["+5"] = 5, ["-12"] = -12, ["0x1F"] = 31,
      ["-0x1f"] = -31, ["0o17"] = 15, ["017"] = 15, ["-017"] = -15, ["0b101"] = 5,
      ["1_000_000"] = 1000000, ["9223372036854775807"] = math.maxinteger,
      ["-9223372036854775808"] = math.mininteger }) do
      assert.equal(number, value_of(text), text)
      assert.equal("integer", math.type(value_of(text)), text)
    end
  end)

  it("reads floats, and integers from those that are whole", function()
    for text, number in pairs({ ["1.5"] = 1.5, [".5"] = 0.5, ["-.5e3"] = -500, ["1."] = 1,
      ["1e3"] = 1000, ["12e03"] = 12000, ["08"] = 8, ["1_0.5"] = 10.5,
      [".5_5"] = 0.55 }) do
      assert.equal(number, value_of(text), text)
    end
    assert.equal("integer", math.type(value_of("1e3")))
    assert.equal(1e300, value_of("1e300"))
  end)

  it("leaves text what only looks like a number", function()
    for _, text in ipairs({ "1e999", "0x", "0xg", "0b2", "1.2.3", "10.0.0.5", "10Gi",
      "1:30", "-", "+", ".", "_1", "._5", "v1", "00:50:56:aa:bb:cc" }) do
      if text ~= "-" then
        assert.equal(text, value_of(text))
      end
    end
  end)

  it("leaves timestamps text", function()
    assert.equal("2001-01-01", value_of("2001-01-01"))
    assert.equal("2001-12-14t21:59:43.10-05:00", value_of("2001-12-14t21:59:43.10-05:00"))
  end)

  it("reads everything in quotes as text", function()
    assert.equal("yes", value_of("'yes'"))
    assert.equal("0x1f", value_of('"0x1f"'))
    assert.equal("", value_of('""'))
    assert.equal("1\n", value_of("|\n  1\n"))
  end)

  it("obeys tags", function()
    assert.equal("yes", value_of("!!str yes"))
    assert.equal("5", value_of("!!str 5"))
    assert.equal(5, value_of('!!int "5"'))
    assert.equal(true, value_of("!!bool y"))
    assert.equal("2001-01-01", value_of("!!timestamp 2001-01-01"))
    assert.equal("name", value_of("!secret name"))
  end)

  it("refuses a tag that does not fit", function()
    assert.equal("vm.yaml:1:4: this is no !!int", refusal("v: !!int x"))
    assert.matches("no !!null", refusal("v: !!null x"), 1, true)
    assert.matches("!!binary", refusal("v: !!binary eA=="), 1, true)
  end)

  it("refuses what no JSON number can hold", function()
    assert.matches("^vm.yaml:1:4: infinity", refusal("v: .inf"))
    assert.matches("NaN", refusal("v: .NaN"))
    assert.matches("beyond 64 bits", refusal("v: 9223372036854775808"))
    assert.matches("beyond 64 bits", refusal("v: 0x8000000000000000"))
    assert.matches("beyond 64 bits", refusal("v: -9223372036854775809"))
    assert.matches("beyond 64 bits", refusal("v: 99999999999999999999999999"))
  end)
end)

describe("yaml.parse:", function()
  it("gives all documents that are not empty", function()
    local documents = yaml.parse("a: 1\n---\n---\n# nothing\n---\n- x\n...\n---\ntext\n")
    assert.same({ { a = 1 }, { "x" }, "text" }, documents)
    assert.same({}, yaml.parse(""))
    assert.same({}, yaml.parse("# a comment\n"))
  end)

  it("marks lists, also empty ones, and no maps", function()
    local value = read("l: []\nm: {}\nk:\n- 1\n")
    assert.is_true(json.is_array(value.l))
    assert.is_false(json.is_array(value.m))
    assert.is_true(json.is_array(value.k))
  end)

  it("drops null from maps", function()
    assert.same({ e = "" }, read("a:\nb: ~\nc: null\nd: Null\ne: ''\n"))
  end)

  it("refuses an empty item of a list", function()
    assert.equal("vm.yaml:3:3: an empty item in a list", refusal("l:\n - a\n -\n - b\n"))
  end)

  it("makes strings of keys, by what they mean", function()
    assert.same({ ["true"] = 1, ["8080"] = 2, ["31"] = 3, ["1.5"] = 4, ["1e+06"] = 5,
      ["yes"] = 6, ["100"] = 7 },
      read("on: 1\n8080: 2\n0x1f: 3\n1.50: 4\n1e6: 5\n'yes': 6\n100.0: 7\n"))
  end)

  it("refuses keys that are empty or no scalars", function()
    assert.matches("must not be empty", refusal("~: 1"))
    assert.matches("must be a scalar", refusal("? [a]\n: 1"))
    assert.matches("must be a scalar", refusal("? {a: b}\n: 1"))
  end)

  it("refuses a key twice, also of null and also in another spelling", function()
    assert.equal('vm.yaml:3:1: the key "a" is already on line 1',
      refusal("a: 1\nb: 2\na: 3"))
    assert.matches("already on line 1", refusal("a: ~\na: 3"))
    assert.matches("already on line 1", refusal("on: 1\n'true': 3"))
  end)

  it("copies what an alias stands for", function()
    local value = read("a: &x {l: [1, {m: 2}]}\nb: *x\n"
      .. "c: &s text\nd: *s\ne: &n ~\nf: *n\n")
    assert.same({ l = { 1, { m = 2 } } }, value.b)
    assert.equal("text", value.d)
    assert.is_nil(value.f)
    value.a.l[1] = "changed"
    assert.equal(1, value.b.l[1])
    assert.is_true(json.is_array(value.b.l))
  end)

  it("knows anchors only after them and in their document", function()
    assert.equal("vm.yaml:1:4: no anchor &x before this", refusal("a: *x\nb: &x 1"))
    assert.matches("no anchor &x", refusal("a: &x 1\n---\nb: *x"))
    assert.matches("contains itself", refusal("a: &x [1, *x]"))
  end)

  it("merges what the map does not say itself", function()
    local value = read([[
base: &base {cpu: 1, memory: 2, disk: 3}
more: &more {disk: 4, nic: 5}
one: {<<: *base, cpu: 9}
late: {memory: ~, <<: *base}
both: {<<: [*base, *more]}
text: {"<<": x}
]])
    assert.same({ cpu = 9, memory = 2, disk = 3 }, value.one)
    assert.same({ cpu = 1, disk = 3 }, value.late)
    assert.same({ cpu = 1, memory = 2, disk = 3, nic = 5 }, value.both)
    assert.same({ ["<<"] = "x" }, value.text)
  end)

  it("refuses to merge anything but maps", function()
    assert.matches("<< takes a map", refusal("a: {<<: 1}"), 1, true)
    assert.matches("<< takes a map", refusal("a: {<<: [{b: 1}, [c]]}"), 1, true)
    assert.matches("a second <<", refusal("<<: {a: 1}\n<<: {b: 1}"), 1, true)
  end)

  it("does not let aliases grow without end", function()
    local lines = { "a0: &a0 [x, x, x, x, x, x, x, x, x, x]" }
    for i = 1, 12 do
      local alias = "*a" .. i - 1
      lines[#lines + 1] = ("a%d: &a%d [%s%s]"):format(i, i, alias, (", " .. alias):rep(9))
    end
    assert.matches("more than 100000 values", refusal(table.concat(lines, "\n")))
  end)

  it("bounds the values of a text without aliases, too", function()
    assert.matches("more than 100000 values", refusal("[" .. ("1,"):rep(100001) .. "]"))
  end)

  it("takes no more memory than it may, whatever the text is made of", function()
    local keys = {}
    for i = 1, 9000 do
      keys[i] = ("k%d: 1\n"):format(i)
    end
    local made_of = {
      lists = "[" .. ("[],"):rep(9000) .. "0]",
      maps = "[" .. ("{a: 1},"):rep(5000) .. "0]",
      keys = table.concat(keys),
      text = "[" .. (("s"):rep(1000) .. ","):rep(2000) .. "0]",
      copies = "a: &a {b: {c: 1}}\nd: [" .. ("*a,"):rep(4000) .. "0]",
    }
    for what, text in pairs(made_of) do
      local value, err = yaml.parse(text, { max_memory = 1 << 20 })
      assert.is_nil(value, what)
      assert.equal("format", err.kind)
      assert.matches("takes more than 1024 KiB of memory", err.message, what)
      assert(yaml.parse(text, { max_memory = 1 << 24 }), what)
    end
  end)

  it("goes 64 levels deep and no further", function()
    assert(yaml.parse(("["):rep(64) .. ("]"):rep(64)))
    assert.matches("nested deeper than 64", refusal(("["):rep(65) .. ("]"):rep(65)))
    assert.matches("nested deeper than 64", refusal(("["):rep(200000)))
    local deep = "a: &a " .. ("["):rep(60) .. ("]"):rep(60)
    assert.matches("nested deeper than 64", refusal(deep .. "\nb: [[[[*a]]]]"))
  end)

  it("refuses more than 16 MiB", function()
    assert.matches("more than 16777216 bytes", refusal(("#"):rep(16 * 1024 * 1024 + 1)))
  end)

  it("bounds the number of directives", function()
    assert.same({ "x" }, yaml.parse("%YAML 1.1\n%TAG !a! tag:a,1:\n--- !a!b x\n"))
    local lines = {}
    for i = 1, 101 do
      lines[i] = ("%%TAG !a%d! tag:a,1:\n"):format(i)
    end
    assert.matches("too many %%TAG lines", refusal(table.concat(lines) .. "--- x"))
  end)

  it("says line and column of what is no YAML", function()
    assert.matches("^vm.yaml:3:1: ", refusal("a: [1,\nb\n"))
    assert.matches("^vm.yaml:2:1: a tab", refusal("a:\n\tb: 1\n"))
    assert.matches("^vm.yaml:2:4: ", refusal("a: 1\nb: \255\n"))
    assert.matches("^vm.yaml:1:5: ", refusal("a: 1\1\n"))
  end)

  it("takes a byte order mark", function()
    assert.same({ a = 1 }, read("\239\187\191a: 1\n"))
  end)

  it("never fails but by an err, whatever the text", function()
    local pieces = { "a", ": ", "- ", "\n", "  ", "&x ", "*x", "<<: ", "[", "]", "{", "}",
      ",", "'", '"', "|", ">", "---\n", "...", "!!int ", "#", "\t", "? ", "%", "~",
      "\255", "é" }
    math.randomseed(5)
    for _ = 1, 5000 do
      local text = {}
      for i = 1, math.random(1, 14) do
        text[i] = pieces[math.random(#pieces)]
      end
      local documents, err = yaml.parse(table.concat(text))
      assert.is_true(documents ~= nil or err.kind == "format")
    end
  end)
end)

describe("yaml.dump:", function()
  it("writes the fields of an object in the order in which people do", function()
    assert.equal([[
apiVersion: v1
kind: Secret
metadata:
  name: web
  namespace: default
  labels:
    a: b
spec:
  disks:
  - name: one
    size: 10
  empty: []
  none: {}
status: {}
extra: true
]], yaml.dump({ extra = true, status = {}, metadata = { labels = { a = "b" },
      namespace = "default", name = "web" }, kind = "Secret", apiVersion = "v1",
      spec = { empty = json.array({}), none = {}, disks = { { size = 10,
    name = "one" } } }, }))
  end)

  it("quotes text that somebody would read as something else", function()
    for _, text in ipairs({ "yes", "No", "y", "on", "oFF", "null", "~", "", "1", "0x1f",
      "1e3", ".5", "1:30", "2001-01-01", "+1", "-", "- a", "a: b", "a #b", "#a", "*a",
      "&a", "!a", "[a", "{a", "a:", " a", "a ", "%a", "@a", "`a", "=", "<<", ".inf", "?",
      "|", ">", "'", '"', "---", "..." }) do
      local line = yaml.dump({ v = text })
      assert.matches("^v: \".*\"\n$", line)
      assert.equal(text, read(line).v)
    end
  end)

  it("leaves ordinary text plain", function()
    for _, text in ipairs({ "web-01", "Ubuntu Linux (64-bit)", "https://vc.example/sdk",
      "default/vlan1", "ubuntu64Guest", "/DC0/vm", "virtio", "a_b@c" }) do
      assert.equal("v: " .. text .. "\n", yaml.dump({ v = text }))
    end
  end)

  it("quotes keys by the same rules", function()
    assert.equal('"1": a\n"on": b\n', yaml.dump({ ["1"] = "a", on = "b" }))
  end)

  it("writes lines as lines", function()
    assert.equal("v: |\n  #cloud-config\n  a: 1\n",
      yaml.dump({ v = "#cloud-config\na: 1\n" }))
    assert.equal("v: |-\n  a\n\n  b\n", yaml.dump({ v = "a\n\nb" }))
  end)

  it("quotes lines that would not survive as lines", function()
    for _, text in ipairs({ " a\nb", "\na", "a \nb", "a\nb\n\n", "a\r\nb", "a\n\1", "\n",
      "a\tb\n", "a\n\226\128\168b", "a\n ", "\n\n" }) do
      assert.equal(text, read(yaml.dump({ v = text })).v)
      assert.equal(text, read(yaml.dump({ text }))[1])
    end
  end)

  it("writes numbers exactly", function()
    assert.equal("- 9223372036854775807\n- 2\n- 0.1\n- 1.0e+300\n- -2.5e-10\n",
      yaml.dump({ math.maxinteger, 2.0, 0.1, 1e300, -2.5e-10 }))
  end)

  it("keeps umlauts readable", function()
    assert.equal('v: "Größe"\n', yaml.dump({ v = "Größe" }))
  end)

  it("throws an err that names the path, as json.encode does", function()
    local function problem(value)
      local ok, err = pcall(yaml.dump, value)
      assert.is_false(ok)
      assert.equal("invalid", err.kind)
      return err.message
    end
    assert.equal("a.b[2]: text that is not UTF-8",
      problem({ a = { b = { "x", "\255" } } }))
    assert.matches("^a: a number", problem({ a = 0 / 0 }))
    assert.matches("^a: a function", problem({ a = print }))
    assert.matches("^a: a list with holes", problem({ a = { [2] = 1 } }))
    local loop = {}
    loop.again = loop
    assert.matches("nested deeper than 64", problem(loop))
  end)

  describe("whatever the value,", function()
    local WORDS = { "yes", "n", "~", "null", "0x1f", "1_000", "1e3", "2001-01-01", "a: b",
      "- a", "#x", "a\nb\n", " a", "a ", "a\n", "\n", "é", "\u{2028}", "\u{85}",
      "\u{feff}", "\t", "\0", "\127", "'", '"', "\\", "a\n\n b", "|", "web-01", "a:",
      ("long "):rep(40), ("x"):rep(200), "<<", "*a", "%", "a\r", "\u{10ffff}",
      "\u{fffe}", "..." }
    local random

    local function text()
      local parts = {}
      for i = 1, math.random(1, 3) do
        parts[i] = WORDS[math.random(#WORDS)]
      end
      return table.concat(parts)
    end

    function random(depth)
      local kind = math.random(depth > 0 and 8 or 6)
      if kind <= 3 then
        return text()
      elseif kind == 4 then
        return math.random(0)
      elseif kind == 5 then
        return (math.random() - 0.5) * 10.0 ^ math.random(-30, 30)
      elseif kind == 6 then
        return math.random(2) == 1
      end
      local value = kind == 7 and json.array({}) or {}
      for i = 1, math.random(0, 4) do
        value[kind == 7 and i or text()] = random(depth - 1)
      end
      return value
    end

    it("is read back as it was", function()
      math.randomseed(11)
      for _ = 1, 2000 do
        local value = random(5)
        local written = yaml.dump(value)
        local documents, err = yaml.parse(written)
        assert(documents, tostring(err) .. "\n" .. written)
        assert.same(value, documents[1])
        assert.equal(json.encode(value), json.encode(documents[1]))
      end
    end)
  end)
end)
