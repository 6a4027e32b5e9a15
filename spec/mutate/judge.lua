--- mutate.judge: runs specs of one file with modules of another folder before those of
-- lua/; ends at the first that fails.
--
--   vm-import-controller script spec/mutate/judge.lua FOLDER SPEC < NAMES
--
-- NAMES is JSON, a list: of the specs to run; "*": all of them.

local json = require "host.json"

local folder, spec = ...
local names = {}
for _, name in ipairs(assert(json.decode(io.read("a")))) do
  names[name] = true
end
names.all = names["*"]
package.loaded["mutate.judge"] = names
package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(folder, folder, package.path)
return loadfile("spec/run.lua")("--no-keep-going", "--helper=spec/mutate/named.lua", spec)
