--- support.hostile: servers that mean harm: vSphere's API and Keystone as nobody should
-- answer. What is in spec/e2e/local/hostile_spec.lua and spec/e2e/cluster/hostile_spec.lua.

local httpd = require "httpd"
local vmdks = require "support.vmdk"
local zlib = require "support.zlib"

local M = {}

local MIB = 1 << 20
local OK = "HTTP/1.1 200 OK\r\n"
local CREATED = "HTTP/1.1 201 Created\r\nX-Subject-Token: t\r\n"
local CHUNKED = "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"

local function answer(body, head)
  return ("%sContent-Length: %d\r\n\r\n%s"):format(head or OK, #body, body)
end

local function soap(inner)
  return '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"'
    .. ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><e:Body>' .. inner
    .. "</e:Body></e:Envelope>"
end

local CONTENT = soap('<RetrieveServiceContentResponse xmlns="urn:vim25"><returnval>'
  .. '<rootFolder type="Folder">group-d1</rootFolder>'
  .. '<propertyCollector type="PropertyCollector">pc</propertyCollector>'
  .. '<viewManager type="ViewManager">vm</viewManager>'
  .. '<searchIndex type="SearchIndex">si</searchIndex><about><fullName>Fake</fullName>'
  .. "<apiType>VirtualCenter</apiType><apiVersion>8.0.0.0</apiVersion></about>"
  .. '<sessionManager type="SessionManager">sm</sessionManager></returnval>'
  .. "</RetrieveServiceContentResponse>")
local LOGIN = soap('<LoginResponse xmlns="urn:vim25"><returnval><key>k</key></returnval>'
  .. "</LoginResponse>")
local VIEW = soap('<CreateContainerViewResponse xmlns="urn:vim25"><returnval '
  .. 'type="ContainerView">v</returnval></CreateContainerViewResponse>')

-- One page of a list that always has another one.
local function page(objects)
  return soap('<RetrievePropertiesExResponse xmlns="urn:vim25"><returnval><token>t</token>'
    .. objects .. "</returnval></RetrievePropertiesExResponse>")
end

local function object(i, name)
  return ('<objects><obj type="Datacenter">d-%d</obj><propSet><name>name</name><val>%s'
    .. "</val></propSet></objects>"):format(i, name)
end

local function attributes(n, prefix)
  local list = {}
  for i = 1, n do
    list[i] = ('%sa%d=""'):format(prefix, i)
  end
  return table.concat(list, " ")
end

local function alone(case)
  case.alone = true
  return case
end

local function of_vsphere(name, says, ...)
  return { name = name, kind = "VmwareSource", says = says, path = "/sdk", steps = { ... } }
end

-- It takes connections, and says nothing of TLS.
local function slow_tls()
  local case = of_vsphere("slow-tls", "TLS handshake timed out", { "" })
  case.scheme = "https"
  return case
end

-- What comes to RetrieveServiceContent, the first question.
local function at_once(name, says, inner)
  return of_vsphere(name, says, { answer(soap(inner)) })
end

local function vsphere(full)
  local endless = { send = ("<a/>"):rep(4096), times = 1 << 30 }
  local lines = { send = "T: a\r\n", times = 1 << 30 }
  local large = object(1, ("n"):rep(60000))
  return {
    at_once("ns-attributes", "larger than 1048576 bytes", '<r xmlns:x="' .. ("u"):rep(8000000)
      .. '"><a ' .. attributes(250, "x:") .. "/></r>"),
    at_once("ns-attributes-small", "namespace URI of more than 1024 bytes", '<r xmlns:x="'
      .. ("u"):rep(900000) .. '"><a ' .. attributes(250, "x:") .. "/></r>"),
    at_once("ns-elements", "namespace URI of more than 1024 bytes", '<r xmlns="'
      .. ("u"):rep(500000) .. '">' .. ("<a/>"):rep(100000) .. "</r>"),
    at_once("elements", "larger than 1048576 bytes", "<r>"
      .. ('<a b="" c="" d="" e=""/>'):rep(480000) .. "</r>"),
    alone(at_once("elements-small", "takes more than 8192 KiB of memory",
      "<r>" .. ("<a/>"):rep(250000) .. "</r>")),
    at_once("deep", "nested too deep", ("<a>"):rep(100000) .. ("</a>"):rep(100000)),
    at_once("wide", "more than 256 attributes", "<a " .. attributes(50000, "") .. "/>"),
    of_vsphere("endless", "larger than 1048576 bytes", { OK .. "\r\n", endless }),
    of_vsphere("endless-head", "head is too large", { OK, lines }),
    of_vsphere("endless-100", "head is too large",
      { { send = "HTTP/1.1 100 Go on\r\n\r\n", times = 1 << 30 } }),
    of_vsphere("endless-trailers", "head is too large", { OK .. CHUNKED, lines }),
    of_vsphere("short-length", "the connection broke",
      { OK .. "Content-Length: 900000\r\n\r\n<a>", "<close>" }),
    of_vsphere("huge-length", "larger than 1048576 bytes",
      { OK .. "Content-Length: 99999999999\r\n\r\n", endless }),
    of_vsphere("endless-pages", "a list without end", { answer(CONTENT) }, { answer(LOGIN) },
      { answer(VIEW) }, { answer(page("")) }),
    alone(of_vsphere("large-pages", "a list that takes more than 32 MiB of memory",
      { answer(CONTENT) }, { answer(LOGIN) }, { answer(VIEW) },
      { answer(page(large:rep(40))) })),
    full and of_vsphere("drips", "timed out after 180 s", { OK .. "\r\n",
      table.unpack(M.drips(400)) }) or nil,
    full and slow_tls() or nil,
  }
end

local function of_keystone(name, says, step, ...)
  return { name = name, kind = "OpenstackSource", says = says,
    path = "/identity/v3/auth/tokens", steps = { { step, ... } } }
end

local function token(catalog)
  return answer('{"token":{"catalog":[' .. catalog .. "]}}", CREATED)
end

local function keys(n)
  local list = {}
  for i = 1, n do
    list[i] = ('"%x":0'):format(i)
  end
  return "{" .. table.concat(list, ",") .. "}"
end

local function openstack(full)
  local endless = { send = ("{},"):rep(4096), times = 1 << 30 }
  local nested = ("["):rep(58) .. ("]"):rep(58)
  return {
    of_keystone("maps", "larger than 1048576 bytes", token(("{},"):rep(5500000) .. "{}")),
    of_keystone("small-maps", "larger than 1048576 bytes",
      token(('{"a":0},'):rep(2000000) .. "{}")),
    of_keystone("nested", "larger than 1048576 bytes",
      token((nested .. ","):rep(16 * MIB // 118) .. "{}")),
    alone(of_keystone("maps-small", "takes more than 8192 KiB of memory",
      token(("{},"):rep(300000) .. "{}"))),
    of_keystone("nested-small", "takes more than 8192 KiB of memory",
      token((nested .. ","):rep(8000) .. "{}")),
    of_keystone("keys", "takes more than 8192 KiB of memory", token(keys(100000))),
    of_keystone("deeper", "nested too deep", token(("["):rep(200000))),
    of_keystone("endless-json", "larger than 1048576 bytes", CREATED .. "\r\n", endless),
    of_keystone("endless-token-head", "head is too large", CREATED,
      { send = "T: a\r\n", times = 1 << 30 }),
    of_keystone("long-token", "line of the answer's head is too long", CREATED .. "X: ",
      { send = ("x"):rep(65536), times = 1 << 30 }),
    of_keystone("cut-json", "the connection broke",
      CREATED .. "Content-Length: 900000\r\n\r\n{", "<close>"),
    of_keystone("redirects", "it redirects to", "HTTP/1.1 301 Go\r\nContent-Length: 0\r\n"
      .. "Location: /identity/v3/auth/tokens\r\n\r\n"),
    of_keystone("no-utf8", "not UTF%-8", token('"' .. ("\255"):rep(900000) .. '"')),
    full and of_keystone("drips-json", "timed out after 180 s", CREATED .. "\r\n",
      table.unpack(M.drips(400))) or nil,
  }
end

-- Whole grains and then what does not end, of a disk of 2 MiB.
local function of_disk(name, says, head, ...)
  return { name = name, says = says, path = "/disk", format = "vmdk", capacity = 2 * MIB,
    steps = { { head, ... } } }
end

local function disks(full)
  local small = { capacity = 4096, grains = { { 1, zlib.run(5, 65536) } } }
  local vmdk, at = vmdks.footer_style(small)
  local begun = OK .. "\r\n" .. vmdk:sub(1, at.grain0.at)
  local function endless(bytes)
    return { send = bytes, times = 1 << 30 }
  end
  local mark = vmdks.marker(0, 4)
  local slow = of_disk("slow-disk", "bytes came in 2 s, less than", begun,
    table.unpack(M.drips(full and 60 or 6)))
  slow.least_rate, slow.rate_over = 1024, 2
  local raw = of_disk("endless-raw", "the stream goes on where the disk ends", OK .. "\r\n",
    endless(("x"):rep(65536)))
  raw.format = "raw"
  return {
    alone(of_disk("progress-marks", "the VMDK goes on where a disk of", begun,
      endless(mark:rep(256)))),
    of_disk("empty-tables", "the VMDK goes on where a disk of", begun,
      endless((vmdks.marker(4, 1) .. ("\0"):rep(2048)):rep(64))),
    of_disk("zeros", "the VMDK goes on where a disk of", OK .. "\r\n"
      .. vmdks.head_style(small), endless(("\0"):rep(65536))),
    alone(of_disk("disk-trailers", "head is too large", OK .. CHUNKED,
      endless("T: a\r\n"))),
    of_disk("disk-head", "head is too large", OK, endless("T: a\r\n")),
    slow,
    raw,
  }
end

--- hostile.drips(n) -> steps: a byte a second
function M.drips(n)
  local steps = {}
  for i = 1, n do
    steps[2 * i - 1] = " "
    steps[2 * i] = { wait = 1 }
  end
  return steps
end

--- hostile.cases(full) -> list of {name, kind, says, path, steps, alone, ...}
--
--   full   boolean  also those that take minutes
--   kind   of a source; nil: a disk, with format, capacity, least_rate, rate_over
--   says   a pattern of Lua: what of it is to be read
--   alone  boolean  worth to be tried ten times at once
function M.cases(full)
  local list = {}
  for _, make in ipairs { vsphere, openstack, disks } do
    for _, case in ipairs(make(full)) do
      list[#list + 1] = case
    end
  end
  return list
end

--- hostile.case(name) -> one of all
function M.case(name)
  for _, case in ipairs(M.cases(true)) do
    if case.name == name then
      return case
    end
  end
  error("no such case: " .. name)
end

--- hostile.by_name(asked, cases) -> {name -> case}
-- What is asked for of a case is called as it is, or so with a number.
function M.by_name(asked, cases)
  local all = {}
  for i, one in ipairs(asked) do
    all[one.name] = cases[(i - 1) * #cases // #asked + 1]
  end
  return all
end

local AT = { VmwareSource = "/sdk", OpenstackSource = "/identity" }

--- hostile.serve(case) -> server, to be closed
--
--   server.url
--   server:asked()  how often it was asked what it answers with harm
function M.serve(case)
  local server = httpd.new()
  server:on(case.path, table.unpack(case.steps))
  return {
    url = ("%s://127.0.0.1:%d%s"):format(case.scheme or "http", server:port(),
      AT[case.kind] or case.path),
    asked = function()
      local n = 0
      for _, text in ipairs(server:requests()) do
        n = n + (text:match("^%u+ (%S+)") == case.path and 1 or 0)
      end
      return n
    end,
    close = function()
      server:close()
    end,
  }
end

return M
