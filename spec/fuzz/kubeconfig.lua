--- Fuzz: a kubeconfig, and behind a NUL what the credential plugin prints that it names.
-- Of all files that it names, that one is there alone; no plugin is run.

local file = { read = true }
local process = { run = true }
local permit = setmetatable({}, { __close = function() end })
local semaphore = { acquire = function()
  return permit
end }

package.loaded["host.file"] = file
package.loaded["host.process"] = process
package.loaded["host.task"] = { semaphore = function()
  return semaphore
end }

local config = require "kube.config"
local errors = require "host.error"

local PATH = "/home/config"

local function variable(name)
  return name == "KUBECONFIG" and PATH or nil
end

-- A mistake of ours would be an err of kind internal.
local function is_refused(err)
  assert(err.kind ~= "internal" and err.message ~= "", err.message)
end

return function(_, input)
  local text, said = input:match("^([^%z]*)%z?(.*)$")
  function file.read(path)
    if path == PATH then
      return text
    end
    return nil, errors.new("notfound", path)
  end
  function process.run(opts)
    assert(type(opts.argv[1]) == "string")
    return { status = 0, stdout = said, stderr = "" }
  end
  local found, err = config.load({ env = variable })
  if not found then
    return is_refused(err)
  end
  assert(type(found.url) == "string" and type(found.namespace) == "string")
  for _ = 1, 2 do
    local headers
    headers, err = found.headers(true)
    for name, value in pairs(headers or {}) do
      assert(type(name) == "string" and type(value) == "string")
    end
    if not headers then
      is_refused(err)
    end
  end
end
