--- providers.openstack.answer: what an OpenStack service has answered, as value or err.
-- Pure.

local address = require "providers.address"
local bounds = require "providers.bounds"
local errors = require "host.error"
local json = require "host.json"

local M = {}

local MOST_MESSAGE = 400 -- bytes of the service's own words

local KINDS = {
  [400] = "invalid", [401] = "denied", [403] = "denied", [404] = "notfound",
  [409] = "conflict", [410] = "gone", [413] = "busy", [429] = "busy",
  [500] = "busy", [502] = "busy", [503] = "busy", [504] = "busy",
}

-- The words in a document: {"itemNotFound": {"message": ...}} and its cousins.
local function message_in(document)
  if type(document) ~= "table" then
    return nil
  end
  local own = document.message or document.faultstring
  if type(own) == "string" then
    return own
  end
  for _, value in pairs(document) do
    local text = type(value) == "table" and message_in(value)
    if text then
      return text
    end
  end
  return nil
end

-- Glance and WSGI servers answer in HTML or plain text.
local function plain(body)
  local text = body:gsub("<head>.-</head>", " "):gsub("<[^>]*>", " ")
    :gsub("%s+", " "):match("^%s*(.-)%s*$")
  return text ~= "" and text or nil
end

local function words(response)
  local body = response.body or ""
  local document = body:find("^%s*[{%[]") and json.decode(body,
    { max_memory = bounds.ANSWER.max_memory })
  local text = document and message_in(document)
  if not text and not document then
    text = plain(body)
  end
  text = (text or address.said(response) or "no reason given"):gsub("[%c]+", " ")
  return #text > MOST_MESSAGE and text:sub(1, MOST_MESSAGE) .. "..." or text
end

-- Seconds that the server asks to wait: a number; dates are not used by these services.
local function retry_after(response)
  local seconds = tonumber(response.headers and response.headers["retry-after"])
  return seconds and seconds > 0 and math.min(seconds, 300) or nil
end

-- Old Nova and Cinder say 413 of a quota, with no Retry-After or one of 0, and of too
-- many requests, with the time after which they take more.
local function is_quota(response, text)
  if response.status == 403 or response.status == 400 then
    return (text:lower():find("quota", 1, true) or text:find("LimitExceeded", 1, true))
  end
  return response.status == 413 and not retry_after(response)
end

--- answer.failure(response, what) -> err
-- Of an answer whose status is not that of success.
--
--   what  string  what was asked for: "POST https://.../snapshots"
--   err.status    the HTTP status
--   err.code      "QuotaExceeded" where that is the reason (kind nospace)
--   err.after     seconds, from Retry-After
function M.failure(response, what)
  local text = words(response)
  local kind = KINDS[response.status] or "http"
  local code
  if is_quota(response, text) then
    kind, code = "nospace", "QuotaExceeded"
  end
  return errors.new(kind, ("%s: %d: %s"):format(what, response.status, text), {
    status = response.status, code = code, after = retry_after(response),
  })
end

--- answer.document(response, what, shape?, bound?) -> table | nil, err
-- The JSON of a good answer; {} where there is no body.
--
--   shape  of providers.shape: what it must be like; without one nobody looks at it: {}
--   bound  of providers.bounds (default: ANSWER)
--   err    format  it is no JSON, or not of that shape: the first field that is wrong
function M.document(response, what, shape, bound)
  local document = {}
  if response.body and response.body ~= "" then
    local err
    document, err = json.decode(response.body,
      { max_memory = (bound or bounds.ANSWER).max_memory })
    if type(document) ~= "table" then
      return nil, errors.new("format", ("%s: not the JSON of an OpenStack service (%s)")
        :format(what, err and err.message or "no object"))
    end
  end
  if not shape then
    return {}
  end
  local wrong = shape(document, "")
  if wrong then
    return nil, errors.new("format", ("%s: not the answer of an OpenStack service: %s")
      :format(what, wrong))
  end
  return document
end

return M
