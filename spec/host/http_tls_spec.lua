local digest = require "host.digest"
local http = require "host.http"
local httpd = require "httpd"
local web = require "support.web"

-- The thumbprint of a certificate, without colons.
local function thumbprint(pem, algorithm)
  local der = digest.base64_decode((pem:gsub("%-%-%-%-%-[^-]*%-%-%-%-%-", "")))
  return digest[algorithm or "sha256"](der)
end

local function colons(hex)
  return (hex:upper():gsub("%x%x", "%0:"):sub(1, -2))
end

describe("host.http over TLS", function()
  local ca, ca_key = httpd.certificate({ name = "A private CA", ca = true })
  local cert, key = httpd.certificate({
    name = "vc.example", alt = "IP:127.0.0.1,DNS:vc.example", issuer = ca, issuer_key = ca_key,
  })
  local site, server, url

  before_each(function()
    site = web.open(nil, { cert = cert, key = key })
    server, url = site.server, site.url
    server:on("/", { web.answer("hello") })
  end)

  after_each(function()
    site.close()
  end)

  -- Asks a server with a new pool that has these TLS options.
  local function ask(tls, at)
    local pool <close> = assert(http.pool({ tls = tls }))
    return pool:request({ url = at or url("/") })
  end

  -- The err must be one of TLS and show this certificate; nothing may have been asked.
  local function distrusted(pem, reason, got, err)
    web.refused("tls", reason, got, err)
    assert.equal(colons(thumbprint(pem)), err.certificate.fingerprint)
    assert.equal(colons(thumbprint(pem, "sha1")), err.certificate.sha1)
    assert.is_false(err.certificate.trusted)
    assert.truthy(err.message:find(err.certificate.fingerprint, 1, true))
    assert.equal(0, #server:requests())
  end

  it("accepts whom the given CA has signed, and says who that is", function()
    local got = assert(ask({ ca = ca }))
    assert.equal("hello", got.body)
    assert.equal(colons(thumbprint(cert)), got.certificate.fingerprint)
    assert.equal("CN=vc.example", got.certificate.subject)
    assert.equal("CN=A private CA", got.certificate.issuer)
    assert.is_true(got.certificate.trusted)
  end)

  it("refuses a CA that the system does not know, before anything is sent", function()
    distrusted(cert, "signed by an unknown CA", ask())
    distrusted(cert, "issuer CN=A private CA", ask({}))
  end)

  it("refuses another CA's certificates, even of one with the same name", function()
    distrusted(cert, "of that name in the given CA has another key",
      ask({ ca = (httpd.certificate({ name = "A private CA", ca = true })) }))
  end)

  it("refuses another name and an expired certificate", function()
    for reason, opts in pairs({
      ["is for elsewhere.example, not for 127.0.0.1"] = { alt = "DNS:elsewhere.example" },
      ["has expired"] = { alt = "IP:127.0.0.1", days = -1 },
    }) do
      opts.issuer, opts.issuer_key = ca, ca_key
      local bad, bad_key = httpd.certificate(opts)
      local second <close> = httpd.new({ cert = bad, key = bad_key })
      distrusted(bad, reason, ask({ ca = ca }, ("https://127.0.0.1:%d/"):format(second:port())))
      assert.equal(0, #second:requests())
    end
  end)

  it("accepts a thumbprint in any form, whatever else is wrong", function()
    local bad, bad_key = httpd.certificate({ days = -1 })
    local second <close> = httpd.new({ cert = bad, key = bad_key })
    second:on("/", { web.answer("pinned") })
    local sha256, sha1 = thumbprint(bad), thumbprint(bad, "sha1")
    for _, pin in ipairs({ sha256, sha1, colons(sha256), colons(sha1), sha1:upper() }) do
      local got = assert(ask({ thumbprint = pin },
        ("https://127.0.0.1:%d/"):format(second:port())))
      assert.equal("pinned", got.body)
      assert.is_true(got.certificate.trusted)
    end
  end)

  it("refuses another thumbprint, even of a certificate that the CA has signed", function()
    distrusted(cert, "thumbprint", ask({ thumbprint = thumbprint(ca), ca = ca }))
    distrusted(cert, "thumbprint", ask({ thumbprint = thumbprint(ca, "sha1"), learn = true }))
  end)

  it("accepts whoever answers when it learns, and says that nobody vouches", function()
    local got = assert(ask({ learn = true }))
    assert.equal("hello", got.body)
    assert.is_false(got.certificate.trusted)
    assert.equal(colons(thumbprint(cert)), got.certificate.fingerprint)
    assert.is_true(#got.certificate.reason > 0)
    -- The fingerprint that was learnt is the one to pin.
    assert(ask({ thumbprint = got.certificate.fingerprint }))
  end)

  it("follows nobody to another host while it learns", function()
    local second <close> = httpd.new()
    server:on("/away", { web.redirect(302, ("http://127.0.0.1:%d/"):format(second:port())) })
    local pool <close> = assert(http.pool({ tls = { learn = true } }))
    local got, err = pool:request({ url = url("/away"), follow = 1 })
    assert.is_nil(got)
    assert.equal("http", err.kind)
    assert.equal(0, second:connections())
  end)

  it("never follows from https to http", function()
    local plain <close> = httpd.new()
    server:on("/away", { web.redirect(302, ("http://127.0.0.1:%d/"):format(plain:port())) })
    local pool <close> = assert(http.pool({ tls = { ca = ca } }))
    web.refused("http", "from https to http",
      pool:request({ url = url("/away"), follow = 1 }))
    assert.equal(0, plain:connections())
  end)

  it("tells about the certificate on a connection that is used again", function()
    local pool <close> = assert(http.pool({ tls = { ca = ca } }))
    local first = assert(pool:request({ url = url("/") }))
    local second = assert(pool:request({ url = url("/") }))
    assert.equal(1, server:connections())
    assert.same(first.certificate, second.certificate)
  end)

  it("does not lend one pool's connection to another that trusts less", function()
    local trusting <close> = assert(http.pool({ tls = { learn = true } }))
    assert(trusting:request({ url = url("/") }))
    local got, err = ask()
    assert.is_nil(got)
    assert.equal("tls", err.kind)
    assert(trusting:request({ url = url("/") }))
    assert.equal(2, server:connections())
  end)

  it("takes no CA that is no PEM and no thumbprint that is no digest", function()
    for _, tls in ipairs({
      { ca = "not a certificate" }, { thumbprint = "AB:CD" }, { thumbprint = "zz" },
    }) do
      local pool, err = http.pool({ tls = tls })
      assert.is_nil(pool)
      assert.equal("invalid", err.kind)
    end
    assert.has_error(function()
      http.pool({ tls = { insecure = true } })
    end)
  end)

  it("keeps Secure cookies for https", function()
    server:on("/login", { web.answer("", 'Set-Cookie: s="a b"; Path=/; Secure\r\n') })
    local pool <close> = assert(http.pool({ tls = { ca = ca }, cookies = true }))
    assert(pool:request({ url = url("/login") }))
    assert(pool:request({ url = url("/") }))
    assert.truthy(server:requests()[2]:find('Cookie: s="a b"\r\n', 1, true))
  end)
end)
