--- providers.ova.package: what a package holds, be it one archive or a folder.

local lab = require "support.lab"
local ova = require "support.ova"
local package_of = require "providers.ova.package"
local place = require "providers.ova.place"
local shelf_of = require "support.shelf"
local http = require "host.http"

local DISK = { name = "d.vmdk", data = ("disk"):rep(5000), capacity = 1 << 20 }

describe("a package", function()
  local folder, shelf, pool
  local number = 0

  setup(function()
    folder = lab.folder()
    shelf = shelf_of.open(folder.path)
    pool = assert(http.pool())
  end)

  teardown(function()
    pool:close()
    getmetatable(shelf).__close(shelf)
    getmetatable(folder).__close(folder)
  end)

  -- The package of these files, as an archive or as a folder.
  local function of(files, how)
    number = number + 1
    local name = "p" .. number
    if how == "folder" then
      shelf:put_all(files, name)
      name = ("%s/%s"):format(name, files[1][1])
    else
      shelf:put(name, type(files) == "string" and files or ova.pack(files))
    end
    local where = how == "file" and "file://" .. shelf.path .. "/" .. name
      or shelf:at("range", name)
    local found, err = package_of.read(assert(place.parse(where, { files = true })),
      { pool = pool })
    return found, err or name
  end

  local function codes(found)
    local list = {}
    for i, finding in ipairs(found.findings) do
      list[i] = finding.code
    end
    return table.concat(list, " ")
  end

  for _, how in ipairs { "archive", "folder", "file" } do
    it("that is a " .. how .. " has its OVF, its checksums and its files", function()
      local files = ova.files("web", { DISK })
      local found = assert(of(files, how))
      assert.equal(files[1][2], found.ovf)
      assert.equal("", codes(found))
      local disk = assert(found:file "d.vmdk")
      assert.equal(#DISK.data, disk.size)
      assert.equal("sha256", disk.sum.algorithm)
      assert.equal(DISK.data:sub(1, 4096), disk.head)
      assert.equal(how ~= "folder", disk.offset ~= nil)
      local none, err = found:file "none.vmdk"
      assert.is_nil(none)
      assert.equal("notfound", err.kind)
    end)
  end

  it("that is a folder has a manifest though its name is one that URLs spell", function()
    shelf:put_all(ova.files("my vm", { DISK }), "spelled")
    local found = assert(package_of.read(assert(place.parse(
      shelf:at("range", "spelled/my%20vm.ovf"), {})), { pool = pool }))
    assert.equal("", codes(found))
    assert.truthy(found:file("d.vmdk").sum)
  end)

  it("says what of it is amiss", function()
    assert.equal("ManifestMissing", codes(assert(of(ova.files("web", { DISK },
      { algorithm = false })))))
    assert.equal("ManifestMissing", codes(assert(of(ova.files("web", { DISK },
      { algorithm = false }), "folder"))))
    local files = ova.files("web", { DISK }, { manifest = function(text)
      return text .. "MD5(x)= 00\n"
    end })
    files[#files + 1] = { "web.cert", "signature" }
    assert.equal("ManifestNotCompared SignatureNotVerified", codes(assert(of(files))))
    assert.equal("ArchiveNotEnded", codes(assert(of(ova.pack(ova.files("web", { DISK }))
      :sub(1, -1025)))))
  end)

  it("is refused where it is none", function()
    local files = ova.files("web", { DISK })
    local two = ova.files("web", { DISK })
    two[#two + 1] = { "b.ovf", "<x/>" }
    local wrong = ova.files("web", { DISK }, { manifest = function() return "nonsense" end })
    local large = ova.files("web", { DISK }, { algorithm = false })
    large[1][2] = large[1][2] .. (" "):rep(4 << 20)
    for text, it_is in pairs {
      ["no OVF among the 1 members"] = { { files[3] } },
      ["more than one OVF"] = { two },
      ["no checksum stands there"] = { wrong },
      ["at most 4194304 are read"] = { large },
      ["the OVF has more than 4194304 bytes"] = { large, "folder" },
      ["this is no tar archive"] = { ("garbage!"):rep(500) },
      ["cut off"] = { "x" },
    } do
      local found, err = of(it_is[1], it_is[2])
      assert.is_nil(found, text)
      assert.matches(text, err.message, 1, true)
      assert.same({ "format", "OvaRefused" }, { err.kind, err.code })
    end
  end)

  for _, how in ipairs { "archive", "folder" } do
    it("that is a " .. how .. " is another one when its bytes are", function()
      local files = ova.files("web", { DISK })
      local found, name = of(files, how)
      local before = assert(found:stamp { "d.vmdk" })
      local disk = assert(found:file "d.vmdk")
      assert.equal(before, found:stamp { "d.vmdk" })
      assert.equal(how == "archive" and shelf:at("range", name)
        or shelf:at("range", name:match("^[^/]+") .. "/d.vmdk"), found:find(disk).url)
      assert.is_false(found.changed)
      if how == "archive" then
        shelf:put(name, ova.pack(files))
      else
        shelf:put(name:match("^[^/]+") .. "/d.vmdk", DISK.data)
      end
      assert.not_equal(before, found:stamp { "d.vmdk" })
      local none, err = found:find(disk)
      assert.is_nil(none)
      assert.equal("SourceChanged", err.code)
      assert.is_true(found.changed)
    end)
  end
end)
