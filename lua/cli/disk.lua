--- cli.disk: one disk alone through the same path as an import's.

local command = require "cli.command"
local fetch = require "disk.fetch"
local file = require "host.file"
local progress = require "cli.progress"

local M = {}

M.usage = [[
usage: vm-import-controller disk URL-or-FILE --output FILE.raw [OPTION ...]

Fetches one disk image, checks all of it, writes it as a sparse raw file. The file gets
its name only when the disk is whole and sound; exit code 0 means just that.

  -o, --output FILE      the raw image to write
      --format FORMAT    auto, vmdk, raw, qcow2, vdi, vhd or vhdx (default: auto for a
                         file, vmdk for a URL). A stream-optimised VMDK and a raw disk
                         go in one pass; others through qemu-img, and from a URL by way
                         of FILE.raw.stream. auto takes what has no header for a raw
                         disk, and refuses archives, text, encrypted and partial
                         images: state raw if it is one nevertheless
      --sha512           print the SHA-512 of the raw image
      --idle-timeout S   give up when nothing comes for S seconds (60)
      --ca FILE          PEM of the CA that signed the server's certificate
      --thumbprint HEX   SHA-256 or SHA-1 of the server's own certificate
]]

local OPTIONS = {
  output = { value = "FILE", short = "o" },
  format = { value = "FORMAT" },
  sha512 = {},
  ["idle-timeout"] = { value = "SECONDS", number = true },
  ca = { value = "FILE" },
  thumbprint = { value = "HEX" },
  help = { short = "h" },
}

local function source_of(where, values)
  if not where:find("^%a[%w+.-]*://") then
    return { file = where }
  end
  local ca
  if values.ca then
    ca = assert(file.read(values.ca))
  end
  return { url = where, tls = {
    ca = ca, ca_field = "--ca",
    thumbprint = values.thumbprint, thumbprint_field = "--thumbprint",
  } }
end

local function run(values)
  local source = source_of(values[1], values)
  local running <close> = fetch.start({
    source = source,
    format = values.format or (source.file and "auto" or "vmdk"),
    output = values.output,
    sha512 = values.sha512 or false,
    idle_timeout = values["idle-timeout"],
  })
  local bars <close> = progress.new()
  bars:add(values.output:match("[^/]+$"), running)
  local result, err = running:wait()
  local seconds = bars:remove(running)
  assert(result, err)
  command.say("%s: whole, %s, received %s in %s", values.output,
    progress.bytes_text(result.capacity), progress.bytes_text(result.received),
    progress.time_text(seconds))
  if result.sha512 then
    command.say("sha512 %s", result.sha512)
  end
end

local function needs(values)
  return (#values ~= 1 or not values.output)
    and "needs one URL or file, and --output" or nil
end

--- disk.run(args) -> exit code                                          [waits]
function M.run(args)
  return command.run({
    name = "disk",
    usage = M.usage,
    options = OPTIONS,
    needs = needs,
    work = run,
  }, args)
end

return M
