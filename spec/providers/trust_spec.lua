local errors = require "host.error"
local http = require "host.http"
local trust = require "providers.trust"

local URL = "https://cloud.example.com/"
local MET = { fingerprint = "AA:BB", issuer = "CN=their ca", reason = "it is unknown; mend it" }
local SHA1, SHA256 = ("0a"):rep(20):upper(), ("0b"):rep(32):upper()

-- A server of which `believed(tls)` says whether it is; fake.seen are the tls of its pools.
local function server(believed, met)
  local fake = { seen = {}, closed = 0 }
  function fake.pool(opts)
    fake.seen[#fake.seen + 1] = opts.tls
    fake.cookies = opts.cookies
    return {
      tls = opts.tls,
      close = function()
        fake.closed = fake.closed + 1
      end,
    }
  end
  function fake.probe(pool)
    if believed(pool.tls) then
      return { status = 200, certificate = met or MET }
    end
    return nil, errors.new("tls", "not trusted", { certificate = met or MET })
  end
  return fake
end

local function pinned(tls)
  return tls.thumbprint == "AA:BB"
end

local function never()
  return false
end

local function always()
  return true
end

local function connect(fake, opts)
  local all = { url = URL, what = "the cloud", probe = fake.probe, http = fake,
    ca_field = "ca_cert" }
  for key, value in pairs(opts or {}) do
    all[key] = value
  end
  return trust.connect(all)
end

describe("trust.connect", function()
  it("trusts what the system's CAs have signed, and pins nothing", function()
    local fake = server(always)
    local connection = assert(connect(fake))
    assert.same({ fingerprint = "AA:BB", issuer = "CN=their ca", trusted = true },
      connection.certificate)
    assert.is_nil(connection.tls.thumbprint)
    assert.equal(1, #fake.seen)
    assert.equal(0, fake.closed)
    assert.equal(200, connection.response.status)
  end)

  it("keeps cookies only where they are asked for", function()
    local fake = server(always)
    assert(connect(fake))
    assert.is_false(fake.cookies)
    assert(connect(fake, { cookies = true }))
    assert.is_true(fake.cookies)
  end)

  it("has no certificate of a server without TLS", function()
    local fake = server(always)
    fake.probe = function()
      return { status = 200 }
    end
    assert.is_nil(assert(connect(fake)).certificate)
  end)

  it("pins an unknown certificate at the first meeting, and closes what was refused", function()
    local fake = server(pinned)
    local connection = assert(connect(fake))
    assert.is_false(connection.certificate.trusted)
    assert.equal("AA:BB", connection.tls.thumbprint)
    assert.truthy(connection.tls.thumbprint_field:find("first meeting", 1, true))
    assert.equal(connection.tls, connection.pool.tls)
    assert.equal(1, fake.closed)
  end)

  it("takes nothing but the pin of an earlier run, in any spelling", function()
    assert(connect(server(pinned), { fingerprint = "aa bb" }))
    local connection, err = connect(server(pinned), { fingerprint = "CC:DD" })
    assert.is_nil(connection)
    assert.equal("CertificateChanged", err.code)
    assert.equal("tls", err.check)
    assert.is_true(err.final)
    assert.truthy(err.message:find("(issuer CN=their ca)", 1, true))
    local _
    _, err = connect(server(pinned, { fingerprint = "AA:BB" }), { fingerprint = "CC:DD" })
    assert.truthy(err.message:find("(issuer unknown)", 1, true))
  end)

  it("refuses an unknown one where it must not pin, or there is nothing to pin", function()
    for _, case in ipairs { { MET, { strict_tls = true } }, { { reason = MET.reason }, {} } } do
      local fake = server(never, case[1])
      local _, err = connect(fake, case[2])
      assert.equal("CertificateRefused", err.code)
      assert.equal(URL .. ": it is unknown; mend it", err.message)
      assert.is_true(err.final)
      assert.equal(1, #fake.seen)
      assert.equal(1, fake.closed)
    end
  end)

  it("says what TLS says where it does not know what is wrong", function()
    local fake = server(never)
    fake.probe = function()
      return nil, errors.new("tls", "the handshake failed")
    end
    local _, err = connect(fake)
    assert.equal("the handshake failed", err.message)
    assert.equal("CertificateRefused", err.code)
  end)

  it("gives up on one that is refused with its own pin", function()
    local fake = server(never)
    local _, err = connect(fake)
    assert.equal("tls", err.kind)
    assert.equal(2, #fake.seen)
    assert.equal(2, fake.closed)
  end)
end)

describe("trust.connect, where somebody has said whom to believe", function()
  for what, hex in pairs { ["SHA-1"] = SHA1, ["SHA-256"] = SHA256 } do
    it("goes by the thumbprint alone, a " .. what .. ", however it is written", function()
      local fake = server(function(tls)
        return tls.thumbprint == hex
      end)
      local connection = assert(connect(fake, { ca = "a CA",
        thumbprint = " " .. hex:lower():gsub("(%x%x)", "%1:", #hex // 2 - 1) }))
      assert.is_true(connection.certificate.trusted)
      assert.same({ { thumbprint = hex, ca_field = "ca_cert of the Secret",
        thumbprint_field = "spec.thumbprint" } }, fake.seen)
    end)
  end

  it("refuses what is no thumbprint before it asks anybody", function()
    for _, text in ipairs { SHA1 .. "0", SHA1:sub(2), SHA256 .. "0", SHA256:sub(2),
      "x" .. SHA1:sub(2) } do
      local fake = server(always)
      local _, err = connect(fake, { thumbprint = text })
      assert.equal("invalid", err.kind)
      assert.equal("tls", err.check)
      assert.is_true(err.final)
      assert.equal(0, #fake.seen)
    end
  end)

  it("takes blanks for nothing said", function()
    local fake = server(pinned)
    assert(connect(fake, { thumbprint = " ", ca = "\n" }))
    assert.is_nil(fake.seen[1].thumbprint)
    assert.is_nil(fake.seen[1].ca)
  end)

  it("learns nothing beside a CA or a thumbprint", function()
    for _, opts in ipairs { { ca = "a CA" }, { thumbprint = SHA1 } } do
      local fake = server(pinned)
      local _, err = connect(fake, opts)
      assert.equal("CertificateRefused", err.code)
      assert.equal(1, #fake.seen)
    end
  end)

  it("says which field holds no certificate", function()
    local _, err = connect({ pool = http.pool }, { ca = "no certificate" })
    assert.equal("CACertificateInvalid", err.code)
    assert.equal("invalid", err.kind)
    assert.is_true(err.final)
    assert.equal("ca_cert of the Secret: ", err.message:sub(1, 23))
  end)
end)

describe("trust.connect, to one that does not answer", function()
  -- How often it is asked, and what is said, when the first `n` answers are this err.
  local function asked(kind, n, fields)
    local fake, times = server(always), 0
    fake.probe = function()
      times = times + 1
      if times > n then
        return { status = 200 }
      end
      return nil, errors.new(kind, "no", fields)
    end
    local connection, err = connect(fake)
    return times, connection, err, fake
  end

  it("asks once more when the connection breaks, and no third time", function()
    local times, connection = asked("connect", 1)
    assert.equal(2, times)
    assert.truthy(connection)
    local err, fake
    times, connection, err, fake = asked("connect", 2)
    assert.equal(2, times)
    assert.is_nil(connection)
    assert.equal("connect", err.check)
    assert.equal("reaching the cloud (spec.endpoint): no", err.message)
    assert.equal(1, fake.closed)
  end)

  for kind, check in pairs { dns = "dns", timeout = "connect", http = "connect" } do
    it("says at which check it ended: " .. kind, function()
      local times, _, err = asked(kind, 1)
      assert.equal(1, times)
      assert.equal(kind, err.kind)
      assert.equal(check, err.check)
      assert.equal("reaching the cloud (spec.endpoint): no", err.message)
    end)
  end

  it("leaves an err that has said so as it is", function()
    local _, _, err = asked("format", 1, { check = "version" })
    assert.equal("version", err.check)
    assert.equal("no", err.message)
  end)
end)
