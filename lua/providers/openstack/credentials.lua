--- providers.openstack.credentials: a Secret's keys -> what Keystone is asked with. Pure.
--
-- Upstream's keys (username, password, project_name, domain_name, ca_cert), the names of
-- clouds.yaml, those of OS_* variables, or a whole clouds.yaml under that key.
--
-- Source: OpenStack, Identity API v3, POST /v3/auth/tokens.

local errors = require "host.error"
local yaml = require "host.yaml"

local M = {}

-- Our name -> the keys it may stand under, the first one wins.
local KEYS = {
  username = { "username", "OS_USERNAME" },
  user_id = { "user_id", "OS_USER_ID" },
  password = { "password", "OS_PASSWORD" },
  project_name = { "project_name", "OS_PROJECT_NAME", "tenant_name", "OS_TENANT_NAME" },
  project_id = { "project_id", "OS_PROJECT_ID", "tenant_id", "OS_TENANT_ID" },
  domain_name = { "domain_name", "OS_DOMAIN_NAME" },
  domain_id = { "domain_id", "OS_DOMAIN_ID" },
  user_domain_name = { "user_domain_name", "OS_USER_DOMAIN_NAME" },
  user_domain_id = { "user_domain_id", "OS_USER_DOMAIN_ID" },
  project_domain_name = { "project_domain_name", "OS_PROJECT_DOMAIN_NAME" },
  project_domain_id = { "project_domain_id", "OS_PROJECT_DOMAIN_ID" },
  credential_id = { "application_credential_id", "OS_APPLICATION_CREDENTIAL_ID" },
  credential_name = { "application_credential_name", "OS_APPLICATION_CREDENTIAL_NAME" },
  credential_secret = { "application_credential_secret",
    "OS_APPLICATION_CREDENTIAL_SECRET" },
  region = { "region_name", "OS_REGION_NAME" },
  interface = { "interface", "OS_INTERFACE", "endpoint_type", "OS_ENDPOINT_TYPE" },
  ca = { "ca_cert", "caCert", "cacert", "OS_CACERT" },
}

local function invalid(message)
  return nil, errors.final(errors.new("invalid", message, { check = "secret" }))
end

-- A value that says something; blanks at its ends were never meant (a line's end in a
-- Secret written by `echo`), but in a password they may be.
local function text_of(value, keep)
  if type(value) ~= "string" and type(value) ~= "number" then
    return nil
  end
  local text = tostring(value)
  if not keep then
    text = text:match("^%s*(.-)%s*$")
  end
  return text:find("%S") and text or nil
end

-- The entry of a clouds.yaml, its `auth` joined with the rest.
local function from_clouds(text, wanted)
  local documents, err = yaml.parse(text, { what = "clouds.yaml of the Secret",
    written = true })
  if not documents then
    return invalid(err.message)
  end
  local clouds = type(documents[1]) == "table" and documents[1].clouds
  local names = {}
  for name in pairs(type(clouds) == "table" and clouds or {}) do
    names[#names + 1] = tostring(name)
  end
  table.sort(names)
  local name = wanted or (#names == 1 and names[1])
  local cloud = name and type(clouds) == "table" and clouds[name]
  if type(cloud) ~= "table" then
    return invalid(("clouds.yaml of the Secret holds %s; say which with a key `cloud`")
      :format(#names > 0 and table.concat(names, ", ") or "no clouds"))
  end
  local flat = {}
  for key, value in pairs(cloud) do
    flat[key] = value
  end
  for key, value in pairs(type(cloud.auth) == "table" and cloud.auth or {}) do
    flat[key] = value
  end
  return flat
end

local function read(secret)
  local found = {}
  for field, keys in pairs(KEYS) do
    for _, key in ipairs(keys) do
      found[field] = found[field]
        or text_of(secret[key], field == "password" or field == "credential_secret")
    end
  end
  return found
end

local function check(found)
  if found.credential_id or found.credential_name then
    if not found.credential_secret then
      return invalid("the Secret has an application credential but no "
        .. "application_credential_secret")
    elseif not found.credential_id and not (found.user_id or found.username) then
      return invalid("an application credential by name needs a username in the Secret; "
        .. "or give application_credential_id")
    end
    return found
  end
  if not (found.username or found.user_id) then
    return invalid("the Secret has no username")
  elseif not found.password then
    return invalid("the Secret has no password")
  elseif not (found.project_name or found.project_id) then
    return invalid("the Secret has no project_name")
  end
  return found
end

--- credentials.read(secret) -> credentials | nil, err
--
--   secret       key -> text
--   credentials  table  username, user_id, password, project_name, project_id, *domain*,
--                       credential_id, credential_name, credential_secret, region,
--                       interface, ca: strings or nil
--   err  invalid  final; says which key is missing. err.check = "secret"
function M.read(secret)
  local values = secret
  if text_of(secret["clouds.yaml"]) then
    local err
    values, err = from_clouds(secret["clouds.yaml"],
      text_of(secret.cloud) or text_of(secret.OS_CLOUD))
    if not values then
      return nil, err
    end
    -- A CA in clouds.yaml is a path on somebody's machine; the Secret's own is meant.
    values.cacert = nil
    for _, key in ipairs(KEYS.ca) do
      values[key] = secret[key]
    end
  end
  local found = read(values)
  if found.ca and not found.ca:find("-----BEGIN", 1, true) then
    return invalid("ca_cert of the Secret is no certificate in PEM form "
      .. "(-----BEGIN CERTIFICATE-----)")
  end
  return check(found)
end

local function domain(found, prefix)
  local id = found[prefix .. "_domain_id"] or found.domain_id
  local name = found[prefix .. "_domain_name"] or found.domain_name
  if found[prefix .. "_domain_id"] or (id and not found[prefix .. "_domain_name"]) then
    return { id = id }
  elseif name then
    return { name = name }
  end
  return { id = "default" }
end

local function user(found)
  if found.user_id then
    return { id = found.user_id }
  end
  return { name = found.username, domain = domain(found, "user") }
end

local function application_credential(found)
  local credential = { secret = found.credential_secret }
  if found.credential_id then
    credential.id = found.credential_id
  else
    credential.name = found.credential_name
    credential.user = user(found)
  end
  return { identity = {
    methods = { "application_credential" },
    application_credential = credential,
  } }
end

--- credentials.request(found, unscoped) -> table
-- The body of POST /v3/auth/tokens.
--
--   unscoped  boolean  without the project: to see which of the two is wrong
function M.request(found, unscoped)
  if found.credential_secret and (found.credential_id or found.credential_name) then
    return { auth = application_credential(found) }
  end
  local who = user(found)
  who.password = found.password
  local auth = { identity = { methods = { "password" }, password = { user = who } } }
  if unscoped then
    return { auth = auth }
  end
  local project = found.project_id and { id = found.project_id }
    or { name = found.project_name, domain = domain(found, "project") }
  auth.scope = { project = project }
  return { auth = auth }
end

--- credentials.project(found) -> text
-- The project, for messages.
function M.project(found)
  return found.project_name or found.project_id or "of the application credential"
end

return M
