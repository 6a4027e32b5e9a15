--- cli.command: what running any of our commands has in common.

local arguments = require "cli.arguments"
local env = require "host.env"
local errors = require "host.error"
local host_text = require "host.text"
local quantity = require "base.quantity"

local LEAST_RATE = 1024 -- bytes a second

local M = {}

--- command.say(format, ...)
-- One line on stdout, whatever stands in what is put into it.
function M.say(format, ...)
  env.stdout(host_text.visible(format:format(...)) .. "\n")
end

--- command.fail(name, code, message) -> code
-- One line on stderr that begins with the command's name (nil: the controller).
function M.fail(name, code, message)
  env.stderr(("vm-import-controller%s: %s\n"):format(name and " " .. name or "",
    host_text.visible(message)))
  return code
end

--- command.one_of(values, name, allowed) -> value
-- Of an option; the first that is allowed where it was not given. Throws any other one.
function M.one_of(values, name, allowed)
  local value = values[name] or allowed[1]
  for _, one in ipairs(allowed) do
    if value == one then
      return value
    end
  end
  error(errors.new("invalid", ("--%s %s: must be %s"):format(name, value,
    table.concat(allowed, " or "))))
end

--- command.site(values) -> policy.plan's input.site
-- Of the options --allow-code and --allowed-namespaces.
function M.site(values)
  local namespaces = {}
  for namespace in (values["allowed-namespaces"] or ""):gmatch("[^,%s]+") do
    namespaces[#namespaces + 1] = namespace
  end
  return { code = values["allow-code"] or false, namespaces = namespaces }
end

--- command.least_rate(values) -> bytes a second
-- Of --least-rate.
function M.least_rate(values)
  local text = values["least-rate"] or LEAST_RATE
  local rate = math.tointeger(tonumber(text))
  if not rate or rate < 0 then
    error(errors.new("invalid", ("--least-rate %s: must be a whole number of bytes a "
      .. "second, or 0"):format(text)))
  end
  return rate
end

--- command.size(values, name) -> bytes | nil
-- Of an option that is a quantity as Kubernetes writes them.
function M.size(values, name)
  local text = values[name]
  local bytes = text and quantity.parse(text)
  if text and (not bytes or bytes < quantity.MIB) then
    error(errors.new("invalid", ("--%s %s: must be a size of 1Mi or more, such as 200Gi")
      :format(name, text)))
  end
  return bytes
end

--- command.run(command, args) -> exit code                              [waits]
-- 2 for a wrong command line; 1 and a line for each problem when the work throws.
--
--   command  {name = string | nil, usage = text, options as arguments.parse takes them,
--            needs(values) -> nil | string: what is missing,
--            work(values) -> exit code | nil: 0}
--   args     list of strings
function M.run(command, args)
  local values, problem = arguments.parse(args, command.options)
  if values and values.help then
    env.stdout(command.usage)
    return 0
  end
  problem = problem or command.needs and command.needs(values)
  if problem then
    return M.fail(command.name, 2, problem .. "; see --help")
  end
  local ok, result = pcall(command.work, values)
  if ok then
    return result or 0
  end
  local err = errors.of(result)
  for _, line in ipairs(err.problems or { err.message }) do
    M.fail(command.name, 1, line)
  end
  return 1
end

return M
