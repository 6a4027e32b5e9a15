--- Fuzz: JSON, YAML and XML from outside. The outcome is a value or `nil, err`; and what
-- was read of JSON and YAML is written so that it is read again as the same.

local json = require "host.json"
local xml = require "host.xml"
local yaml = require "host.yaml"

local function same(value, write, read)
  local text, err = write(value)
  if text == nil then
    return assert(err.kind)
  end
  local again, why = read(text)
  assert(again ~= nil, why)
  assert(write(again) == text, "written, read and written again it differs")
end

local function first_document(text)
  local all, err = yaml.parse(text)
  return all and all[1], err
end

local READ = { json = json.decode, yaml = yaml.parse, xml = xml.parse }

return function(kind, text)
  local value, err = READ[kind](text)
  if value == nil then
    assert(err == nil or err.message)
  elseif kind == "json" then
    same(value, json.encode, json.decode)
  elseif kind == "yaml" then
    for _, document in ipairs(value) do
      same(document, yaml.dump, first_document)
    end
  end
end
