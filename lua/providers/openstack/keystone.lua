--- providers.openstack.keystone: a token and the catalogue that comes with it.

local address = require "providers.address"
local answer = require "providers.openstack.answer"
local bounds = require "providers.bounds"
local credentials_of = require "providers.openstack.credentials"
local errors = require "host.error"
local json = require "host.json"
local shapes = require "providers.openstack.shapes"
local time = require "host.time"

local M = {}

local WANTED = "Keystone's URL, https://HOST:5000/v3 or https://HOST/identity/v3"
local MOST_NAMED = 10 -- projects or regions in a message
local UNSAID = 3600   -- seconds that a token is thought to live of which nobody says it

-- Service -> catalogue types, best first; the version that its URLs must end in; or
-- `default`, what is added to one that names no version at all.
local SERVICES = {
  compute = { types = { "compute" }, default = "/v2.1" },
  volume = { types = { "volumev3", "block-storage", "block-store", "volume" },
    default = "/v3/%s" },
  image = { types = { "image" }, version = "/v2" },
  network = { types = { "network" }, version = "/v2.0" },
}

local function invalid(message)
  return nil, errors.final(errors.new("invalid", message, { check = "endpoint" }))
end

-- The path without its end that people copy along: /auth/tokens, the version.
local function base_of(path)
  return (path:gsub("/auth/tokens$", ""):gsub("/v[%d.]+$", ""))
end

--- keystone.endpoint(text, insecure) -> url | nil, err
-- spec.endpoint -> ".../v3": "https://cloud:5000", ".../identity", ".../v3/",
-- ".../v3/auth/tokens" will do.
--
--   insecure  boolean  spec.allowInsecureEndpoint: http will do
--   err  invalid  final; no URL, one with a user name in it, http to another machine, or
--        the dashboard's
function M.endpoint(text, insecure)
  local at, problem = address.parse(text, "spec.endpoint", WANTED)
  if not at then
    return invalid(problem)
  end
  if at.in_clear and not insecure then
    return invalid(("spec.endpoint \"http://%s%s\": the password would cross the network "
      .. "in the clear; use https, or set spec.allowInsecureEndpoint"):format(
      at.authority, at.path))
  end
  local first = at.path:match("^/([^/]+)")
  if first == "horizon" or first == "dashboard" then
    return invalid(("spec.endpoint \"%s://%s%s\" is the dashboard; it must be %s (the "
      .. "dashboard shows it under Project, API Access, Identity)"):format(at.scheme,
      at.authority, at.path, WANTED))
  end
  return ("%s://%s%s/v3"):format(at.scheme, at.authority, base_of(at.path))
end

local function post(pool, url, body)
  return pool:request {
    method = "POST", url = url .. "/auth/tokens", timeout = 60,
    total_timeout = bounds.SECONDS, max_body = bounds.ANSWER.max_body,
    headers = { ["Content-Type"] = "application/json", Accept = "application/json" },
    body = json.encode(body),
  }
end

local function list_names(items)
  local names = {}
  for i, item in ipairs(items) do
    names[i] = i <= MOST_NAMED and (item.name or item.id) or nil
  end
  table.sort(names)
  if #items > MOST_NAMED then
    names[#names + 1] = "..."
  end
  return names
end

-- Projects that the account may use, or nil: it cannot even log in.
local function projects(pool, url, found)
  local response = post(pool, url, credentials_of.request(found, true))
  local token = response and response.status == 201
    and response.headers["x-subject-token"]
  if not token then
    return nil
  end
  response = pool:request {
    url = url .. "/auth/projects", timeout = 60, headers = { ["X-Auth-Token"] = token },
    total_timeout = bounds.SECONDS, max_body = bounds.ANSWER.max_body,
  }
  local document = response and response.status == 200 and answer.document(response, "",
    shapes.projects)
  return document and list_names(document.projects or {}) or {}
end

-- Keystone says the same of a wrong password and of a wrong project.
local function refused(pool, url, found, response)
  local what = ("logging in to %s"):format(url)
  local names = not found.credential_secret and projects(pool, url, found)
  if names then
    return errors.final(errors.new("denied", ("%s: the user name and password are right, "
      .. "but the account has no role in project %s; it has one in: %s"):format(what,
      credentials_of.project(found), #names > 0 and table.concat(names, ", ") or "none"),
      { check = "project", code = "ProjectRefused", candidates = names }))
  end
  local err = answer.failure(response, what)
  return errors.final(errors.new("denied", err.message .. " (" .. (found.credential_secret
    and "is the application credential right, and not expired?"
    or "are user name, password and domain right?") .. ")",
    { check = "login", code = "LoginRefused" }))
end

-- Something that is no Keystone: it redirects, shows a page, or knows no log-in.
local function is_another(response)
  local status = response.status
  return status >= 300 and status < 500 and status ~= 429 and status ~= 401
    and (status < 400 or status == 404 or status == 405
      or address.answered(response):find("web page", 1, true) ~= nil)
end

local function unlike(url, response)
  local err = answer.failure(response, "logging in to " .. url)
  return errors.new("notfound", ("%s; spec.endpoint must be %s"):format(err.message,
    WANTED), { check = "endpoint", status = response.status })
end

-- Seconds that Keystone gives it for, by its own clock: ours may be another one.
local function life_of(token)
  local ends = time.parse(token.expires_at or "")
  local began = time.parse(token.issued_at or "") or time.now()
  return ends and math.max(ends - began, 0) or UNSAID
end

--- keystone.log_in(pool, url, credentials) -> token | nil, err          [waits]
--
--   token.id       string   X-Auth-Token; a secret
--   token.ends     time of time.boottime(), which nobody sets
--   token.life     seconds that it was given for
--   token.catalog  list
--   token.project  {id, name}
--   err  denied  final; err.code = LoginRefused or ProjectRefused (with err.candidates)
--        notfound  there is no Keystone at this URL
function M.log_in(pool, url, credentials)
  local asked_at = time.boottime()
  local response, err = post(pool, url, credentials_of.request(credentials))
  if not response then
    return nil, errors.wrap(err, "logging in to " .. url)
  elseif is_another(response) then
    return nil, unlike(url, response)
  elseif response.status == 401 or response.status == 403 then
    return nil, refused(pool, url, credentials, response)
  elseif response.status ~= 201 then
    err = answer.failure(response, "logging in to " .. url)
    err.check = "login"
    return nil, err
  end
  local document
  document, err = answer.document(response, "logging in to " .. url, shapes.token)
  local id = response.headers["x-subject-token"]
  if not document or not id then
    return nil, err or errors.new("format", url .. ": the answer holds no token")
  end
  local token = document.token
  local life = life_of(token)
  return {
    id = id, ends = asked_at + life, life = life, catalog = token.catalog or {},
    project = token.project or {},
  }
end

local function services_of(catalog, kind)
  local found = {}
  for _, service in ipairs(catalog) do
    if service.type == kind then
      found[#found + 1] = service
    end
  end
  return found
end

--- keystone.regions(catalog) -> names, sorted
function M.regions(catalog)
  local seen, names = {}, {}
  for _, service in ipairs(catalog) do
    for _, endpoint in ipairs(service.endpoints or {}) do
      local region = endpoint.region or endpoint.region_id
      if region and not seen[region] then
        seen[region] = true
        names[#names + 1] = region
      end
    end
  end
  table.sort(names)
  return names
end

-- The URLs of a service: those of the best type that has any.
local function urls_in(catalog, service, region, interface)
  for _, kind in ipairs(service.types) do
    local urls = {}
    for _, entry in ipairs(services_of(catalog, kind)) do
      for _, endpoint in ipairs(entry.endpoints or {}) do
        if (endpoint.region or endpoint.region_id) == region
          and endpoint.interface == interface and type(endpoint.url) == "string" then
          urls[#urls + 1] = endpoint.url
        end
      end
    end
    if #urls > 0 then
      return urls
    end
  end
  return {}
end

-- The catalogue's text as a URL that may be asked, or nil, problem.
local function usable(text, name, opts)
  local field = ("the catalogue's URL of the %s service"):format(name)
  local at, problem = address.parse(text, field, "an https URL")
  if at and at.in_clear and not opts.insecure then
    return nil, ("%s is http://%s: the token and the disks would cross the network in "
      .. "the clear; take another interface (Secret), have https set up there, or set "
      .. "spec.allowInsecureEndpoint"):format(field, at.authority)
  end
  return at and ("%s://%s%s"):format(at.scheme, at.authority, at.path), problem
end

-- With the version that is spoken, once.
local function versioned(url, service, project)
  local version = service.version
  url = url:gsub("/+$", "")
  if service.default then
    return url:find("/v%d") and url or url .. service.default:format(project or "")
  elseif not url:find("/v%d[%d.]*$") then
    return url .. version
  end
  return (url:gsub("/v%d[%d.]*$", version))
end

-- The region meant: the one named, or the only one.
local function region_of(catalog, region)
  local names = M.regions(catalog)
  if not region and #names == 1 then
    return names[1]
  end
  for _, name in ipairs(names) do
    if name == region then
      return name
    end
  end
  return nil, errors.final(errors.new("notfound", ("%s; the catalogue has: %s"):format(
    region and ("there is no region %s"):format(region) or "spec.region is not set",
    table.concat(names, ", ")), {
    check = "region", code = "RegionNotFound", candidates = names,
  }))
end

local function lacking(name, service, region, interface, problem)
  if problem then
    return errors.final(errors.new("invalid", problem,
      { check = "catalogue", code = "InsecureEndpoint" }))
  end
  return errors.final(errors.new("notfound", ("the catalogue has no %s service (%s) "
    .. "with interface %s in region %s"):format(name, table.concat(service.types, ", "),
    interface, region), { check = "catalogue", code = "ServiceNotFound" }))
end

--- keystone.in_clear(url) -> boolean
-- Whether what is sent there can be read on its way.
function M.in_clear(url)
  local at = address.parse(url, "", "")
  return at ~= nil and at.in_clear
end

--- keystone.services(catalog, region, interface, opts) -> urls, others | nil, err
--
--   region         string  or nil: the only one
--   interface      string  "public", "internal" or "admin"; "publicURL" as well
--   opts.project   string  its id, for URLs that name no version
--   opts.insecure  boolean  http to other machines will do
--   opts.dead      set of URLs that did not answer: others are taken where there are any
--   urls    {compute, volume, image, network} without a slash at the end
--   others  the same names -> true where the catalogue has another URL to fall back to
--   err  notfound  final; err.code = RegionNotFound or ServiceNotFound
--        invalid   final; err.code = InsecureEndpoint: it has none that may be asked
function M.services(catalog, region, interface, opts)
  local err
  opts = opts or {}
  region, err = region_of(catalog, region)
  if not region then
    return nil, err
  end
  interface = (interface or "public"):gsub("URL$", "")
  local urls, others = {}, {}
  for name, service in pairs(SERVICES) do
    local problem
    for _, text in ipairs(urls_in(catalog, service, region, interface)) do
      local url, why = usable(text, name, opts)
      problem = problem or why
      url = url and versioned(url, service, opts.project)
      if not url then
        goto next
      elseif not urls[name] or (opts.dead or {})[urls[name]] then
        urls[name] = url
      elseif url ~= urls[name] and not (opts.dead or {})[url] then
        others[name] = true
      end
      ::next::
    end
    if not urls[name] then
      return nil, lacking(name, service, region, interface, problem)
    end
  end
  return urls, others
end

return M
