--- providers.ova: a source, as the contract has it, over real web servers.

local httpd = require "httpd"
local lab = require "support.lab"
local ova = require "support.ova"
local provider = require "providers.ova"
local providers = require "providers"
local shelf_of = require "support.shelf"
local web = require "support.web"

describe("a source that is an OVA", function()
  local folder, shelf, stream, qcow2

  setup(function()
    folder = lab.folder()
    shelf = shelf_of.open(folder.path)
    stream = ova.image(folder.path, "d.vmdk", "vmdk", ova.STREAM)
    qcow2 = ova.image(folder.path, "d.qcow2", "qcow2")
  end)

  teardown(function()
    getmetatable(shelf).__close(shelf)
    getmetatable(folder).__close(folder)
  end)

  local function open(words, name, files, secret)
    if files then
      shelf:put(name, ova.pack(files))
    end
    return provider.open({ url = shelf:at(words, name) }, secret or {}, {})
  end

  it("meets the contract", function()
    assert.is_true(providers.check(provider))
    assert.equal(provider, providers.of("OvaSource"))
  end)

  it("has one machine whatever it is called, off, with what is amiss", function()
    local source <close> = assert(open("range", "a", ova.files("web", { stream },
      { algorithm = false })))
    assert.equal("web", source:find { name = "" })
    local id = assert(source:find { name = "db" })
    local machine = assert(source:inspect(id))
    assert.same({ "db", "web", "off" }, { machine.id, machine.name, machine.power_state })
    local codes = {}
    for _, finding in ipairs(machine.concerns) do
      codes[finding.code] = true
    end
    assert.is_true(codes.OvfNameDiffers and codes.ManifestMissing)
    assert.equal("off", source:power_state(id))
    assert.is_true(source.can.reread)
  end)

  it("has disks of the size that their images say", function()
    local small = { name = "d.vmdk", data = stream.data, capacity = 1 << 20 }
    local source <close> = assert(open("range", "b", ova.files("web", { small })))
    local machine = assert(source:inspect "web")
    assert.equal(16 << 20, machine.disks[1].capacity_bytes)
    assert.equal("OvaDiskSizeDiffers", machine.concerns[1].code)
  end)

  it("gives a window of the archive, its checksum, and a password of its own", function()
    local files = ova.files("web", { stream })
    local source <close> = assert(open("range-auth", "c", files, { username = "user",
      password = "pass" }))
    local machine = assert(source:inspect "web")
    local export <close> = assert(source:export(machine, {}))
    local found = assert(export:stream(machine.disks[1].id))
    assert.same({ "vmdk", #stream.data, #stream.data, "sha256", true },
      { found.format, found.size, found.length, found.digest.algorithm, found.resumable })
    assert.equal("Basic dXNlcjpwYXNz", found.headers.Authorization)
    assert.equal(stream.data, ova.pack(files):sub(found.offset + 1,
      found.offset + found.length))
    local other <close> = assert(open("range-away", "c", nil, { username = "user",
      password = "pass" }))
    machine = assert(other:inspect "web")
    local led <close> = assert(other:export(machine, {}))
    found = assert(led:stream(machine.disks[1].id))
    assert.same({ false, shelf.away }, { found.headers.Authorization or false,
      found.url:match("^http://[^/]+") })
  end)

  it("cannot be read again while it comes where an image is converted", function()
    local source <close> = assert(open("range", "d", ova.files("web", { qcow2 })))
    assert.is_false(source.can.reread)
    local machine = assert(source:inspect "web")
    local export <close> = assert(source:export(machine, {}))
    assert.equal("auto", assert(export:stream(machine.disks[1].id)).format)
  end)

  it("is opened anew once its archive is another one", function()
    local files = ova.files("web", { stream })
    local source <close> = assert(open("range", "e", files))
    local machine = assert(source:inspect "web")
    local before = assert(source:stamp(machine))
    assert.equal(before, source:stamp(machine))
    assert.is_falsy(source.closed)
    shelf:put("e", ova.pack(files))
    local export <close> = assert(source:export(machine, {}))
    local found, err = export:stream(machine.disks[1].id)
    assert.is_nil(found)
    assert.same({ "conflict", "SourceChanged" }, { err.kind, err.code })
    assert.is_true(source.closed)
    assert.not_equal(before, source:stamp(machine))
  end)

  it("says what of it cannot be read, and how that is called", function()
    local broken = ova.files("web", { stream }, { algorithm = false })
    broken[1][2] = "<Envelope>"
    for text, case in pairs {
      ["there is no such file"] = { "range", "none", nil, kind = "notfound" },
      ["another user or password"] = { "auth", "a", nil, kind = "denied",
        code = "LoginFailed" },
      ["OVF"] = { "range", "f", broken, kind = "invalid", code = "OvaRefused" },
    } do
      local source, err = open(table.unpack(case, 1, 3))
      assert.is_nil(source)
      assert.same({ case.kind, case.code }, { err.kind, err.code })
      assert.matches(text, err.message, 1, true)
    end
  end)

  it("sends no password by http to another machine, unless that is allowed", function()
    local secret = { username = "user", password = "hunter2" }
    local source, err = provider.open({ url = "http://192.0.2.1/a.ova" }, secret, {})
    assert.is_nil(source)
    assert.same({ "invalid", true, "InsecureEndpoint" }, { err.kind, err.final, err.code })
    assert.falsy(err.message:find("hunter2", 1, true))
    for _, case in ipairs { { secret, true }, { { username = "" } } } do
      source, err = provider.open({ url = "http://none.invalid/a.ova",
        allowInsecureEndpoint = case[2] }, case[1], {})
      assert.is_nil(source)
      assert.equal("dns", err.kind)
    end
  end)

  it("believes the CA of its Secret, its thumbprint, or who it met first", function()
    local cert, key = httpd.certificate { alt = "IP:127.0.0.1" }
    local site = web.open({ tls = { ca = cert } }, { cert = cert, key = key })
    site.server:on("/a.ova", { web.answer(ova.pack(ova.files("web", { stream }))) })
    local met = assert(site.get("/a.ova")).certificate.fingerprint
    local function try(secret, thumbprint, opts)
      local source <close>, err = provider.open({ url = site.url("/a.ova"),
        thumbprint = thumbprint }, secret, opts or {})
      return source and source.certificate.fingerprint, err
    end
    assert.equal(met, try { ["ca.crt"] = cert })
    assert.equal(met, try({}, met))
    assert.equal(met, try {})
    local none, err = try({}, nil, { strict_tls = true })
    assert.is_nil(none)
    assert.same({ "tls", "CertificateRefused" }, { err.kind, err.code })
    none, err = try({}, ("0"):rep(64))
    assert.is_nil(none)
    assert.equal("tls", err.kind)
    none, err = try { ["ca.crt"] = "nonsense" }
    assert.is_nil(none)
    assert.matches("ca.crt of the Secret", err.message, 1, true)
    site.close()
  end)
end)
