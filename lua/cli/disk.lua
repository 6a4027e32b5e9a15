--- cli.disk: one disk alone through the same path as an import's.

local arguments = require "cli.arguments"
local disk = require "host.disk"
local env = require "host.env"
local file = require "host.file"
local progress = require "cli.progress"

local M = {}

M.usage = [[
usage: vm-import-controller disk URL-or-FILE --output FILE.raw [OPTION ...]

Fetches one disk image, checks all of it, writes it as a sparse raw file. The file gets
its name only when the disk is whole and sound; exit code 0 means just that.

  -o, --output FILE      the raw image to write
      --format FORMAT    vmdk (stream-optimised; default) or raw
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

local function fail(code, message)
  env.stderr("vm-import-controller disk: " .. message .. "\n")
  return code
end

local function source_of(where, values)
  if not where:find("^%a[%w+.-]*://") then
    return { file = where }
  end
  local ca
  if values.ca then
    ca = assert(file.read(values.ca))
  end
  return { url = where, tls = { ca = ca, thumbprint = values.thumbprint } }
end

local function fetch(values)
  local transfer, err = disk.transfer({
    source = source_of(values[1], values),
    format = values.format or "vmdk",
    output = values.output,
    sha512 = values.sha512 or false,
    idle_timeout = values["idle-timeout"],
  })
  if not transfer then
    return nil, err
  end
  local running <close> = transfer
  local bars <close> = progress.new()
  bars:add(values.output:match("[^/]+$"), running)
  local result
  result, err = running:wait()
  local seconds = bars:remove(running)
  return result, err, seconds
end

--- disk.run(args) -> exit code                                          [waits]
function M.run(args)
  local values, problem = arguments.parse(args, OPTIONS)
  if not values then
    return fail(2, problem .. "; see --help")
  elseif values.help then
    env.stdout(M.usage)
    return 0
  elseif #values ~= 1 or not values.output then
    return fail(2, "needs one URL or file, and --output; see --help")
  end
  local ok, result, err, seconds = pcall(fetch, values)
  if not ok then
    return fail(1, tostring(result))
  elseif not result then
    return fail(1, err.message)
  end
  env.stdout(("%s: whole, %s, received %s in %s\n"):format(values.output,
    progress.bytes_text(result.capacity), progress.bytes_text(result.received),
    progress.time_text(seconds)))
  if result.sha512 then
    env.stdout(("sha512 %s\n"):format(result.sha512))
  end
  return 0
end

return M
