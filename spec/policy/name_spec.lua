local name = require "policy.name"

describe("policy.name", function()
  it("keeps a name that is valid already", function()
    for _, text in ipairs({ "web-01", "a", "0", ("x"):rep(63), "a--b" }) do
      assert.is_true(name.is_label(text))
    end
    assert.equal("web-01", name.label("web-01"))
    assert.equal(("x"):rep(63), name.label(("x"):rep(63)))
  end)

  it("knows what is not a label", function()
    for _, text in ipairs({ "", "-a", "a-", "A", "a.b", "a_b", "a b", ("x"):rep(64),
      "ä", "a\n", "a\0" }) do
      assert.is_false(name.is_label(text), text)
    end
    assert.is_false(name.is_label(nil))
    assert.is_false(name.is_label(7))
  end)

  it("spells letters in a to z where they have a customary spelling", function()
    local expected = {
      ["Größe Ärger"] = "groesse-aerger",
      ["Überwachung"] = "ueberwachung",
      ["café"] = "cafe",
      ["Łódź"] = "lodz",
      ["Žižkov"] = "zizkov",
      ["smörgåsbord"] = "smoergasbord",
      ["GROẞ"] = "gross",
      ["İstanbul"] = "istanbul",
    }
    for text, label in pairs(expected) do
      assert.equal(label, name.label(text))
    end
  end)

  it("spells composed and decomposed letters alike", function()
    assert.equal(name.label("Ärger über öl"),
      name.label("A\u{308}rger u\u{308}ber o\u{308}l"))
    assert.equal("cafe", name.label("cafe\u{301}"))
  end)

  it("makes one dash of whatever else is there, and none at the ends", function()
    local expected = {
      ["Web Server 01"] = "web-server-01",
      ["a/b"] = "a-b",
      ["100%"] = "100",
      ["--x--"] = "x",
      ["a___b...c"] = "a-b-c",
      ["web01.example.com"] = "web01-example-com",
      ["日本 web"] = "web",
      [" tab\tnew\nline "] = "tab-new-line",
      ["a\0b"] = "a-b",
      ["\xff\xfeweb\x80"] = "web",
      ["../../etc/passwd"] = "etc-passwd",
      ["$(reboot)"] = "reboot",
    }
    for text, label in pairs(expected) do
      assert.equal(label, name.label(text))
      assert.is_true(name.is_label(name.label(text)))
    end
  end)

  it("keeps nothing of a name without a letter or digit", function()
    for _, text in ipairs({ "", "---", "日本語", "%%%", " ", "\xff" }) do
      assert.is_nil(name.label(text))
    end
  end)

  it("shortens a long name, readable and different from its neighbours", function()
    local first = name.label(("long "):rep(20) .. "one")
    local second = name.label(("long "):rep(20) .. "two")
    assert.equal(1, first:find("long-long-long", 1, true))
    assert.is_true(name.is_label(first))
    assert.is_true(name.is_label(second))
    assert.equal(63, #second)
    assert.not_equal(first, second)
    assert.equal(first, name.label(("long "):rep(20) .. "one"))
  end)

  it("never ends the readable part of a shortened name in a dash", function()
    for n = 1, 80 do
      local label = name.label(("x"):rep(n) .. "-" .. ("y"):rep(80))
      assert.is_true(name.is_label(label))
      assert.is_nil(label:find("--", 1, true))
    end
  end)

  it("falls back on the id, then on a hash of it", function()
    assert.equal("vm-42", name.machine({ name = "日本", id = "vm-42" }))
    assert.equal("vm-5001", name.machine({ name = "", id = "5001" }))
    local hashed = name.machine({ name = "###", id = "###" })
    assert.is_true(name.is_label(hashed))
    assert.not_equal(hashed, name.machine({ name = "###", id = "##" }))
    local long = name.machine({ name = "#", id = ("0123456789"):rep(20) })
    assert.is_true(name.is_label(long))
    assert.equal(63, #long)
  end)

  it("gives disks names that no other import has", function()
    local one = name.disk("web-01", "1a2b3c4d-5e6f-7081-9203-a4b5c6d7e8f9", 0)
    local two = name.disk("web-01", "9a2b3c4d-5e6f-7081-9203-a4b5c6d7e8f9", 0)
    assert.equal("web-01-1a2b3c4d-disk-0", one)
    assert.not_equal(one, two)
  end)

  it("gives disks names that are labels, however long the machine's or odd the uid",
    function()
      for _, uid in ipairs({ "1A2B3C4D-5E6F", "x", "", "ümlaut-uid" }) do
        for n = 1, 63 do
          assert.is_true(name.is_label(name.disk(("w"):rep(n - 1) .. "x", uid, 255)))
          assert.is_true(name.is_label(name.disk("a" .. ("-"):rep(n - 1) .. "b", uid, 0)))
        end
      end
    end)

  it("knows subdomains, label values and label keys", function()
    for _, text in ipairs({ "a", "harvester-longhorn", "a.b-c.d0", ("x"):rep(253) }) do
      assert.is_true(name.is_subdomain(text))
    end
    for _, text in ipairs({ "", ".", "a.", ".a", "a..b", "-a.b", "a_b", "A", "a-.b",
      ("x"):rep(254) }) do
      assert.is_false(name.is_subdomain(text), text)
    end
    for _, text in ipairs({ "", "a", "A.b_c-9", ("x"):rep(63) }) do
      assert.is_true(name.is_label_value(text))
    end
    for _, text in ipairs({ "-a", "a-", "a b", "ä", ("x"):rep(64) }) do
      assert.is_false(name.is_label_value(text), text)
    end
    for _, text in ipairs({ "a", "A_b", "example.com/a" }) do
      assert.is_true(name.is_label_key(text))
    end
    for _, text in ipairs({ "", "/a", "a/", "A.com/a", "a/b/c", "a b" }) do
      assert.is_false(name.is_label_key(text), text)
    end
    assert.is_false(name.is_label_key(1))
  end)
end)

describe("policy.name.decide", function()
  local function decide(machine_name, target)
    return name.decide({
      machine = { name = machine_name, id = "vm-42" },
      spec = { targetName = target },
    })
  end

  it("takes targetName if it is set", function()
    local chosen, findings = decide("Web 01", "db-7")
    assert.equal("db-7", chosen)
    assert.is_nil(findings)
  end)

  it("blocks on a targetName that cannot be a name, and proposes one", function()
    for _, target in ipairs({ "Web", "a.b", "-a", ("x"):rep(64), "../x", "名" }) do
      local chosen, findings = decide("web-01", target)
      assert.equal("web-01", chosen)
      assert.equal("Blocks", findings[1].severity)
      assert.equal("spec.targetName", findings[1].subject)
      assert.is_true(name.is_label(findings[1].action:match("\"(.-)\"")))
    end
  end)

  it("proposes the wanted name made valid, or else the machine's", function()
    local function proposed(target)
      return select(2, decide("web-01", target))[1].action:match("\"(.-)\"")
    end
    assert.equal("db-7", proposed("DB 7"))
    assert.equal("web-01", proposed("名"))
  end)

  it("says so when the machine cannot keep its name", function()
    local chosen, findings = decide("Web 01")
    assert.equal("web-01", chosen)
    assert.equal("Informs", findings[1].severity)
    assert.is_nil(select(2, decide("web-01")))
  end)
end)
