--- support.vmdk: writes stream-optimised VMDKs, and says where each part of them is,
-- so that a spec can damage just that.

local SECTOR = 512
local ENTRIES = 512
local AT_THE_END = -1 -- all ones: the directory's place is in the footer

local M = { SECTOR = SECTOR }

local HEADER = "<c4I4I4i8i8i8i8I4i8i8i8Bc4I2"

local function pad(bytes, to)
  return bytes .. ("\0"):rep(-#bytes % (to or SECTOR))
end

local function header(h)
  return pad(string.pack(HEADER, "KDMV", h.version, h.flags, h.capacity, h.grain,
    h.descriptor, h.descriptor_size, ENTRIES, h.redundant, h.directory, h.overhead, 0,
    "\n \r\n", 1))
end

--- vmdk.descriptor(sectors) -> text
function M.descriptor(sectors)
  return "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"
    .. "createType=\"streamOptimized\"\n\n# Extent description\nRDONLY " .. sectors
    .. " SPARSE \"generated-stream.vmdk\"\n\n#DDB\nddb.adapterType = \"lsilogic\"\n"
end

--- vmdk.marker(sectors, type) -> 512 bytes
function M.marker(sectors, type)
  return pad(string.pack("<i8I4I4", sectors, 0, type))
end

--- vmdk.grain(lba, compressed) -> record
function M.grain(lba, compressed)
  return pad(string.pack("<i8I4", lba, #compressed) .. compressed)
end

local function table_of(entries, index)
  local list = {}
  for i = 0, ENTRIES - 1 do
    list[i + 1] = entries[index * ENTRIES + i] or 0
  end
  return string.pack(("<" .. ("I4"):rep(ENTRIES)), table.unpack(list))
end

local function directory_of(sectors_of_tables, count)
  local parts = {}
  for i = 0, count - 1 do
    parts[#parts + 1] = string.pack("<I4", sectors_of_tables[i] or 0)
  end
  return pad(table.concat(parts))
end

-- Collects parts and remembers where they begin and how long they are.
local function writer()
  local parts, at, map = {}, 0, {}
  local w = { map = map }
  function w.add(bytes, name)
    parts[#parts + 1] = bytes
    if name then
      map[name] = { at = at, size = #bytes }
    end
    at = at + #bytes
    return (at - #bytes) // SECTOR
  end
  function w.done()
    map.size = at
    return table.concat(parts), map
  end
  return w
end

-- Sectors of a grain, and the number of the tables that the disk needs.
local function shape(disk)
  local grain = disk.grain or 128
  local grains = (disk.capacity + grain - 1) // grain
  return grain, (grains + ENTRIES - 1) // ENTRIES
end

--- vmdk.footer_style(disk) -> bytes, map
-- As VMware writes: tables after their grains, directory, footer, end mark.
--
--   disk.capacity  sectors
--   disk.grains    list      of {number, zlib stream}, ascending
--   disk.grain     sectors   of a grain                                      (128)
--   disk.overhead  sectors   before the grains, at least 3                   (128)
--   disk.tables_last  boolean  all tables behind the last grain
--   disk.progress  boolean or integer  (so many) progress marks before the first grain
--   disk.unused    boolean   an empty table for each that names nothing
--   disk.known     boolean   the header has the directory's place, too
--   disk.no_footer boolean   no footer; then the header must know
--   disk.over      boolean   as vmdktool: one more table, which is empty, and a sector of
--                            the directory for it
--
-- The map has header, descriptor, grains (grain0, grain1 ...), tables (table0 ...), their
-- marks (table0_mark), directory, directory_mark, footer, footer_mark and end_mark:
-- each {at, size} in bytes.
function M.footer_style(disk)
  local grain, tables = shape(disk)
  local text = M.descriptor(disk.capacity)
  local h = {
    version = 3, flags = 0x30001, capacity = disk.capacity, grain = grain, descriptor = 1,
    descriptor_size = 2, redundant = 0, directory = AT_THE_END,
    overhead = disk.overhead or 128,
  }
  local w = writer()
  w.add(header(h), "header")
  w.add(pad(text, 2 * SECTOR), "descriptor")
  w.add(("\0"):rep((h.overhead - 3) * SECTOR))
  for _ = 1, disk.progress == true and 4 or disk.progress or 0 do
    w.add(pad(string.pack("<i8I4I4i8", 0, 0, 4, 0)))
  end

  local entries, places, used = {}, {}, {}
  local function add_table(index)
    w.add(M.marker(4, 1), "table" .. index .. "_mark")
    places[index] = w.add(table_of(entries, index), "table" .. index)
  end
  local open
  for i, g in ipairs(disk.grains) do
    local index = g[1] // ENTRIES
    if open and open ~= index and not disk.tables_last then
      add_table(open)
    end
    open = index
    used[index] = true
    entries[g[1]] = w.add(M.grain(g[1] * grain, g[2]), "grain" .. (i - 1))
  end
  for index = 0, tables - 1 do
    if (used[index] and not places[index]) or (disk.unused and not used[index]) then
      add_table(index)
    end
  end

  if disk.over then
    places[tables] = w.add(M.marker(4, 1)) + 1
    w.add(table_of({}, tables))
  end
  local directory = directory_of(places, tables + (disk.over and 128 or 0))
  w.add(M.marker(#directory // SECTOR, 2), "directory_mark")
  h.directory = w.add(directory, "directory")
  if not disk.no_footer then
    w.add(M.marker(1, 3), "footer_mark")
    w.add(header(h), "footer")
  end
  w.add(M.marker(0, 0), "end_mark")
  local bytes, map = w.done()
  return disk.known and header(h) .. bytes:sub(SECTOR + 1) or bytes, map
end

--- vmdk.head_style(disk) -> bytes, map
-- As qemu-img and open-vmdk write: directory and tables first, then the grains in any
-- order. `disk` as above, and
--
--   disk.redundant  boolean  with a second directory and tables
--   disk.end_mark   boolean  ends with a mark
--   disk.tail       bytes    behind the last grain                              ("")
function M.head_style(disk)
  local grain, tables = shape(disk)
  local sectors = (tables * 4 + SECTOR - 1) // SECTOR
  local copy = sectors + tables * 4
  local first = 3
  local h = {
    version = 3, flags = disk.redundant and 0x30003 or 0x30001, capacity = disk.capacity,
    grain = grain, descriptor = 1, descriptor_size = 2,
    redundant = disk.redundant and first or 0,
    directory = disk.redundant and first + copy or first,
    overhead = first + (disk.redundant and 2 or 1) * copy,
  }
  local entries, records, at = {}, {}, h.overhead
  for i, g in ipairs(disk.grains) do
    records[i] = M.grain(g[1] * grain, g[2])
    entries[g[1]] = at
    at = at + #records[i] // SECTOR
  end

  local w = writer()
  local function add_tables(name)
    local places = {}
    local here = w.map.next // SECTOR
    for index = 0, tables - 1 do
      places[index] = here + sectors + 4 * index
    end
    w.add(directory_of(places, tables), name .. "directory")
    for index = 0, tables - 1 do
      w.add(table_of(entries, index), name .. "table" .. index)
    end
    w.map.next = w.map.next + copy * SECTOR
  end
  w.add(header(h), "header")
  w.add(pad(M.descriptor(disk.capacity), 2 * SECTOR), "descriptor")
  w.map.next = first * SECTOR
  if disk.redundant then
    add_tables("second_")
  end
  add_tables("")
  w.map.next = nil
  for i, record in ipairs(records) do
    w.add(record, "grain" .. (i - 1))
  end
  if disk.end_mark then
    w.add(M.marker(0, 0), "end_mark")
  end
  w.add(disk.tail or "")
  return w.done()
end

return M
