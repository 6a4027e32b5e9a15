local disk = require "host.disk"
local errors = require "host.error"
local file = require "host.file"
local http = require "host.http"
local httpd = require "httpd"
local web = require "support.web"

local FIELDS = { ca_field = "caCert of the Secret", thumbprint_field = "spec.thumbprint" }

-- The options of a certificate for 127.0.0.1, with others over them.
local function with(opts)
  local all = { name = "vc.example", alt = "IP:127.0.0.1" }
  for name, value in pairs(opts) do
    all[name] = value or nil
  end
  return all
end

local ca, ca_key = httpd.certificate({ name = "A private CA", ca = true })
local other = httpd.certificate({ name = "Another CA", ca = true })
local namesake = httpd.certificate({ name = "A private CA", ca = true })
local middle, middle_key = httpd.certificate({ name = "Between", ca = true, issuer = ca,
  issuer_key = ca_key })
local old_ca, old_ca_key = httpd.certificate({ name = "Old CA", ca = true, days = -1 })

local function signed(opts, by, by_key)
  opts = with(opts)
  opts.issuer, opts.issuer_key = by or ca, by_key or ca_key
  local cert, key = httpd.certificate(opts)
  return { cert = cert, key = key }
end

local function self_signed(opts)
  local cert, key = httpd.certificate(with(opts))
  return { cert = cert, key = key }
end

local PIN = "or set spec.thumbprint to its fingerprint (issuer "

-- A reason that TLS can refuse: {what it is, the server, what is demanded of it, the words
-- that must be said, the kind of err (tls)}
local REASONS = {
  { "another address", signed { alt = "DNS:localhost,IP:10.0.0.9" }, { ca = ca },
    { "the certificate is for localhost, 10.0.0.9, not for 127.0.0.1; use a name that it "
      .. "has, " .. PIN .. "CN=A private CA" } },
  { "a common name alone", signed { alt = false }, { ca = ca },
    { "is for vc.example, not for 127.0.0.1" } },
  { "one that is not valid yet", signed { from = 2, days = 4 }, { ca = ca },
    { "is valid only from 20", " UTC (here it is 20", "set the clock", PIN } },
  { "one that has expired", signed { days = -1 }, { ca = ca },
    { "has expired at 20", " UTC (here it is 20", "renew it", PIN } },
  { "one for clients", signed { usage = "clientAuth" }, { ca = ca },
    { "is not one for TLS servers", "serverAuth", PIN } },
  { "a self-signed one, nothing given", self_signed {}, {},
    { "the certificate is self-signed; put it into caCert of the Secret, " .. PIN } },
  { "a self-signed one, another CA given", self_signed {}, { ca = ca },
    { "is self-signed, which is not in caCert of the Secret (it holds CN=A private CA)",
      PIN } },
  { "an unknown CA, nothing given", signed {}, {},
    { "is signed by an unknown CA (CN=A private CA); put the certificate of that CA into "
      .. "caCert of the Secret", PIN } },
  { "another CA than the one given", signed {}, { ca = other },
    { "signed by an unknown CA (CN=A private CA), which is not in caCert of the Secret (it "
      .. "holds CN=Another CA)", PIN } },
  { "a CA that was made anew", signed {}, { ca = namesake },
    { "and the one of that name in caCert of the Secret has another key",
      "put the certificate of that CA into caCert", PIN } },
  { "a missing certificate between", signed({}, middle, middle_key), { ca = ca },
    { "an unknown CA (CN=Between), which is not in caCert of the Secret (it holds CN=A "
      .. "private CA)", "let the server send all certificates of its chain", PIN } },
  { "a CA that has expired", signed({}, old_ca, old_ca_key), { ca = old_ca },
    { "is signed by CN=Old CA, whose certificate has expired at 20", PIN } },
  { "a key that is too weak", self_signed { bits = 1024 }, {},
    { "has a key of 1024 bits, which is too weak", "2048", PIN } },
  { "several flaws at once", self_signed { days = -1, alt = "DNS:localhost" }, {},
    { "the certificate is for localhost, not for 127.0.0.1, and it has expired at ",
      ", and it is self-signed; use a name that it has, and renew it, and put it into "
        .. "caCert of the Secret, " .. PIN } },
  { "another thumbprint", signed {}, { thumbprint = ("ab"):rep(32) },
    { "the certificate is not the one of spec.thumbprint; correct that if this one is "
      .. "right (issuer CN=A private CA, SHA-256 fingerprint " } },
  { "a TLS that is too old", (function()
    local server = signed {}
    server.version = "1.1"
    return server
  end)(), { ca = ca }, { "no TLS of version 1.2 or later", "enable it there" } },
  { "no cipher in common", (function()
    local server = signed {}
    server.version, server.ciphers = "1.2", "NULL-SHA256"
    return server
  end)(), { ca = ca }, { "no cipher in common" } },
  { "a server that wants a certificate of ours", (function()
    local server = signed {}
    server.wants_client, server.version = true, "1.2"
    return server
  end)(), { ca = ca }, { "client certificate" } },
  { "a connection that breaks", { hangs_up = true }, { ca = ca },
    { "the connection broke in the TLS handshake" }, "connect" },
}

local function demanded(demands)
  local tls = { ca_field = FIELDS.ca_field, thumbprint_field = FIELDS.thumbprint_field }
  for name, value in pairs(demands) do
    tls[name] = value
  end
  return tls
end

local function says(err, kind, words)
  assert.equal(kind, err.kind, err.message)
  for _, text in ipairs(words) do
    assert(err.message:find(text, 1, true), ("%s\nlacks: %s"):format(err.message, text))
  end
  assert.falsy(err.message:find("\n", 1, true))
end

describe("what TLS refuses:", function()
  for _, reason in ipairs(REASONS) do
    local name, server_opts, demands, words, kind = table.unpack(reason)
    it(name .. " is told apart, with its cure, by a request and by a transfer", function()
      local server <close> = httpd.new(server_opts)
      local url = ("https://127.0.0.1:%d/disk"):format(server:port())
      local pool <close> = assert(http.pool({ tls = demanded(demands) }))
      local got, err = pool:request({ url = url })
      assert.is_nil(got)
      says(err, kind or "tls", words)

      local output = os.tmpname()
      local transfer <close> = assert(disk.transfer({ format = "raw", output = output,
        source = { url = url, tls = demanded(demands) } }))
      got, err = transfer:wait()
      file.remove(output, { missing_ok = true })
      assert.is_nil(got)
      says(err, kind or "tls", words)
      assert.equal(0, #server:requests())
    end)
  end

  it("plain HTTP at the port is said to be none", function()
    local server <close> = httpd.new({ turns_away = true })
    local pool <close> = assert(http.pool({ tls = demanded({ ca = ca }) }))
    local _, err = pool:request({ url = ("https://127.0.0.1:%d/"):format(server:port()) })
    says(err, "tls", { "no TLS is spoken at this port (plain HTTP?)" })
  end)

  it("no field is named where there is none", function()
    local server <close> = httpd.new(self_signed { alt = "DNS:localhost" })
    local pool <close> = assert(http.pool({ tls = { ca = ca } }))
    local _, err = pool:request({ url = ("https://127.0.0.1:%d/"):format(server:port()) })
    says(err, "tls", { "is not in the given CA", "make it known to this system (issuer" })
  end)

  it("a chain that the server sends whole is believed", function()
    local server_opts = signed({}, middle, middle_key)
    server_opts.cert = server_opts.cert .. middle
    local server <close> = httpd.new(server_opts)
    server:on("/", { web.answer("hello") })
    local pool <close> = assert(http.pool({ tls = demanded({ ca = ca }) }))
    assert(pool:request({ url = ("https://127.0.0.1:%d/"):format(server:port()) }))
  end)

  it("a name with control characters cannot write to a terminal", function()
    local server <close> = httpd.new(self_signed { name = "a\27[2Jb", alt = false })
    local pool <close> = assert(http.pool({ tls = demanded({}) }))
    local _, err = pool:request({ url = ("https://127.0.0.1:%d/"):format(server:port()) })
    assert.falsy(errors.of(err).message:find("%c"))
  end)
end)
