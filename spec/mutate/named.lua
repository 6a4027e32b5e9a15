--- mutate.named: busted's helper of record.lua and judge.lua, who need to know the spec.

dofile("spec/support/counted.lua")

local busted = require "busted"
local judge = package.loaded["mutate.judge"] -- the names of the specs that are to run
local lines = not judge and require "mutate.lines"

-- "flows.import.create ends well when ..."
local function name_of(element)
  local names, parent = { element.name }, busted.parent(element)
  while parent and (parent.name or parent.descriptor) and parent.descriptor ~= "file" do
    table.insert(names, 1, parent.name or parent.descriptor)
    parent = busted.parent(parent)
  end
  return table.concat(names, " ")
end

busted.subscribe({ "test", "start" }, function(element)
  if lines then
    lines.begins(name_of(element))
  elseif not judge.all and not judge[name_of(element)] then
    element.run = function() end
  end
  return nil, true
end)

busted.subscribe({ "test", "end" }, function()
  if lines then
    lines.ends()
  end
  return nil, true
end)
