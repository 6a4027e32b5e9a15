local endpoint = require "providers.vmware.endpoint"
local errors = require "host.error"
local vsphere = require "support.vsphere"

describe("endpoint.parse", function()
  local function url(text)
    local parsed, err = endpoint.parse(text)
    return parsed and parsed.url or err.kind
  end

  it("completes what people leave out", function()
    assert.equal("https://vc.example.com/sdk", url("vc.example.com"))
    assert.equal("https://vc.example.com/sdk", url(" https://vc.example.com/ "))
    assert.equal("https://vc.example.com:8443/sdk",
      url("https://vc.example.com:8443/sdk/"))
    assert.equal("https://[2001:db8::1]:443/sdk", url("https://[2001:db8::1]:443"))
  end)

  for typed, wanted in pairs {
    ["https://vc.example.com//sdk"] = "https://vc.example.com/sdk",
    ["https://vc.example.com/ui"] = "https://vc.example.com/sdk",
    ["https://vc.example.com/ui/app/vm;nav=h/urn:vmomi:x?y#z"] = "https://vc.example.com/sdk",
    ["https://vc.example.com/ui/#/host/vms"] = "https://vc.example.com/sdk",
    ["https://vc.example.com/sdk/vimService.wsdl"] = "https://vc.example.com/sdk",
    ["https://vc.example.com/vsphere-client/?csp"] = "https://vc.example.com/sdk",
    ["https://vc.example.com/mob/?moid=vm-1"] = "https://vc.example.com/sdk",
    ["HTTPS://vc.example.com/SDK"] = "https://vc.example.com/sdk",
    ["https://proxy.example.com/vc1/sdk"] = "https://proxy.example.com/vc1/sdk",
    ["vc.example.com:65535/sdk"] = "https://vc.example.com:65535/sdk",
    ["https://[fe80::1]/ui/"] = "https://[fe80::1]/sdk",
  } do
    it("reads " .. typed, function()
      assert.equal(wanted, url(typed))
    end)
  end

  for _, page in ipairs { "ui", "vsphere-client", "websso", "mob", "folder", "api", "rest",
    "host", "sdk" } do
    it("takes for one of vSphere's pages: " .. page, function()
      assert.equal("https://vc.example.com/sdk", url("https://vc.example.com/" .. page .. "/x"))
    end)
  end

  it("says whether it is asked over TLS", function()
    assert.is_true(endpoint.parse("vc.example.com").secure)
    assert.is_false(endpoint.parse("http://127.0.0.1/sdk").secure)
  end)

  for typed, words in pairs {
    ["https://vc.example.com:99999/sdk"] = { "there is no port 99999" },
    ["https://vc.example.com:0/sdk"] = { "there is no port 0" },
    ["https://vc.example.com:https/sdk"] = { "\"https\" is no port" },
    ["https://2001:db8::1/sdk"] = { "an IPv6 address stands in brackets" },
    ["https:/vc.example.com/sdk"] = { "no URL" },
    ["https//vc.example.com/sdk"] = { "no URL" },
    ["ftp://vc.example.com/sdk"] = { "ftp:// is not spoken" },
    ["https:///sdk"] = { "there is no host in it" },
    ["https://vc.example .com/sdk"] = { "holds a blank" },
    ["https://admin:s3cret@vc.example.com/sdk"] = { "belongs into its Secret" },
    ["https:/admin:s3cret@vc.example.com/sdk"] = { "belongs into its Secret" },
    ["http://vc.example.com/sdk"] = { "in the clear; use https" },
  } do
    it("refuses " .. typed .. ", in one line that names the field", function()
      local _, err = endpoint.parse(typed)
      assert.equal("endpoint", err.check)
      assert.truthy(err.final)
      assert.equal("spec.endpoint", err.message:sub(1, 13))
      assert.falsy(err.message:find("\n", 1, true))
      assert.falsy(err.message:find("s3cret", 1, true))
      for _, text in ipairs(words) do
        assert.truthy(err.message:find(text, 1, true), err.message)
      end
    end)
  end

  it("keeps host and port apart", function()
    local parsed = assert(endpoint.parse("https://[2001:db8::1]:8443/sdk"))
    assert.equal("[2001:db8::1]", parsed.host)
    assert.equal("[2001:db8::1]:8443", parsed.authority)
  end)

  it("refuses what is no URL, and a password in it", function()
    assert.equal("invalid", url(""))
    assert.equal("invalid", url(nil))
    assert.equal("invalid", url("https:///sdk"))
    assert.equal("invalid", url("https://vc.example.com:port/sdk"))
    local _, err = endpoint.parse("https://admin:s3cret@vc.example.com/sdk")
    assert.equal("endpoint", err.check)
    assert.is_nil(err.message:find("s3cret", 1, true))
  end)

  it("refuses plain http, except to this very machine", function()
    assert.equal("invalid", url("http://vc.example.com/sdk"))
    assert.equal("http://127.0.0.1:8989/sdk", url("http://127.0.0.1:8989/sdk"))
  end)
end)

describe("endpoint.connect", function()
  local HERE = assert(endpoint.parse("https://vc.example.com"))
  local MET = { fingerprint = "AA:BB", issuer = "CN=their ca", trusted = false,
    reason = "the certificate is wrong; mend it" }

  -- A server whose certificate is believed when pinned to `pin` (nil: never).
  local function server(pin)
    local fake = vsphere.new { versions = function()
      return { body = vsphere.VERSIONS, certificate = MET }
    end }
    local plain = fake.pool
    function fake.pool(opts)
      if (opts.tls.thumbprint or "") == (pin or "none") then
        return plain(opts)
      end
      fake.refused = opts
      return { close = function() end, request = function()
        return nil, errors.new("tls", "not trusted", { certificate = MET })
      end }
    end
    return fake
  end

  local function connect(fake, spec, secret, opts)
    opts = opts or {}
    opts.http = fake
    return endpoint.connect(HERE, spec or {}, secret or {}, opts)
  end

  it("pins an unknown certificate and says that it is not trusted", function()
    local connection = assert(connect(server("AA:BB")))
    assert.same({ fingerprint = "AA:BB", issuer = "CN=their ca", trusted = false },
      connection.certificate)
    assert.equal("AA:BB", connection.tls.thumbprint)
    assert.same({ "7.0.3.0", "6.7" }, connection.versions)
  end)

  for what, case in pairs {
    ["the one it speaks"] = { "<namespaces><namespace><name>urn:vim25</name><version>8.0.1.0"
      .. "</version></namespace></namespaces>", { "8.0.1.0" } },
    ["an old one where it speaks another tongue"] = { "<namespaces><namespace><name>urn:x</name>"
      .. "<version>1</version></namespace></namespaces>", { "5.5" } },
    ["an old one where it does not say"] = { "a page", { "5.5" } },
  } do
    it("asks in " .. what, function()
      local fake = vsphere.new { versions = case[1] }
      assert.same(case[2], assert(connect(fake)).versions)
    end)
  end

  it("says what is wrong with the certificate when it may not pin", function()
    local connection, err = connect(server("AA:BB"), {}, {}, { strict_tls = true })
    assert.is_nil(connection)
    assert.equal("tls", err.kind)
    assert.equal("tls", err.check)
    assert.is_true(err.final)
    assert.equal("https://vc.example.com/sdk: " .. MET.reason, err.message)
  end)

  it("asks once more when the connection breaks, and not a third time", function()
    local breaks, asked
    local fake = { pool = function()
      return { close = function() end, request = function()
        asked = asked + 1
        if asked <= breaks then
          return nil, errors.new("connect", "it broke")
        end
        return { status = 200, headers = {}, body = vsphere.VERSIONS }
      end }
    end }
    breaks, asked = 1, 0
    assert(connect(fake))
    breaks, asked = 2, 0
    local _, err = connect(fake)
    assert.equal("connect", err.check)
    assert.equal(2, asked)
  end)

  it("believes the pin of an earlier run, however it is written", function()
    assert(connect(server("AA:BB"), {}, {}, { fingerprint = "aabb" }))
  end)

  it("refuses a certificate that has changed", function()
    local connection, err = connect(server("AA:BB"), {}, {}, { fingerprint = "CC:DD" })
    assert.is_nil(connection)
    assert.equal("CertificateChanged", err.code)
    assert.truthy(err.message:find("CC:DD", 1, true))
    assert.truthy(err.message:find("AA:BB", 1, true))
  end)

  it("needs no pin any more once a known CA has signed", function()
    local connection = assert(connect(server(""), {}, {}, { fingerprint = "CC:DD" }))
    assert.is_true(connection.certificate.trusted)
    assert.is_nil(connection.tls.thumbprint)
    assert.is_nil(connection.tls.ca)
  end)

  it("trusts the thumbprint of the spec and nothing else", function()
    local sha1 = ("ab"):rep(20):upper()
    local spec = { thumbprint = ("ab:"):rep(19) .. "ab" }
    local connection = assert(connect(server(sha1), spec))
    assert.is_true(connection.certificate.trusted)
    local _, err = connect(server("AA:BB"), spec)
    assert.equal("tls", err.kind)
    _, err = connect(server("AA:BB"), { thumbprint = "AA:BB" })
    assert.equal("invalid", err.kind)
  end)

  it("gives the Secret's CA to the pool, and learns nothing then", function()
    local fake = server(nil)
    local _, err = connect(fake, {}, { caCert = "-----BEGIN CERTIFICATE-----" })
    assert.equal("tls", err.kind)
    assert.equal("caCert of the Secret", fake.refused.tls.ca_field)
    assert.equal("-----BEGIN CERTIFICATE-----", fake.refused.tls.ca)
  end)

  it("says that the Secret's CA is none", function()
    local _, err = endpoint.connect(assert(endpoint.parse("vc.example.com")), {},
      { caCert = "a certificate" }, { http = require("host.http") })
    assert.equal("invalid", err.kind)
    assert.equal("tls", err.check)
    assert.truthy(err.message:find("caCert of the Secret", 1, true))
  end)

  it("says which check failed when nobody answers", function()
    for kind, check in pairs { dns = "dns", connect = "connect", timeout = "connect" } do
      local _, err = connect(vsphere.new { versions = errors.new(kind, "no") })
      assert.equal(kind, err.kind)
      assert.equal(check, err.check)
    end
  end)

  it("speaks the oldest version where none are listed", function()
    local fake = vsphere.new { versions = { status = 404, body = "" } }
    local connection = assert(connect(fake))
    assert.same({ "5.5" }, connection.versions)
  end)
end)
