--- providers.vmware.endpoint: where the API is, and whether its certificate is believed.
--
-- Nothing secret is sent before the certificate is: by the system's CAs, the Secret's
-- CA, the thumbprint of the spec, or the fingerprint pinned at the first meeting.

local errors = require "host.error"
local xml = require "host.xml"

local OLDEST = "5.5" -- spoken where the server does not list its versions

local M = {}

local function invalid(message)
  return nil, errors.final(errors.new("invalid", message, { check = "endpoint" }))
end

local function loopback(host)
  return host == "localhost" or host == "[::1]" or host:find("^127%.") ~= nil
end

--- endpoint.parse(text) -> endpoint | nil, err
-- An endpoint as people write it: "vc.example.com", "https://vc.example.com:8443/sdk".
--
--   endpoint.url        "https://vc.example.com/sdk"
--   endpoint.authority  "vc.example.com:8443": host, and port where one was given
--   endpoint.host       "vc.example.com"; an IPv6 address in brackets
--   err  invalid  no URL; names a user; or http to another machine than this one
function M.parse(text)
  text = (text or ""):match("^%s*(.-)%s*$")
  if text == "" then
    return invalid("spec.endpoint is empty; it is the URL of the vSphere API, "
      .. "https://HOST/sdk")
  end
  local scheme, rest = text:match("^(%a[%w+.-]*)://(.*)$")
  scheme, rest = (scheme or "https"):lower(), rest or text
  local authority, path = rest:match("^([^/?#]*)([^?#]*)")
  if authority:find("@", 1, true) then
    return invalid("spec.endpoint holds a user name; it belongs into the Secret")
  end
  local host = authority:match("^(%[[%x:.]+%])") or authority:match("^([%w._-]+)")
  local port = host and authority:sub(#host + 1)
  if not host or not (port == "" or port:find("^:%d+$")) then
    return invalid(("spec.endpoint %q is no URL of a vSphere API, https://HOST/sdk")
      :format(text))
  end
  if scheme ~= "https" and not (scheme == "http" and loopback(host)) then
    return invalid(("spec.endpoint %q: the password would cross the network in the "
      .. "clear; use https"):format(text))
  end
  path = path:gsub("/+$", "")
  return {
    url = ("%s://%s%s"):format(scheme, authority, path == "" and "/sdk" or path),
    authority = authority,
    host = host,
    secure = scheme == "https",
  }
end

-- Hex digits only, to compare two spellings of a fingerprint.
local function digits(fingerprint)
  return (fingerprint:gsub("[:%s]", ""):upper())
end

-- `spec` and `secret` -> the tls of a pool and which field it comes from.
local function demanded(spec, secret)
  local thumbprint, ca = spec.thumbprint or "", secret.caCert or ""
  if thumbprint:find("%S") then
    local hex = digits(thumbprint)
    if hex:find("%X") or (#hex ~= 40 and #hex ~= 64) then
      return nil, errors.final(errors.new("invalid", "spec.thumbprint is no SHA-1 or "
        .. "SHA-256 fingerprint: 40 or 64 hex digits, with or without colons",
        { check = "tls" }))
    end
    return { thumbprint = hex }, "spec.thumbprint"
  end
  if ca:find("%S") then
    return { ca = ca }, "caCert of the Secret"
  end
  return {}, nil
end

-- What to do about a certificate that was not believed, as one sentence.
local function advice(certificate, field)
  local met = ("issuer %s, SHA-256 fingerprint %s"):format(
    certificate.issuer or "unknown", certificate.fingerprint or "unknown")
  if field then
    return ("the certificate (%s) does not match %s; correct that field if the "
      .. "certificate is right"):format(met, field)
  end
  return ("no known CA has signed the certificate (%s); to trust it set "
    .. "spec.thumbprint to this fingerprint, or caCert in the Secret to its CA")
    :format(met)
end

local function refused(endpoint, err, field)
  local certificate = err.certificate
  local text = certificate and advice(certificate, field) or err.message
  return nil, errors.final(errors.new("tls", endpoint.url .. ": " .. text,
    { certificate = certificate, check = "tls", code = "CertificateRefused" }))
end

local function changed(endpoint, certificate, pin)
  return nil, errors.final(errors.new("tls", ("%s: the certificate has changed since it "
    .. "was first seen: its SHA-256 fingerprint was %s, now it is %s (issuer %s); if "
    .. "that is right, set spec.thumbprint to the new one"):format(endpoint.url, pin,
    certificate.fingerprint, certificate.issuer or "unknown"),
    { certificate = certificate, check = "tls", code = "CertificateChanged" }))
end

-- The versions a server speaks, newest first; {} where it does not say.
local function versions(response)
  local list = {}
  local document = response.status == 200
    and xml.parse(response.body, { what = "vimServiceVersions.xml" })
  for _, namespace in ipairs(document and xml.children(document, "namespace") or {}) do
    if xml.child_text(namespace, "name") == "urn:vim25" then
      list[#list + 1] = xml.child_text(namespace, "version")
      local prior = xml.child(namespace, "priorVersions")
      for _, version in ipairs(prior and xml.children(prior, "version") or {}) do
        list[#list + 1] = version.text
      end
    end
  end
  return list
end

-- The first exchange: needs no log-in and sends none. A connection that breaks may be
-- a proxy's that restarts: once more.
local function probe(http, endpoint, tls)
  local pool = http.pool { tls = tls, cookies = false }
  local response, err
  for _ = 1, 2 do
    response, err = pool:request {
      method = "GET", url = endpoint.url .. "/vimServiceVersions.xml", timeout = 30,
    }
    if response or err.kind ~= "connect" then
      break
    end
  end
  if not response then
    pool:close()
    return nil, err
  end
  return pool, response
end

-- Pins an unknown certificate, or the one pinned before.
local function learn(http, endpoint, met, opts)
  local fingerprint = met.certificate and met.certificate.fingerprint
  if opts.strict_tls or not fingerprint then
    return refused(endpoint, met)
  end
  local pin = opts.fingerprint
  if pin and digits(pin) ~= digits(fingerprint) then
    return changed(endpoint, met.certificate, pin)
  end
  local tls = { thumbprint = fingerprint }
  local pool, response = probe(http, endpoint, tls)
  if not pool then
    return nil, response
  end
  return pool, response, tls
end

--- endpoint.connect(endpoint, spec, secret, opts) -> connection | nil, err  [waits]
-- Meets the server and settles whether its certificate is believed.
--
--   opts.http         host.http, or what stands in for it
--   opts.strict_tls   boolean  refuse an unknown certificate instead of pinning it
--   opts.fingerprint  string   the pin of an earlier run
--
--   connection.pool         host.http pool that believes this server alone
--   connection.tls          the `tls` it was made with, for transfers from the same host
--   connection.certificate  {fingerprint, trusted, issuer}; nil over http
--   connection.versions     API versions, newest first; at least one
--   err  dns, connect, timeout  not reached; err.check = "dns" or "connect"
--        tls  err.check = "tls", err.certificate, err.code = CertificateRefused or
--             CertificateChanged; the message names issuer, fingerprint and the field
function M.connect(endpoint, spec, secret, opts)
  local tls, field = demanded(spec, secret)
  if not tls then
    return nil, field
  end
  local pool, response = probe(opts.http, endpoint, tls)
  local pinned = false
  if not pool and response.kind == "tls" then
    if field then
      return refused(endpoint, response, field)
    end
    pinned = true
    pool, response, tls = learn(opts.http, endpoint, response, opts)
  end
  if not pool then
    local err = response.check and response or errors.wrap(response, "reaching vSphere")
    err.check = err.check or (err.kind == "dns" and "dns" or "connect")
    return nil, err
  end
  local met = response.certificate
  local spoken = versions(response)
  return {
    pool = pool,
    tls = tls,
    certificate = met and {
      fingerprint = met.fingerprint, issuer = met.issuer, trusted = not pinned,
    } or nil,
    versions = #spoken > 0 and spoken or { OLDEST },
  }
end

return M
