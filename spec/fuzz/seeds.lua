--- seeds: small sound inputs for the fuzz targets.
--
--   vm-import-controller script spec/fuzz/seeds.lua FOLDER
--
-- Writes FOLDER/TARGET/name for each. Run from the top of the source tree.

package.path = "spec/?.lua;" .. package.path

local disks = require("support.disks")
local file = require("host.file")
local vmdk = require("support.vmdk")
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
vmdk_seed("head", (vmdk.head_style(disk)))
vmdk_seed("head-second", (vmdk.head_style(with({ redundant = true, end_mark = true }))))
vmdk_seed("head-order", (vmdk.head_style(with({
  grains = { grains[3], grains[1], grains[2] }, tail = ("\0"):rep(1024),
}))))
return 0
