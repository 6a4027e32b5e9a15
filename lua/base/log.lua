--- base.log: a log whose lines carry what they are about. Pure: where they go is given.

local object_id = require "base.object_id"
local values = require "base.values"

local methods = {}
local mt = { __name = "base.log", __index = methods }

local M = {}

--- log.subject(kind, namespace, name, uid?) -> fields
-- Of a line about one object. `import`, or `source`, is "namespace/name" of one of ours.
function M.subject(kind, namespace, name, uid)
  local fields = { kind = kind, namespace = namespace, name = name, uid = uid }
  if kind == "VirtualMachineImport" then
    fields.import = object_id.of(namespace, name)
  elseif kind:find("Source$") then
    fields.source = object_id.of(namespace, name)
  end
  return fields
end

--- log:with(fields) -> log
-- Whose lines carry these besides.
function methods:with(fields)
  return M.new(self.sink, values.joined(self.fields, fields))
end

--- log:debug(message, fields?), log:info, log:warn, log:error
for _, level in ipairs { "debug", "info", "warn", "error" } do
  methods[level] = function(self, message, fields)
    self.sink[level](message, values.joined(self.fields, fields))
  end
end

--- log.new(sink, fields?) -> log
--
--   sink  {debug, info, warn, error}: functions (message, fields), as host.log's
function M.new(sink, fields)
  return setmetatable({ sink = sink, fields = fields or {} }, mt)
end

return M
