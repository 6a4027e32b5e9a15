--- providers.ova.place: where a package is, and what lies beside it.

local place = require "providers.ova.place"

describe("a place", function()
  it("is an http or https URL, with its query", function()
    local found = assert(place.parse(" HTTPS://Files.Example:443/a/b.ova?sig=x#top ", {}))
    assert.same({ url = "https://Files.Example:443/a/b.ova?sig=x",
      origin = "https://files.example", in_clear = false }, found)
    assert.is_true(place.parse("http://files.example/a.ova", {}).in_clear)
    for _, host in ipairs { "127.0.0.1", "localhost", "[::1]" } do
      assert.is_falsy(place.parse(("http://%s:8080/a.ova"):format(host), {}).in_clear)
    end
  end)

  it("is a file of this machine where that may be", function()
    for text, path in pairs { ["file:///srv/a%20b.ova"] = "/srv/a b.ova",
      ["file:a.ova"] = "a.ova", ["file://localhost/a.ova"] = "/a.ova" } do
      assert.equal(path, place.parse(text, { files = true }).path)
      local none, err = place.parse(text, {})
      assert.is_nil(none)
      assert.matches("on the command line alone", err.message, 1, true)
    end
  end)

  it("is refused with the name of its field, and without what is secret", function()
    for _, text in ipairs { "", "a.ova", "ftp://h/a.ova", "https:///a.ova", "https://h/a b",
      "https://user:hunter2@h/a.ova", "file:", "https:/h/hunter2" } do
      local none, err = place.parse(text, { files = true })
      assert.is_nil(none)
      assert.same({ "invalid", true, "SpecInvalid" }, { err.kind, err.final, err.code })
      assert.matches("spec.url", err.message, 1, true)
      assert.falsy(err.message:find("hunter2", 1, true))
    end
  end)

  it("has its files beside it, and nowhere else", function()
    local function beside(text, name)
      local found = place.beside(place.parse(text, { files = true }), name)
      return found.url or found.path
    end
    assert.equal("https://h/a/disk%201.vmdk", beside("https://h/a/b.ovf", "disk 1.vmdk"))
    assert.equal("https://h/a/d.vmdk?sig=x", beside("https://h/a/b.ovf?sig=x", "d.vmdk"))
    assert.equal("https://h/d%3F%23%25.vmdk", beside("https://h/b.ovf", "d?#%.vmdk"))
    assert.equal("https://h/sub/d.vmdk", beside("https://h/b.ovf", "sub/d.vmdk"))
    assert.equal("https://h/d.vmdk", beside("https://h", "d.vmdk"))
    assert.equal("/srv/d.vmdk", beside("file:///srv/b.ovf", "d.vmdk"))
    assert.equal("d.vmdk", beside("file:b.ovf", "d.vmdk"))
  end)

  it("has the name that its file has, not the URL's spelling", function()
    for text, name in pairs { ["https://h/a/my%20vm.ovf?x=/y"] = "my vm.ovf",
      ["file:///srv/my%20vm.ovf"] = "my vm.ovf", ["https://h"] = "", ["https://h/a/"] = "" } do
      assert.equal(name, place.name(place.parse(text, { files = true })))
    end
  end)
end)
