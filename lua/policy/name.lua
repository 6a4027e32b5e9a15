--- policy.name: the names an imported machine and its disks get.
--
-- A name depends on nothing but its arguments: the same machine gets the same name in
-- every run, on every replica. Source: RFC 1123 section 2.1 as Kubernetes reads it
-- (labels of at most 63, subdomains of at most 253 characters).

local finding = require "policy.finding"

local LABEL_MAX = 63
local SUBDOMAIN_MAX = 253
local DISK_BASE_MAX = 40 -- leaves room for "-UID8-disk-NNN" in a label of 63

-- Letters that have a customary spelling in a to z. Others become a dash.
local SPELLING = {}
for letters, spelling in pairs({
  ["ä Ä æ Æ"] = "ae", ["ö Ö œ Œ"] = "oe", ["ü Ü"] = "ue", ["ß ẞ"] = "ss",
  ["þ Þ"] = "th",
  ["à á â ã å ā ă ą À Á Â Ã Å Ā Ă Ą"] = "a",
  ["ç ć ĉ ċ č Ç Ć Ĉ Ċ Č"] = "c",
  ["ď đ ð Ď Đ Ð"] = "d",
  ["è é ê ë ē ĕ ė ę ě È É Ê Ë Ē Ĕ Ė Ę Ě"] = "e",
  ["ĝ ğ ġ ģ Ĝ Ğ Ġ Ģ"] = "g",
  ["ĥ ħ Ĥ Ħ"] = "h",
  ["ì í î ï ĩ ī ĭ į ı Ì Í Î Ï Ĩ Ī Ĭ Į İ"] = "i",
  ["ĵ Ĵ"] = "j", ["ķ Ķ"] = "k",
  ["ĺ ļ ľ ł Ĺ Ļ Ľ Ł"] = "l",
  ["ñ ń ņ ň Ñ Ń Ņ Ň"] = "n",
  ["ò ó ô õ ø ō ŏ ő Ò Ó Ô Õ Ø Ō Ŏ Ő"] = "o",
  ["ŕ ŗ ř Ŕ Ŗ Ř"] = "r",
  ["ś ŝ ş š ș Ś Ŝ Ş Š Ș"] = "s",
  ["ţ ť ŧ ț Ţ Ť Ŧ Ț"] = "t",
  ["ù ú û ũ ū ŭ ů ű ų Ù Ú Û Ũ Ū Ŭ Ů Ű Ų"] = "u",
  ["ŵ Ŵ"] = "w", ["ý ÿ ŷ Ý Ÿ Ŷ"] = "y",
  ["ź ż ž Ź Ż Ž"] = "z",
}) do
  for letter in letters:gmatch("%S+") do
    SPELLING[letter] = spelling
  end
end

-- Decomposed umlauts (base letter + U+0308) are spelt as the composed ones are.
local UMLAUT = "([aouAOU])\xCC\x88"
-- U+0300 to U+037F: the combining marks, and a few Greek letters.
local COMBINING = "[\xCC\xCD][\x80-\xBF]"

local M = {}

--- name.is_label(text) -> boolean
-- An RFC 1123 label: a to z, 0 to 9 and inner dashes, 1 to 63 characters.
function M.is_label(text)
  return type(text) == "string"
    and #text <= LABEL_MAX
    and text:find("^[a-z0-9][a-z0-9-]*$") ~= nil
    and text:sub(-1) ~= "-"
end

--- name.is_subdomain(text) -> boolean
-- An RFC 1123 subdomain: labels joined by dots, at most 253 characters.
function M.is_subdomain(text)
  if type(text) ~= "string" or #text > SUBDOMAIN_MAX or text == "" then
    return false
  end
  for part in (text .. "."):gmatch("([^.]*)%.") do
    -- Kubernetes bounds the whole, not each part.
    if not part:find("^[a-z0-9][a-z0-9-]*$") or part:sub(-1) == "-" then
      return false
    end
  end
  return true
end

--- name.is_label_value(text) -> boolean
-- What may stand as the value of a Kubernetes label.
function M.is_label_value(text)
  return type(text) == "string"
    and #text <= LABEL_MAX
    and (text == "" or text:find("^[%w]$") ~= nil
      or text:find("^%w[%w_.-]*%w$") ~= nil)
end

--- name.is_label_key(text) -> boolean
-- `name` or `subdomain/name`, as keys of labels and annotations are.
function M.is_label_key(text)
  if type(text) ~= "string" then
    return false
  end
  local prefix, key = text:match("^([^/]*)/([^/]*)$")
  if prefix and not M.is_subdomain(prefix) then
    return false
  end
  key = key or text
  return key ~= "" and M.is_label_value(key)
end

--- name.hash(text) -> 8 hex digits
-- FNV-1a, 32 bits: to tell apart what was cut, not to keep secrets.
function M.hash(text)
  local h = 0x811c9dc5
  for i = 1, #text do
    h = ((h ~ text:byte(i)) * 0x01000193) & 0xffffffff
  end
  return ("%08x"):format(h)
end

local function spell(text)
  text = text:gsub(UMLAUT, "%1e"):gsub(COMBINING, "")
  return (text:gsub("[\xC3-\xE1][\x80-\xBF]+", SPELLING))
end

--- name.short(text, max) -> text
-- `text` itself if it fits, else its beginning and a hash of the whole.
function M.short(text, max)
  if #text <= max then
    return text
  end
  return text:sub(1, max - 9):gsub("%-+$", "") .. "-" .. M.hash(text)
end

--- name.label(text, max) -> label | nil
-- The nearest RFC 1123 label; nil when nothing of `text` can stay.
--
--   max  characters  longest result (default 63)
function M.label(text, max)
  local label = spell(text):lower():gsub("[^a-z0-9]+", "-")
  label = label:gsub("^%-", ""):gsub("%-$", "")
  if label == "" then
    return nil
  end
  return M.short(label, max or LABEL_MAX)
end

--- name.machine(machine) -> label
-- From the machine's name, else from its id.
function M.machine(machine)
  local label = M.label(machine.name)
  if label then
    return label
  end
  local id = M.label(machine.id, LABEL_MAX - 3)
  return "vm-" .. (id and id:gsub("^vm%-", "") or M.hash(machine.id))
end

--- name.disk(machine_name, uid, index) -> label
-- Unique to one import: two machines of one name never share a disk's name.
--
--   machine_name  the name decided for the machine
--   uid           metadata.uid of the import
--   index         the disk's place in the machine, from 0
function M.disk(machine_name, uid, index)
  local base = machine_name:sub(1, DISK_BASE_MAX):gsub("%-+$", "")
  local short = uid:lower():match("^" .. ("%x"):rep(8)) or M.hash(uid)
  return ("%s-%s-disk-%d"):format(base, short, index)
end

--- name.decide(input, plan) -> name, findings
-- targetName if it is set and valid, else the machine's name made a label.
function M.decide(input)
  local wanted, machine = input.spec.targetName, input.machine
  local named = M.machine(machine)
  if wanted then
    if M.is_label(wanted) then
      return wanted
    end
    return named, {
      finding.blocks("TargetNameInvalid", "spec.targetName",
        ("\"%s\" cannot be the name of a virtual machine: at most 63 characters, "
          .. "a to z, 0 to 9 and inner dashes"):format(wanted),
        ("use \"%s\", or leave the field empty"):format(M.label(wanted) or named)),
    }
  end
  if named ~= machine.name then
    return named, {
      finding.informs("NameChanged", "machine",
        ("\"%s\" cannot name a virtual machine here; it becomes \"%s\""):format(
          machine.name, named),
        "set spec.targetName for another name"),
    }
  end
  return named
end

return M
