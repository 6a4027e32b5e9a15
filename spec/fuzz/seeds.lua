--- seeds: small sound inputs for the fuzz targets.
--
--   vm-import-controller script spec/fuzz/seeds.lua FOLDER
--
-- Writes FOLDER/TARGET/name for each. Run from the top of the source tree.

package.path = "spec/?.lua;" .. package.path

local disks = require("support.disks")
local file = require("host.file")
local json = require("host.json")
local ovf = require("support.ovf")
local plan = require("policy.plan")
local recorded = require("policy.recorded")
local sample = require("support.sample")
local sandbox = require("site.sandbox")
local vmdk = require("support.vmdk")
local yaml = require("host.yaml")
local zlib = require("support.zlib")

local root = assert((...), "seeds: a folder is needed")

local function write(target, name, bytes)
  assert(file.mkdir(root .. "/" .. target, { parents = true }))
  disks.write(root .. "/" .. target .. "/" .. name, bytes)
end

-- Grains of 4 KiB, so that a table covers 2 MiB and an input stays small.
local grains = {}
for i, number in ipairs({ 0, 1, 5, 511, 512, 1030 }) do
  grains[i] = { number, zlib.run(i, 4096) }
end
local disk = {
  capacity = 1030 * 8 + 3, grain = 8, overhead = 3, grains = grains,
}
grains[#grains] = { 1030, zlib.run(6, 3 * 512) }

local function with(changes)
  return setmetatable(changes, { __index = disk })
end

-- The first byte is the target's own: how the rest is cut.
local function vmdk_seed(name, bytes)
  write("vmdk", name, "\1" .. bytes)
end

vmdk_seed("footer", (vmdk.footer_style(disk)))
vmdk_seed("footer-all", (vmdk.footer_style(with({
  progress = true, unused = true, tables_last = true,
}))))
vmdk_seed("footer-none", (vmdk.footer_style(with({ grains = {} }))))
vmdk_seed("footer-stored", (vmdk.footer_style(with({
  capacity = 16, grains = { { 1, zlib.stored(("abcdefgh"):rep(512)) } },
}))))
vmdk_seed("known", (vmdk.footer_style(with({ known = true, over = true, unused = true }))))
vmdk_seed("known-no-footer", (vmdk.footer_style(with({ known = true, no_footer = true }))))
vmdk_seed("head", (vmdk.head_style(disk)))
vmdk_seed("head-second", (vmdk.head_style(with({ redundant = true, end_mark = true }))))
vmdk_seed("head-order", (vmdk.head_style(with({
  grains = { grains[3], grains[1], grains[2] }, tail = ("\0"):rep(1024),
}))))

-- A whole spool of two grains of 4 KiB, the second after a hole; the target's own two bytes
-- say how long its index is.
local function spool_seed(name, grains_of)
  local stream, entries = ("\0"):rep(512), {}
  for i, grain in ipairs(grains_of) do
    entries[i] = 0
    if grain ~= "" then
      entries[i] = #stream // 512 << 24 | #grain
      stream = stream .. string.pack("<I8I4", (i - 1) * 8, #grain) .. grain
      stream = stream .. ("\0"):rep(-#stream % 512)
    end
  end
  local index = string.pack("<c8I8I8I4I4", "VICGRAIN", #entries * 4096, #stream, 4096, 1)
  index = index .. ("\0"):rep(4096 - #index)
    .. string.pack("<" .. ("I8"):rep(#entries), table.unpack(entries))
  write("spool", name, string.pack("<I2", #index) .. index .. stream)
end

spool_seed("whole", { zlib.run(1, 4096), "", zlib.run(2, 4096) })
spool_seed("short", { zlib.run(1, 4096), zlib.run(3, 2048) })

local function http_seed(name, lines)
  write("http", name, "\7" .. table.concat(lines, "\r\n") .. "\r\n\r\n")
end

http_seed("answer", {
  "HTTP/1.1 200 OK", "Content-Length: 12", "ETag: \"a-b\"", "Set-Cookie: a=b", "Set-Cookie: c",
})
http_seed("redirect", {
  "HTTP/1.1 100 Continue", "", "HTTP/1.1 307 There", "Location: https://other.example:8443/x?y#z",
  "X: //vc.example/a", "Y: ../b", "Z: http://user:pw@vc.example",
})
http_seed("ranges", {
  "GET / HTTP/1.1", "A: bytes=0-65535", "B: bytes=-5", "C: bytes=18446744073709551615-",
  "D: bytes=5-4",
})

-- The target knows these paths.
local KNOWN, HELD = "/0123456789abcdef/disk.raw", "/fedcba9876543210/disk.raw"

local function routes_seed(name, lines)
  write("routes", name, table.concat(lines, "\r\n") .. "\r\n\r\n")
end

routes_seed("whole", { "GET " .. KNOWN .. " HTTP/1.1", "Host: a" })
routes_seed("head", { "HEAD " .. KNOWN .. " HTTP/1.1", "Host: a", "Connection: close" })
routes_seed("part", { "GET " .. KNOWN .. " HTTP/1.1", "Host: a", "Range: bytes=5-9",
  "If-Range: \"x\"" })
routes_seed("suffix", { "GET " .. KNOWN .. " HTTP/1.0", "Range: bytes=-7" })
routes_seed("held", { "GET " .. HELD .. "?q=1#f HTTP/1.1", "Host: a", "Expect: 100-continue" })
routes_seed("two", { "POST /x HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "",
  "3", "abc", "0", "", "GET /%2e%2e" .. KNOWN .. " HTTP/1.1", "Host: a" })

local kubeconfig = {
  ["current-context"] = "c",
  contexts = { { name = "c", context = { cluster = "k", user = "u", namespace = "n" } } },
  clusters = { { name = "k", cluster = { server = "https://k:6443/",
    ["certificate-authority-data"] = "Y2E=" } } },
}
local USERS = {
  token = { token = "t", as = "a" },
  basic = { username = "u", password = "p" },
  files = { tokenFile = "t", ["client-certificate"] = "c", ["client-key-data"] = "a2V5" },
  plugin = { exec = { apiVersion = "client.authentication.k8s.io/v1", command = "bin/x",
    args = { "a" }, env = { { name = "A", value = "b" } }, installHint = "get it",
    interactiveMode = "Never", provideClusterInfo = true } },
}
for name, user in pairs(USERS) do
  kubeconfig.users = { { name = "u", user = user } }
  write("kubeconfig", name, yaml.dump(kubeconfig) .. "\0" .. json.encode({
    kind = "ExecCredential", status = { token = "t", clientCertificateData = "c",
      clientKeyData = "k", expirationTimestamp = "2030-01-01T00:00:00Z" } }))
end

local planned = assert(plan.build(sample.input({ guest = { family = "windows" } })))
planned.findings = nil
write("status", "plan", "\0" .. json.encode(recorded.of(planned)))
write("status", "whole", "\0" .. json.encode(planned))
write("status", "texts", "\1" .. json.encode({ Imported = "importing", ImportedStatus = "True",
  Bound = "waits", Ready = "no", time = "2026-01-01T00:00:00Z", again = "2026-01-01T00:00:00Z",
  progress = "10%", phase = "ImportInProgress", file = "ready", claim = "disk-0", state = "Running",
  disk = "a.img", backend = "cdi", run = "Halted", import = "b/a", uid = "u", checksum = "00" }))

-- The first byte of a script's answer: which hook, 0: none, the script is looked at.
write("script", "look", "\0" .. json.encode({ hooks = json.array({ { name = "name", line = 1 } }),
  globals = json.array({ { name = "x", line = 2, written = true } }),
  log = json.array({ { level = "warn", message = "m" } }) }))
write("script", "error", "\1" .. json.encode({ error = "a.lua:1: no" }))
local builtin, count = {}, 0
assert(plan.build(sample.input(), function(name, _, value)
  builtin[name] = value
end))
for i, name in ipairs(sandbox.hooks(plan)) do
  if builtin[name] ~= nil then
    count = count + 1
    write("script", name, string.char(i) .. json.encode({ value = builtin[name] }))
  end
end
assert(count > 10)

for _, name in ipairs { "vmware", "virtualbox", "ovirt", "xen", "hyperv", "appliance" } do
  write("ovf", name, ovf.text(name))
end

local TEXTS = {
  json = '{"a":[1,-2.5e3,true,null,"\\u00e9\\ud83d\\ude00"],"b":{"c":9007199254740993}}',
  yaml = "a: &x [1, 0x1f, 1e3, yes, ~, 'q', \"d\\n\"]\nb: *x\nc: |\n  text\n---\n- {k: v}\n",
  xml = '<?xml version="1.0"?><a xmlns="urn:a" xmlns:b="urn:b" b:c="d">&lt;<b:e/><![CDATA[x]]></a>',
}
for name, text in pairs(TEXTS) do
  write(name, "small", text)
end
return 0
