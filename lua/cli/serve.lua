--- cli.serve: the image server alone, over what `import --output DIR` left.

local command = require "cli.command"
local digest = require "host.digest"
local errors = require "host.error"
local file = require "host.file"
local formats = require "disk.formats"
local images = require "host.images"
local kinds = require "base.kinds"
local raw_files = require "targets.raw_files"
local service = require "cli.service"
local store = require "store.directory"
local task = require "host.task"
local time = require "host.time"

local M = {}

M.usage = [[
usage: vm-import-controller serve DIR [--listen HOST:PORT]

Serves the images that `import --output DIR --serve-url BASE` left in DIR, under the
paths that the VirtualMachineImage manifests there name. Prints a line "FILE URL" for
each, then runs until SIGINT or SIGTERM.

      --listen HOST:PORT  a numeric address, or none: all of them   (default :8080)
]]

local OPTIONS = {
  listen = { value = "HOST:PORT", address = true },
  help = { short = "h" },
}

local KIND = "VirtualMachineImport"

-- Whoever can write to DIR can write a manifest that names files elsewhere.
local function is_in(dir, namespace, name)
  local function plain(text)
    return type(text) == "string" and text:find("^[%w][%w.-]*$")
      and not text:find("..", 1, true)
  end
  local folder = plain(namespace) and file.stat(dir .. "/" .. namespace)
  return plain(name) and folder and folder.kind == "directory"
end

-- The disks with a route that one import has left.
local function add_images(dir, import, disks, found)
  local status = import.status or {}
  local plan = { namespace = (status.plan or import.metadata).namespace }
  for _, entry in ipairs(status.diskImportStatus or {}) do
    local disk = { name = entry.diskName, capacity_bytes = entry.diskSize }
    if entry.diskRoute and not is_in(dir, plan.namespace, disk.name) then
      command.fail("serve", 1, ("%s names a disk %s/%s, which is not in %s: it is not "
        .. "served"):format(import.metadata.name, formats.printable(plan.namespace),
        formats.printable(disk.name), dir))
    elseif entry.diskRoute then
      found[#found + 1] = {
        route = entry.diskRoute,
        file = disks:path(plan, disk),
        size = disk.capacity_bytes,
        whole = disks:state(plan, disk) == "whole",
      }
    end
  end
end

-- All images of the directory whose file is there; says which is not.
local function images_of(dir)
  local objects = store.new(dir, { kinds = kinds, uid = digest.uuid, now = time.now })
  local disks = raw_files.new(dir, {})
  local found, whole = {}, {}
  for _, import in ipairs(assert(objects:list(KIND))) do
    add_images(dir, import, disks, found)
  end
  for _, image in ipairs(found) do
    if image.whole then
      whole[#whole + 1] = image
    else
      command.fail("serve", 1,
        image.file .. " is not there, or not whole: it is not served")
    end
  end
  if #whole == 0 then
    error(errors.new("notfound", ("%s holds no images to serve: run `import --output %s "
      .. "--serve-url BASE` first, BASE being where this server will be reached")
      :format(dir, dir)))
  end
  return whole
end

local function serve(dir, listen)
  local found = images_of(dir)
  local server <close> = assert(images.serve(listen))
  -- "all addresses" is nothing that can be asked.
  local address = server:address():gsub("^%[::%]", "127.0.0.1")
    :gsub("^0%.0%.0%.0", "127.0.0.1")
  for _, image in ipairs(found) do
    server:publish(image.route, image)
  end
  server:ready()
  for _, image in ipairs(found) do
    command.say("%s http://%s%s", image.file, address, image.route)
  end
  task.signal():wait()
end

local function needs(values)
  return #values ~= 1 and "needs one DIR" or nil
end

--- serve.run(args) -> exit code                                         [waits]
function M.run(args)
  return command.run({
    name = "serve",
    usage = M.usage,
    options = OPTIONS,
    needs = needs,
    work = function(values)
      service.run(serve, values[1], values.listen or { port = 8080 })
    end,
  }, args)
end

return M
