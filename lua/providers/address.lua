--- providers.address: the URL of an API as people write it, and what is there in its
-- stead.

local http = require "host.http"

local M = {}

local MOST_TITLE = 60 -- bytes of a page's title in a message

local function loopback(host)
  return host == "localhost" or host == "[::1]"
    or host:find("^127%.%d+%.%d+%.%d+$") ~= nil
end

-- Scheme and the rest; https where none is written.
local function split(text)
  local scheme, rest = text:match("^(%a[%w+.-]*)://(.*)$")
  if scheme then
    return scheme:lower(), rest
  elseif text:lower():find("^https?[:/]") then
    return nil
  end
  return "https", text
end

local function port_problem(port)
  local number = tonumber(port:match("^:(%d+)$"))
  if port ~= "" and not number then
    return select(2, port:gsub(":", "")) > 1 and "an IPv6 address stands in brackets"
      or ("%q is no port"):format(port:sub(2))
  elseif number and (number < 1 or number > 65535) then
    return ("there is no port %s (1 to 65535)"):format(port:sub(2))
  end
  return nil
end

--- address.parse(text, field, wanted) -> address | nil, problem
-- "vc.example.com", "https://vc.example.com:8443/sdk/?x#y".
--
--   field     string  where it stands: "spec.endpoint"
--   wanted    string  what belongs there: "the URL of the vSphere API, https://HOST/sdk"
--   address.scheme     "https" or "http"
--   address.authority  "vc.example.com:8443": host, and port where one was given
--   address.host       "vc.example.com"; an IPv6 address in brackets
--   address.path       "/sdk": no slash at the end, none twice; "" where there is none
--   address.in_clear   boolean: http to another machine; who is on the way reads all
--   problem   string  a sentence that names the field, and nothing secret
function M.parse(text, field, wanted)
  text = (text or ""):match("^%s*(.-)%s*$")
  if text == "" then
    return nil, ("%s is empty; it is %s"):format(field, wanted)
  elseif text:find("@", 1, true) then
    return nil, field .. " holds a user name; take it out (a source's belongs into its "
      .. "Secret)"
  elseif text:find("[%s%c]") then
    return nil, ("%s holds a blank or a line's end; it is %s"):format(field, wanted)
  end
  local function no(why)
    return nil, ("%s \"%s\": %s; it is %s"):format(field, text, why, wanted)
  end
  local scheme, rest = split(text)
  if scheme ~= "https" and scheme ~= "http" then
    return no(scheme and scheme .. ":// is not spoken" or "no URL")
  end
  local authority, path = rest:match("^([^/?#]*)([^?#]*)")
  local host = authority:match("^(%[[%x:.]+%])") or authority:match("^([%w._-]+)")
  if not host then
    return no("there is no host in it")
  end
  local problem = port_problem(authority:sub(#host + 1))
  if problem then
    return no(problem)
  end
  return {
    scheme = scheme, authority = authority, host = host,
    in_clear = scheme == "http" and not loopback(host),
    path = path:gsub("/+", "/"):gsub("/$", ""),
  }
end

-- Where a redirect leads, without what may be secret in it.
local function target(response)
  local location = (response.headers or {}).location or ""
  if location == "" then
    return "nowhere"
  end
  local path = location:find("^/[^/]") and location:match("^[^?#]*")
  return path or http.shown(location)
end

local function is_page(text)
  return text:find("<html", 1, true) or text:find("^%s*<!doctype html")
end

local function title(body)
  local text = body:match("<[Tt][Ii][Tt][Ll][Ee][^>]*>(.-)<") or ""
  text = text:gsub("[%c%s]+", " "):match("^%s*(.-)%s*$"):sub(1, MOST_TITLE)
  return text ~= "" and (' ("%s")'):format(text) or ""
end

--- address.said(response) -> text | nil
-- Of an answer that says by its status alone what it is.
function M.said(response)
  if response.status == 300 then
    return "several versions are offered, and the URL names none"
  end
  return response.status > 300 and response.status < 400 and M.answered(response) or nil
end

--- address.answered(response) -> text
-- What an answer is that no API gives: "it redirects to https://vc/ui/ (302)".
function M.answered(response)
  local body = response.body or ""
  if response.status >= 301 and response.status <= 308 and response.status ~= 304 then
    return ("it redirects to %s (%d)"):format(target(response), response.status)
  elseif is_page(body:sub(1, 4096):lower()) then
    return ("it answers with a web page%s (%d)"):format(title(body), response.status)
  end
  return ("HTTP status %d"):format(response.status)
end

return M
