--- support.prometheus: a strict reader of Prometheus' text format 0.0.4. Throws at what
-- Prometheus would refuse, and at what its linter calls wrong of the names of counters.

local M = {}

-- {a="1",b="2"} at the beginning of `text` -> table, what follows it
local function read_labels(text, line)
  local labels, rest = {}, text:sub(2)
  while rest:sub(1, 1) ~= "}" do
    local name, at = rest:match('^([%a_][%w_]*)="()')
    assert(name and not labels[name], line)
    local value = {}
    while rest:sub(at, at) ~= '"' do
      local plain, escaped = rest:match('^([^\\"]+)', at), rest:match('^(\\[\\"n])', at)
      local piece = assert(plain or escaped, line)
      value[#value + 1] = piece
      at = at + #piece
    end
    labels[name] = table.concat(value)
    assert(utf8.len(labels[name]), "not UTF-8: " .. line)
    rest = rest:sub(at + 1)
    assert(rest:find("^[,}]"), line)
    rest = rest:gsub("^,", "")
  end
  return labels, rest:sub(2)
end

local function check_name(family, sample, labels, line)
  if family.kind == "histogram" then
    local suffix = sample:sub(#family.name + 1)
    assert(sample:sub(1, #family.name) == family.name, line)
    assert(suffix == "_sum" or suffix == "_count" or suffix == "_bucket" and labels.le, line)
  else
    assert(sample == family.name, line)
    assert((family.kind == "counter") == (sample:sub(-6) == "_total"), line)
  end
end

local function read_sample(family, line)
  local name, rest = line:match("^([%a_:][%w_:]*)(.*)$")
  assert(name and family, "no sample: " .. line)
  local labels = {}
  if rest:sub(1, 1) == "{" then
    labels, rest = read_labels(rest, line)
  end
  local value = assert(rest:match("^ (%S+)$"), line)
  assert(tonumber(value) or value == "NaN" or value == "+Inf" or value == "-Inf", line)
  check_name(family, name, labels, line)
  return { name = name, labels = labels, value = tonumber(value) or value }
end

--- prometheus.read(text) -> families
--
--   families[name]          {kind = "counter"|"gauge"|"histogram", samples = list}
--   samples[i]              {name, labels, value}; labels as they are escaped
function M.read(text)
  assert(text:sub(-1) == "\n", "the last line has no end")
  local families, seen, help, family = {}, {}, nil, nil
  for line in text:gmatch("([^\n]*)\n") do
    local helped = line:match("^# HELP ([%a_:][%w_:]*) [^\\]+$")
    local name, kind = line:match("^# TYPE ([%a_:][%w_:]*) (%a+)$")
    if helped then
      assert(not families[helped], helped .. " twice")
      help, family = helped, nil
    elseif name then
      assert(name == help, "TYPE without HELP: " .. line)
      family = { name = name, kind = kind, samples = {} }
      families[name] = family
    else
      local sample = read_sample(family, line)
      local key = line:match("^(.*) %S+$")
      assert(not seen[key], "twice: " .. line)
      seen[key] = true
      family.samples[#family.samples + 1] = sample
    end
  end
  return families
end

return M
