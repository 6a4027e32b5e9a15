--- providers.trust: whether the certificate of an API is believed.
--
-- By the system's CAs, the Secret's CA, the thumbprint of the spec, or the fingerprint
-- pinned at the first meeting. Nothing secret is sent before: `probe` sends none.

local errors = require "host.error"

local M = {}

-- Hex digits only, to compare two spellings of a fingerprint.
local function digits(fingerprint)
  return (fingerprint:gsub("[:%s]", ""):upper())
end

-- A `tls` whose errors name the fields of the source and its Secret.
local function with_fields(opts, tls, pinned_by)
  tls.ca_field = opts.ca_field .. " of the Secret"
  tls.thumbprint_field = pinned_by or "spec.thumbprint"
  return tls
end

-- What spec and Secret demand -> the tls of a pool, and whether that is anything.
local function demanded(opts)
  local thumbprint, ca = opts.thumbprint or "", opts.ca or ""
  if thumbprint:find("%S") then
    local hex = digits(thumbprint)
    if hex:find("%X") or (#hex ~= 40 and #hex ~= 64) then
      return nil, errors.final(errors.new("invalid", "spec.thumbprint is no SHA-1 or "
        .. "SHA-256 fingerprint: 40 or 64 hex digits, with or without colons",
        { check = "tls" }))
    end
    return with_fields(opts, { thumbprint = hex }), true
  end
  if ca:find("%S") then
    return with_fields(opts, { ca = ca }), true
  end
  return with_fields(opts, {}), false
end

--- trust.refused(url, err) -> nil, err
-- The error of a server that TLS refused: what is wrong, and the field that cures it.
function M.refused(url, err)
  local certificate = err.certificate
  local text = certificate and certificate.reason
  return nil, errors.final(errors.new("tls", text and url .. ": " .. text or err.message,
    { certificate = certificate, check = "tls", code = "CertificateRefused" }))
end

local function changed(url, certificate, pin)
  return nil, errors.final(errors.new("tls", ("%s: the certificate has changed since it "
    .. "was first seen: its SHA-256 fingerprint was %s, now it is %s (issuer %s); if "
    .. "that is right, set spec.thumbprint to the new one"):format(url, pin,
    certificate.fingerprint, certificate.issuer or "unknown"),
    { certificate = certificate, check = "tls", code = "CertificateChanged" }))
end

-- A connection that breaks may be a proxy's that restarts: once more.
local function meet(opts, tls)
  local pool, err = opts.http.pool { tls = tls, cookies = opts.cookies or false,
    shares = true }
  local response
  if not pool then -- no form of a thumbprint is refused here: it is the CA
    return nil, errors.final(errors.new("invalid", ("%s of the Secret: %s: it must have "
      .. "lines from -----BEGIN CERTIFICATE----- on"):format(opts.ca_field, err.message),
      { check = "tls", code = "CACertificateInvalid" }))
  end
  for _ = 1, 2 do
    response, err = opts.probe(pool)
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
local function learn(opts, met)
  local fingerprint = met.certificate and met.certificate.fingerprint
  if opts.strict_tls or not fingerprint then
    return M.refused(opts.url, met)
  end
  local pin = opts.fingerprint
  if pin and digits(pin) ~= digits(fingerprint) then
    return changed(opts.url, met.certificate, pin)
  end
  local tls = with_fields(opts, { thumbprint = fingerprint },
    "the first meeting (spec.thumbprint takes its place)")
  local pool, response = meet(opts, tls)
  if not pool then
    return nil, response
  end
  return pool, response, tls
end

--- trust.connect(opts) -> connection | nil, err                         [waits]
-- Meets a server and settles whether its certificate is believed.
--
--   opts.url          string   for messages
--   opts.what         string   for messages: "vSphere"
--   opts.field        string   where its URL stands           (default "spec.endpoint")
--   opts.probe        function (pool) -> response | nil, err: an exchange without secrets
--   opts.thumbprint   string   spec.thumbprint, or nil
--   opts.ca           string   PEM, or nil; opts.ca_field the name of its key
--   opts.http         host.http, or what stands in for it
--   opts.strict_tls   boolean  refuse an unknown certificate instead of pinning it
--   opts.fingerprint  string   the pin of an earlier run
--
--   connection.pool         host.http pool that believes this server alone
--   connection.tls          the `tls` it was made with, for transfers
--   connection.certificate  {fingerprint, trusted, issuer}; nil over http
--   connection.response     what probe got
--   err  dns, connect, timeout  not reached; err.check = "dns" or "connect"
--        tls  err.check = "tls", err.certificate, err.code = CertificateRefused or
--             CertificateChanged
--        invalid  err.check = "tls": spec.thumbprint or the CA is none
function M.connect(opts)
  local tls, demands = demanded(opts)
  if not tls then
    return nil, demands
  end
  local pool, response = meet(opts, tls)
  local pinned = false
  if not pool and response.kind == "tls" then
    if demands then
      return M.refused(opts.url, response)
    end
    pinned = true
    pool, response, tls = learn(opts, response)
  end
  if not pool then
    local err = response.check and response
      or errors.wrap(response, ("reaching %s (%s)"):format(opts.what,
        opts.field or "spec.endpoint"))
    err.check = err.check or err.code == "EndpointDenied" and "endpoint"
      or (err.kind == "dns" and "dns" or "connect")
    return nil, err
  end
  local met = response.certificate
  return {
    pool = pool,
    tls = tls,
    certificate = met and {
      fingerprint = met.fingerprint, issuer = met.issuer, trusted = not pinned,
    } or nil,
    response = response,
  }
end

return M
