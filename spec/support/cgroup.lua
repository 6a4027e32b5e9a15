--- support.cgroup: a group of processes whose memory the kernel bounds, as a pod's is.

local digest = require "host.digest"
local file = require "host.file"
local process = require "host.process"
local task = require "host.task"

local M = {}

-- How each version calls its files.
local NAMES = {
  cgroup = { most = "memory.limit_in_bytes", events = "memory.oom_control" },
  cgroup2 = { most = "memory.max", events = "memory.events" },
}

local methods = {}
local mt = { __name = "support.cgroup", __index = methods }

-- Folder and version of the hierarchy that bounds memory, or nil.
local function hierarchy()
  for line in assert(file.read("/proc/self/mounts")):gmatch("[^\n]+") do
    local path, kind, options = line:match("^%S+ (%S+) (cgroup2?) (%S+)")
    if kind == "cgroup" and ("," .. options .. ","):find(",memory,", 1, true) then
      return path, kind
    elseif kind == "cgroup2" and (file.read(path .. "/cgroup.controllers") or "")
      :find("memory", 1, true) then
      return path, kind
    end
  end
end

--- group:oom_kills() -> how many of its processes the kernel has ended     [waits]
function methods:oom_kills()
  local text = assert(file.read(self.path .. "/" .. self.names.events))
  local number = assert(text:match("oom_kill (%d+)"), text)
  return tonumber(number)
end

-- It can go when its last process has.
mt.__close = function(self)
  task.goodbye(process.run, { argv = { "rmdir", self.path } })
end

--- cgroup.memory(bytes) -> group, to be closed | nil, why                 [waits]
--
--   group.through  list of words: who starts a program in it
function M.memory(bytes)
  local root, kind = hierarchy()
  if not root then
    return nil, "no hierarchy of cgroups bounds memory here"
  end
  local names, path = NAMES[kind], ("%s/vic-spec-%s"):format(root, digest.random(4))
  local made = assert(process.run({ argv = { "sh", "-c", [[
[ "$1" = cgroup ] || echo +memory >"$2/cgroup.subtree_control"
mkdir "$3" && echo "$5" >"$3/$4"]], "sh", kind, root, path, names.most, tostring(bytes) } }))
  if made.status ~= 0 then
    return nil, made.stderr
  end
  return setmetatable({ path = path, names = names, through = { "sh", "-ec",
    'echo $$ >"$0"; exec "$@"', path .. "/cgroup.procs" } }, mt)
end

return M
