--- providers.ova.package: an OVF package, be it one archive (OVA) or files in a folder:
-- its description, its checksums, and where each of its files is.
--
-- What it is shows in its first bytes, not in its name.

local archive = require "providers.ova.archive"
local digest = require "host.digest"
local errors = require "host.error"
local finding = require "base.finding"
local image = require "providers.ova.image"
local manifest = require "providers.ova.manifest"
local place_of = require "providers.ova.place"
local reader = require "providers.ova.reader"

local M = {}

local TRIES = 3 -- of reading it, where the connection breaks
local MOST_OVF, MOST_MANIFEST = 4 << 20, 1 << 20 -- bytes
local SUBJECT = "OVF package"

local methods = {}
local mt = { __name = "ova.package", __index = methods }

local function ending(name)
  return (name:match("%.(%w+)$") or ""):lower()
end

local function stem(name)
  return name:gsub("%.%w+$", ""):lower()
end

local function refuse(fmt, ...)
  error(errors.final(errors.new("format", fmt:format(...), { code = "OvaRefused" })), 0)
end

local function checked(value, err, code)
  if value then
    return value
  end
  err.code = err.code or code
  error(err, 0)
end

local function keep(member)
  local kind = ending(member.name)
  if kind == "ovf" then
    return MOST_OVF
  end
  return kind == "mf" and MOST_MANIFEST or image.HEAD_BYTES
end

-- The member of that ending which belongs to `name`, or is the only one.
local function companion(members, kind, name)
  local found, count = nil, 0
  for _, member in ipairs(members) do
    if ending(member.name) == kind then
      if stem(member.name) == stem(name) then
        return member
      end
      found, count = member, count + 1
    end
  end
  return count == 1 and found or nil
end

local function descriptor(members)
  local found
  for _, member in ipairs(members) do
    if ending(member.name) == "ovf" and found then
      refuse("the archive has more than one OVF (%s, %s)", found.name, member.name)
    end
    found = ending(member.name) == "ovf" and member or found
  end
  if not found then
    refuse("there is no OVF among the %d members of the archive", #members)
  elseif found.size > MOST_OVF then
    refuse("the OVF %s has %d bytes, at most %d are read", found.name, found.size,
      MOST_OVF)
  end
  return found
end

local function note(self, severity, code, message, action)
  self.findings[#self.findings + 1] = finding.new(severity, code, SUBJECT, message,
    action)
end

local function take_manifest(self, text)
  if not text then
    note(self, "Warns", "ManifestMissing", "has no manifest (.mf): nothing tells whether "
      .. "its files came as they were made", "compare the disks with the original")
    return
  end
  local sums = checked(manifest.parse(text))
  if #sums.others > 0 then
    note(self, "Informs", "ManifestNotCompared", ("its manifest has checksums of a kind "
      .. "that is not compared, of %d files"):format(#sums.others))
  end
  self.sums, self.manifest = sums.of, text
end

local function check_descriptor(self, name)
  checked(manifest.check(self.sums[name], self.ovf, name))
end

local function read_archive(self, source)
  local members = checked(archive.list(function(offset, size)
    return source:read(offset, size)
  end, { size = source.size, keep = keep }))
  for _, member in ipairs(members) do
    self.files[member.name] = member
  end
  local found = descriptor(members)
  local sums = companion(members, "mf", found.name)
  self.ovf = found.head
  take_manifest(self, sums and sums.head)
  check_descriptor(self, found.name)
  if companion(members, "cert", found.name) then
    note(self, "Informs", "SignatureNotVerified", "its signature (.cert) is not verified")
  end
  if not members.ended then
    note(self, "Warns", "ArchiveNotEnded", "the archive ends without its mark of the "
      .. "end: something may be cut off", "compare it with the original")
  end
end

local function open(self, place)
  if place.path then
    return reader.file(place.path)
  end
  return reader.http(self.connection, place.url)
end

-- All of a short file beside the OVF; nil where there is none.
local function read_beside(self, name, most)
  local source, err = open(self, place_of.beside(self.place, name))
  if not source and err.kind == "notfound" then
    return nil
  end
  local file <close> = checked(source, err)
  local text = checked(file:read(0, most + 1))
  if #text > most then
    refuse("%s has more than %d bytes", name, most)
  end
  return text
end

local function read_folder(self, source)
  local name = place_of.name(self.place)
  self.ovf = checked(source:read(0, MOST_OVF + 1))
  if #self.ovf > MOST_OVF then
    refuse("the OVF has more than %d bytes", MOST_OVF)
  end
  local sums = name:gsub("%.%w+$", "") .. ".mf"
  take_manifest(self, read_beside(self, sums, MOST_MANIFEST))
  check_descriptor(self, name)
end

local function read(self)
  local source <close> = checked(open(self, self.place))
  self.mark, self.ranges, self.size = source.mark, source.ranges, source.size
  local head = checked(source:read(0, 512))
  self.is_archive = not head:find("^\xef?\xbb?\xbf?%s*<")
  if self.is_archive then
    read_archive(self, source)
  else
    read_folder(self, source)
  end
  return self
end

-- A file in the folder of the OVF, with its first bytes.
local function look_beside(self, name)
  local place = place_of.beside(self.place, name)
  local source, err = open(self, place)
  if not source then
    return nil, err
  end
  local file <close> = source
  local head
  head, err = file:read(0, image.HEAD_BYTES)
  if not head then
    return nil, err
  end
  return { name = name, place = place, size = file.size, head = head, mark = file.mark }
end

--- package:file(name) -> file | nil, err                                [waits]
-- One of its files, by the name that the OVF says.
--
--   file  {name, place, offset, size, head, sum, mark}; offset: in the archive, or nil;
--         sum: {algorithm, value} or nil; size may not be known
--   err   notfound: it has none of that name
function methods:file(name)
  local file, err = self.files[name], nil
  if not file and not self.is_archive then
    file, err = look_beside(self, name)
    self.files[name] = file
  end
  if not file then
    return nil, err or errors.new("notfound", ("the archive has no member %s"):format(
      name))
  end
  file.place = file.place or self.place
  file.sum = self.sums[name]
  return file
end

--- package:find(file) -> {url, mark} | nil, err                          [waits]
-- Where one of its files is now, behind all redirects; of one of this machine {path,
-- mark}.
--
--   err  conflict: it is another one than was read; err.code is SourceChanged
function methods:find(file)
  local source, err = open(self, file.place)
  if not source then
    return nil, err
  end
  local found <close> = source
  if found.mark ~= (file.mark or self.mark) then
    self.changed = true
    return nil, errors.new("conflict", ("%s is another file now than it was"):format(
      file.name), { code = "SourceChanged" })
  end
  return { url = found.url, path = found.path, mark = found.mark }
end

--- package:stamp(names) -> text | nil, err                               [waits]
-- Another one when the package is, or one of those files.
function methods:stamp(names)
  local source, err = open(self, self.place)
  if not source then
    return nil, err
  end
  source:close()
  local lines = { source.mark, self.ovf, self.manifest or "" }
  self.changed = self.changed or source.mark ~= self.mark
  for _, name in ipairs(self.is_archive and {} or names) do
    local file
    file, err = look_beside(self, name)
    if not file then
      return nil, err
    end
    lines[#lines + 1] = file.mark
  end
  return digest.sha256(table.concat(lines, "\n")):sub(1, 32)
end

--- package.read(place, connection) -> package | nil, err                 [waits]
--
--   place        as providers.ova.place has it
--   connection   as reader.http wants it; none for a file
--   package.ovf       text
--   package.findings  list    of what of it is amiss
--   package.ranges    boolean a piece of it can be had alone
--   package.changed   boolean it is another one by now: read it again
--   err  format   damaged, cut off, hostile, or not the one of its manifest; else why it
--                 cannot be read. err.code
function M.read(place, connection)
  local ok, result
  for _ = 1, TRIES do
    ok, result = pcall(read, setmetatable({ place = place, connection = connection,
      files = {}, sums = {}, findings = {}, changed = false }, mt))
    if ok then
      return result
    end
    result = errors.of(result)
    if result.kind ~= "connect" then
      break
    end
  end
  result.code = result.code or result.kind == "format" and "OvaRefused" or nil
  return nil, result
end

return M
