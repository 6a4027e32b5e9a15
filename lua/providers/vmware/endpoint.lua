--- providers.vmware.endpoint: where the API is, and whether its certificate is believed.
--
-- Nothing secret is sent before the certificate is: by the system's CAs, the Secret's
-- CA, the thumbprint of the spec, or the fingerprint pinned at the first meeting.

local bounds = require "providers.bounds"
local address = require "providers.address"
local errors = require "host.error"
local trust = require "providers.trust"
local xml = require "host.xml"

local WANTED = "the URL of the vSphere API, https://HOST/sdk"
local OLDEST = "5.5" -- spoken where the server does not list its versions

local M = {}

local function invalid(message)
  return nil, errors.final(errors.new("invalid", message, { check = "endpoint" }))
end

-- Paths that people copy out of a browser; the API is at /sdk of the same host.
local PAGES = { ui = true, ["vsphere-client"] = true, websso = true, mob = true,
  folder = true, api = true, rest = true, host = true, sdk = true }

local function path_of(path)
  local first = path:match("^/([^/]+)") or "sdk"
  return PAGES[first:lower()] and "/sdk" or path
end

--- endpoint.parse(text) -> endpoint | nil, err
-- An endpoint as people write it: "vc.example.com", "https://vc.example.com:8443//sdk/",
-- "https://vc.example.com/ui/".
--
--   endpoint.url        "https://vc.example.com/sdk"
--   endpoint.authority  "vc.example.com:8443": host, and port where one was given
--   endpoint.host       "vc.example.com"; an IPv6 address in brackets
--   err  invalid  no URL; names a user; or http to another machine than this one
function M.parse(text)
  local at, problem = address.parse(text, "spec.endpoint", WANTED)
  if not at then
    return invalid(problem)
  end
  if at.in_clear then
    return invalid(("spec.endpoint \"http://%s%s\": the password would cross the "
      .. "network in the clear; use https"):format(at.authority, at.path))
  end
  return {
    url = ("%s://%s%s"):format(at.scheme, at.authority, path_of(at.path)),
    authority = at.authority,
    host = at.host,
    secure = at.scheme == "https",
  }
end

-- The versions a server speaks, newest first; {} where it does not say.
local function versions(response)
  local list = {}
  local document = response.status == 200
    and xml.parse(response.body, { what = "vimServiceVersions.xml",
      max_memory = bounds.ANSWER.max_memory })
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
--        invalid  spec.thumbprint or the Secret's caCert is none
function M.connect(endpoint, spec, secret, opts)
  local connection, err = trust.connect {
    url = endpoint.url, what = "vSphere", http = opts.http,
    thumbprint = spec.thumbprint, ca = secret.caCert, ca_field = "caCert",
    strict_tls = opts.strict_tls, fingerprint = opts.fingerprint,
    probe = function(pool) -- needs no log-in and sends none
      return pool:request {
        method = "GET", url = endpoint.url .. "/vimServiceVersions.xml", timeout = 30,
        total_timeout = bounds.SECONDS, max_body = bounds.ANSWER.max_body,
      }
    end,
  }
  if not connection then
    return nil, err
  end
  local spoken = versions(connection.response)
  connection.versions = #spoken > 0 and spoken or { OLDEST }
  return connection
end

return M
