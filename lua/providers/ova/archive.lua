--- providers.ova.archive: what members a tar archive has, and where. Pure but for what it
-- is given to read with, which only ever goes forward.
--
-- No member is unpacked under its name: names are compared, and those that lead anywhere
-- are refused all the same.
--
-- Source: POSIX.1-2017, pax (ustar and pax interchange formats); GNU tar manual, "Basic
-- Tar Format".

local errors = require "host.error"
local tar_header = require "providers.ova.tar_header"

local M = {}

local BLOCK = tar_header.BLOCK
local MOST_MEMBERS = 2000
local MOST_EXTRA = 64 * 1024   -- bytes of one header that describes the next member
local MOST_EXTRAS = 1024 * 1024 -- ... and of all of them
local MOST_NAME = 1024         -- bytes

local REFUSED = {
  ["1"] = "a link", ["2"] = "a link", ["3"] = "a device", ["4"] = "a device",
  ["6"] = "a FIFO", S = "a sparse file", D = "a GNU dump's folder",
  M = "a part of a file in several archives", V = "a volume's label",
  N = "an old GNU name",
}
local FILE = { ["0"] = true, ["\0"] = true, ["7"] = true }

-- Thrown to M.list, which says where.
local function refuse(fmt, ...)
  error(errors.new("format", fmt:format(...)), 0)
end

-- So many bytes, all of them.
local function exactly(scan, offset, size, what)
  local bytes, err = scan.read(offset, size)
  if not bytes then
    error(err, 0)
  elseif #bytes < size then
    refuse("the archive ends within %s: it is cut off", what)
  end
  return bytes
end

local function check_name(scan, name)
  local plain = name:gsub("^%./+", ""):gsub("/+", "/"):gsub("/%./", "/")
  local shown = tar_header.shown(name)
  if plain == "" or plain == "." then
    refuse("a member without a name")
  elseif #name > MOST_NAME then
    refuse("a member's name of %d bytes, at most %d are taken", #name, MOST_NAME)
  elseif name:find("%c") then
    refuse("a control character in the name of the member %s", shown)
  elseif plain:find("^/") or ("/" .. plain .. "/"):find("/%.%./")
    or plain:find("\\", 1, true) or plain:find("^%a:") then
    refuse("the member %s leads out of the archive's folder", shown)
  elseif scan.names[plain] then
    refuse("the member %s is there twice", shown)
  end
  scan.names[plain] = true
  return plain
end

-- The data of a header that describes the next one.
local function extra(scan, header, offset)
  scan.extras = scan.extras + header.size
  if header.size > MOST_EXTRA or scan.extras > MOST_EXTRAS then
    refuse("headers of %d bytes that describe members, at most %d are read",
      math.max(header.size, scan.extras), MOST_EXTRA)
  end
  return exactly(scan, offset, header.size, "a header")
end

local function take_pax(scan, text, header_type)
  local fields, problem = tar_header.pax(text)
  if not fields then
    refuse("%s", problem)
  end
  for key in pairs(fields) do
    if key:find("^GNU%.sparse") then
      refuse("a sparse member, which holds only a part of its file's bytes; pack it "
        .. "without --sparse")
    end
  end
  if header_type == "g" and (fields.path or fields.size) then
    refuse("a pax header that gives all members one %s", fields.path and "name" or "size")
  elseif header_type == "x" then
    scan.next.path = fields.path or scan.next.path
    scan.next.size = fields.size or scan.next.size
  end
end

-- Whether the header describes others.
local function describes(scan, header, offset)
  if header.type == "x" or header.type == "g" then
    take_pax(scan, extra(scan, header, offset), header.type)
  elseif header.type == "L" then
    scan.next.path = extra(scan, header, offset):match("^[^\0]*")
  elseif header.type == "K" then
    extra(scan, header, offset) -- of a link, which is refused
  else
    return false
  end
  return true
end

local function size_of(scan, header)
  local text = scan.next.size
  if not text then
    return header.size
  end
  return tar_header.decimal(text) or refuse("%q is no size of a member",
    tar_header.shown(text))
end

local function add(scan, header, offset)
  local name = scan.next.path or header.name
  local size = size_of(scan, header)
  if REFUSED[header.type] then
    refuse("the member %s is %s; an OVA holds files alone", tar_header.shown(name),
      REFUSED[header.type])
  elseif header.type == "5" or name:find("/$") then -- a folder
    scan.next = {}
    return 0
  elseif not FILE[header.type] then
    refuse("the member %s is of a type that is not known (%q)", tar_header.shown(name),
      tar_header.shown(header.type))
  end
  local member = { name = check_name(scan, name), offset = offset, size = size }
  scan.next = {}
  if scan.size and size > scan.size - offset then
    refuse("byte %d: the archive ends within the member %s, which ends at %d: it is "
      .. "cut off", scan.size, tar_header.shown(name), offset + size)
  elseif #scan.members >= MOST_MEMBERS then
    refuse("more than %d members", MOST_MEMBERS)
  end
  local keep = math.min(scan.keep(member), size)
  member.head = keep > 0 and exactly(scan, offset, keep, "the member " .. name) or ""
  scan.members[#scan.members + 1] = member
  return size
end

-- The header at `offset` -> where the next one is; nil: there is none.
local function step(scan, offset)
  local bytes, err = scan.read(offset, BLOCK)
  if not bytes then
    error(err, 0)
  elseif #bytes == 0 then
    return nil
  elseif #bytes < BLOCK then
    refuse("byte %d: the archive ends within a header: it is cut off", offset + #bytes)
  elseif not bytes:find("[^\0]") then
    scan.members.ended = true
    return nil
  end
  scan.headers = scan.headers + 1
  if scan.headers > 3 * MOST_MEMBERS then
    refuse("more than %d members", MOST_MEMBERS)
  end
  local header, problem = tar_header.read(bytes)
  if not header then
    refuse("byte %d: %s%s", offset, problem, offset == 0 and ": this is no tar archive, "
      .. "and so no OVA" or "")
  end
  offset = offset + BLOCK
  local size = describes(scan, header, offset) and header.size
    or add(scan, header, offset)
  return offset + (size + BLOCK - 1) // BLOCK * BLOCK
end

local function scan_all(scan)
  local offset = 0
  repeat
    offset = step(scan, offset)
  until not offset
  return scan.members
end

--- archive.list(read, opts) -> members | nil, err                       [waits]
-- All members that are files, in their order; members.ended: the archive's own mark of
-- its end is there.
--
--   read         function (offset, size) -> bytes | nil, err; fewer at the end alone; no
--                offset is smaller than the one before
--   opts.keep    function (member) -> bytes of it that member.head is to have, as far as
--                there are so many
--   opts.size    bytes of the archive, nil: not known
--   member       {name, offset, size, head}; name: without "./" before it
--   err          format: it is damaged, cut off, or holds what no OVA does; else read's
function M.list(read, opts)
  local scan = { read = read, keep = opts.keep, size = opts.size, members = {},
    names = {}, next = {}, extras = 0, headers = 0 }
  local ok, result = pcall(scan_all, scan)
  if ok then
    return result
  end
  return nil, errors.of(result)
end

return M
