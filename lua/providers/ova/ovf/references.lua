--- providers.ova.ovf.references: the files of an OVF, and its disks. Pure.
--
-- A file lies beside the OVF, or in a folder there: what leads elsewhere is refused. Only
-- what a machine uses is looked at so closely.

local nodes = require "providers.ova.ovf.nodes"
local numbers = require "providers.ova.ovf.numbers"

local GIB = 1 << 30
local LONGEST = 1024 -- bytes of a name
local MOST_DISKS = 2000

-- A word of the format's URI, or the name's end -> format; the longer ones first.
local FORMATS = {
  { "vhdx", "vhdx" }, { "vmdk", "vmdk" }, { "qcow", "qcow2" }, { "vhd", "vhd" },
  { "vdi", "vdi" }, { "raw", "raw" }, { "img", "raw" },
}
local VOLUME_FORMATS = { raw = "raw", cow = "qcow2" } -- oVirt's; its URI says nothing
local COMPRESSIONS = { gzip = "gzip", identity = false, [""] = false }

local M = {}

local function decoded(href)
  return (href:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

local function problem_of(name)
  if name == "" then
    return "is empty"
  elseif #name > LONGEST then
    return ("is longer than %d bytes"):format(LONGEST)
  elseif not utf8.len(name) then
    return "is not UTF-8"
  elseif name:find("[%c\127]") then
    return "holds a control character"
  elseif name:find("^%a[%w+.-]*:") then
    return "is a URL: only files that come with the OVF are read"
  elseif name:find("\\", 1, true) or name:find("^/") then
    return "is not a name beside the OVF"
  end
  for part in (name .. "/"):gmatch("([^/]*)/") do
    if part == "" or part == "." or part == ".." then
      return "leads out of the OVF's folder"
    end
  end
  return nil
end

-- The name that a href stands for; what is written and what it means must both be sound.
local function checked_name(file)
  local name = decoded(file.href)
  local problem = problem_of(file.href) or problem_of(name)
  if problem then
    nodes.refuse('File "%s": its href %q %s', file.id, file.href, problem)
  end
  return name
end

-- By id, and by href.
local function read_files(root)
  local files, hrefs = {}, {}
  for _, section in ipairs(nodes.all(root, "References")) do
    for _, node in ipairs(nodes.all(section, "File")) do
      local file = {
        id = nodes.attr(node, "id") or "", href = nodes.attr(node, "href") or "",
        size = nodes.attr(node, "size"), chunk_size = nodes.attr(node, "chunkSize"),
        compression = nodes.attr(node, "compression") or "",
      }
      local same = hrefs[file.href]
      file.twice = files[file.id] ~= nil or same ~= nil
      if same then
        same.twice = true
      end
      files[file.id], hrefs[file.href] = file, file
    end
  end
  return files, hrefs
end

local function read_disks(root)
  local disks, list, by_ref = {}, {}, {}
  for _, section in ipairs(nodes.all(root, "DiskSection")) do
    for _, node in ipairs(nodes.all(section, "Disk")) do
      local disk = { id = nodes.attr(node, "diskId") or "", node = node,
        file_ref = nodes.trim(nodes.attr(node, "fileRef")) }
      disk.twice = disks[disk.id] ~= nil
      disks[disk.id] = disk
      by_ref[disk.file_ref or ""] = by_ref[disk.file_ref or ""] or disk
      list[#list + 1] = disk
    end
  end
  if #list > MOST_DISKS then
    nodes.refuse("it has %d Disks; %d at most are read", #list, MOST_DISKS)
  end
  return disks, list, by_ref
end

--- references.read(root) -> references
--
--   files  table  id -> {id, href, size, chunk_size, compression, twice}, as written
--   disks  table  diskId -> {id, node, file_ref, twice}
--   list   list   the disks, in order
function M.read(root)
  local files, hrefs = read_files(root)
  local disks, list, by_ref = read_disks(root)
  return { files = files, hrefs = hrefs, disks = disks, list = list, by_ref = by_ref }
end

-- oVirt's "DISK/VOLUME", of which either may be the diskId.
local function by_part(references, plain)
  for part in plain:gmatch("[^/]+") do
    if references.disks[part] then
      return references.disks[part]
    end
  end
  return nil
end

--- references.disk_of(references, resource) -> disk | nil, file | nil
-- What a HostResource names: "ovf:/disk/ID", "/disk/ID", "ovf:/file/ID", oVirt's
-- "IMAGE/VOLUME".
function M.disk_of(references, resource)
  local plain = resource:gsub("^ovf:", ""):gsub("^/+", "")
  local kind, id = plain:match("^(%l+)/(.+)$")
  if kind == "disk" and references.disks[id] then
    return references.disks[id]
  elseif kind == "file" and references.files[id] then
    return nil, references.files[id]
  elseif plain == "" then
    return nil
  end
  return references.disks[plain] or references.by_ref[plain]
    or by_part(references, plain)
end

-- oVirt writes as fileRef what is the href.
local function file_of(references, disk)
  local ref = disk.file_ref
  local file = ref and (references.files[ref] or references.hrefs[ref])
  if file or not ref then
    return file
  end
  nodes.refuse('Disk "%s": its fileRef "%s" names no File of the References', disk.id,
    ref)
end

local function whole(file, field, least)
  local text = file[field]
  if text == nil or text == "" then
    return nil
  end
  local value = numbers.whole(text)
  if not value or value < least then
    nodes.refuse('File "%s": its %s "%s" is no number of bytes', file.id,
      field == "size" and "size" or "chunkSize", text)
  end
  return value
end

local function format_of_name(name)
  local ending = name:lower():gsub("%.gz$", ""):match("%.(%w+)$")
  for _, known in ipairs(FORMATS) do
    if ending == known[1] or ending == known[2] then
      return known[2]
    end
  end
  return nil
end

-- What URI and name say; where they differ, the bytes will tell.
local function format_of(node, name)
  local volume = (node and nodes.attr(node, "volume-format") or ""):lower()
  if VOLUME_FORMATS[volume] then
    return VOLUME_FORMATS[volume]
  end
  local uri = (node and nodes.attr(node, "format") or ""):lower()
  local named = format_of_name(name)
  for _, known in ipairs(FORMATS) do
    if uri:find(known[1], 1, true) then
      return (named == nil or named == known[2]) and known[2] or "auto"
    end
  end
  return named or "auto"
end

--- references.file(references, disk, file) -> file | nil
-- The file of a disk, as ovf.read hands it out, without its capacity; nil: it has none.
--
--   disk  table  of disk_of, or nil
--   file  table  of disk_of, or nil
function M.file(references, disk, file)
  file = file or disk and file_of(references, disk)
  if not file then
    return nil
  elseif file.twice then
    nodes.refuse('File "%s" (%s): its id or its href is there twice', file.id,
      file.href)
  end
  local compression = COMPRESSIONS[file.compression:lower()]
  if compression == nil then
    nodes.refuse('File "%s": compression "%s" is not supported; gzip is', file.id,
      file.compression)
  end
  local name = checked_name(file)
  return {
    href = file.href, name = name, format = format_of(disk and disk.node, name),
    compression = compression or nil, size = whole(file, "size", 0),
    chunk_size = whole(file, "chunk_size", 1),
  }
end

--- references.capacity(disk, file, resolve) -> bytes
-- As the Disk says; oVirt's older ones have a size in GiB. A raw file's size serves.
--
--   file     table     of references.file, or nil
--   resolve  function  text -> text: what "${property}" stands for
function M.capacity(disk, file, resolve)
  local text = nodes.trim(nodes.attr(disk.node, "capacity"))
  local bytes, problem
  if text then
    bytes, problem = numbers.bytes(resolve(text),
      nodes.trim(nodes.attr(disk.node, "capacityAllocationUnits")) or "byte")
  elseif nodes.trim(nodes.attr(disk.node, "size")) then
    bytes, problem = numbers.bytes(nodes.attr(disk.node, "size"), "byte * 2^30")
  elseif file and file.format == "raw" and not file.compression and file.size then
    bytes = file.size
  else
    problem = "it is missing"
  end
  if not bytes or bytes < 1 or bytes > numbers.MOST - GIB then
    nodes.refuse('Disk "%s": its capacity is not known: %s', disk.id,
      problem or "it is 0")
  end
  return bytes
end

--- references.check(disk)
-- Refuses a disk that is there twice, or is what changed since another one.
function M.check(disk)
  if disk.twice then
    nodes.refuse('Disk "%s" is there twice', disk.id)
  end
  local parent = nodes.trim(nodes.attr(disk.node, "parentRef"))
  if parent then
    nodes.refuse('Disk "%s" has only what changed since "%s" (parentRef): export the '
      .. "machine again without its snapshots", disk.id, parent)
  end
end

return M
