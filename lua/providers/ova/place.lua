--- providers.ova.place: where an OVA or OVF is, and what lies beside it. Pure.

local errors = require "host.error"

local M = {}

local WANTED = "the URL of an OVA or of an OVF, https://HOST/PATH"

local function invalid(fmt, ...)
  return nil, errors.final(errors.new("invalid", fmt:format(...), { check = "endpoint",
    code = "SpecInvalid" }))
end

local function decoded(text)
  return (text:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

local function encoded(name)
  return (name:gsub("[^%w%-._~/!$&'()*+,;=:@]", function(char)
    return ("%%%02X"):format(char:byte())
  end))
end

-- "file:///srv/a.ova", "file:a.ova".
local function local_file(rest, allowed)
  local path = decoded(rest:gsub("^//localhost/", "/"):gsub("^///", "/"):gsub("^//", ""))
  if not allowed then
    return invalid("spec.url: file: is read on the command line alone; in a cluster it "
      .. "is %s", WANTED)
  elseif path == "" or path:find("\0", 1, true) then
    return invalid("spec.url: no path of a file; it is %s", WANTED)
  end
  return { path = path }
end

--- place.parse(text, opts) -> place | nil, err
--
--   opts.files   boolean  a file of this machine will do
--   place.url       string   http or https, with its query; or
--   place.path      string   of a file
--   place.origin    string   "https://host:port", lower case
--   place.in_clear  boolean  http to another machine
--   err  invalid  final; names spec.url and holds nothing secret
function M.parse(text, opts)
  text = (text or ""):match("^%s*(.-)%s*$")
  local scheme, rest = text:match("^(%a[%w+.-]*):(.*)$")
  scheme = (scheme or ""):lower()
  if text == "" then
    return invalid("spec.url is empty; it is %s", WANTED)
  elseif text:find("[%s%c]") then
    return invalid("spec.url holds a blank or a line's end; it is %s", WANTED)
  elseif scheme == "file" then
    return local_file(rest, opts.files)
  elseif scheme ~= "http" and scheme ~= "https" or not rest:find("^//[^/?#]") then
    return invalid("spec.url is no URL that is read; it is %s", WANTED)
  end
  local authority = rest:match("^//([^/?#]+)")
  if authority:find("@", 1, true) then
    return invalid("spec.url holds a user name; take it out: user and password belong "
      .. "into the Secret of spec.credentials")
  end
  local url = scheme .. ":" .. rest:gsub("#.*$", "")
  local host = authority:match("^(%[[%x:.]+%])") or authority:match("^[^:]+") or ""
  local here = host == "localhost" or host == "[::1]" or host:find("^127%.")
  return { url = url, origin = M.origin(url), in_clear = scheme == "http" and not here }
end

--- place.origin(url) -> "https://host:port" in lower case, without a usual port
function M.origin(url)
  local origin = (url:match("^%a+://[^/?#]*") or ""):lower()
  return (origin:gsub("^(https://.*):443$", "%1"):gsub("^(http://.*):80$", "%1"))
end

--- place.name(place) -> the name of its file
function M.name(place)
  local name = (place.path or place.url:match("^%a+://[^/?#]*([^?#]*)")):match("[^/]*$")
  return place.path and name or decoded(name)
end

--- place.beside(place, name) -> place
-- A file in the folder of the one that is there. A query goes along: it may be what lets
-- us in.
--
--   name  string  without "..", as providers.ova.ovf and the archive have checked it
function M.beside(place, name)
  if place.path then
    return { path = (place.path:match("^.*/") or "") .. name }
  end
  local folder = place.url:match("^(%a+://[^/?#]*/[^?#]*/)[^/?#]*")
    or place.url:match("^(%a+://[^/?#]*/)") or place.url:match("^[^?#]*") .. "/"
  local query = place.url:match("%?.*$") or ""
  return { url = folder .. encoded(name) .. query, origin = place.origin,
    in_clear = place.in_clear }
end

return M
