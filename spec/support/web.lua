--- support.web: a scripted server, a pool to ask it, and what specs of both need.

local http = require "host.http"
local httpd = require "httpd"
local pace = require "support.pace"

local M = {}

--- web.answer(body, head?) -> text
-- An answer of HTTP/1.1 with its length; `head`: more lines of the head.
function M.answer(body, head)
  local form = "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s"
  return form:format(head or "", #body, body)
end

--- web.redirect(status, location) -> text
function M.redirect(status, location)
  local form = "HTTP/1.1 %d Go\r\nLocation: %s\r\nContent-Length: 4\r\n\r\naway"
  return form:format(status, location)
end

--- web.eventually(fn) -> bool                                                 [waits]
-- As pace.eventually.
M.eventually = pace.eventually

--- web.refused(kind, text, got, err)
-- Fails unless got, err is nil and an err of that kind, its message with that text.
function M.refused(kind, text, got, err)
  assert(got == nil, "it was not refused")
  assert(err.kind == kind, "kind " .. err.kind .. ": " .. err.message)
  assert(err.message:find(text, 1, true), err.message)
end

--- web.open(pool_opts?, server_opts?) -> site
--
--   site.server, site.pool
--   site.url(path) -> the server's URL
--   site.get(path, opts?) -> as pool:request                                  [waits]
--   site.close()
function M.open(pool_opts, server_opts)
  local server = httpd.new(server_opts)
  local pool = assert(http.pool(pool_opts))
  local site = { server = server, pool = pool }
  local scheme = server_opts and server_opts.cert and "https" or "http"

  function site.url(path)
    return ("%s://127.0.0.1:%d%s"):format(scheme, server:port(), path)
  end

  function site.get(path, opts)
    opts = opts or {}
    opts.url = site.url(path)
    return pool:request(opts)
  end

  function site.close()
    pool:close()
    server:close()
  end

  return site
end

return M
