--- cli.arguments: command line options, by a table that describes them. Pure.

local M = {}

-- "1.5" -> 1.5; nil for what is no number above 0.
local function decimal(text)
  local number = text:find("^%d*%.?%d+$") and tonumber(text)
  return number and number > 0 and number or nil
end

-- "HOST:PORT", ":PORT", "[V6]:PORT" -> {host, port}; nil for what is none of them.
local function address(text)
  local host, port = text:match("^%[([%x:.]+)%]:(%d+)$")
  if not host then
    host, port = text:match("^([^:%[%]]*):(%d+)$")
  end
  port = math.tointeger(tonumber(port))
  if not port or port > 65535 then
    return nil
  end
  return { host = host ~= "" and host or nil, port = port }
end

--- arguments.parse(args, options) -> values | nil, problem
-- `--name VALUE`, `--name=VALUE`, `--flag`, `-f VALUE`; `--` ends the options. What is
-- no option stands in values[1..n].
--
--   args     list of strings
--   options  {[name] = {value = "FILE"|nil (a flag), short = "f", number = true: the
--            value is one, above 0; address = true: {host = string | nil, port}; alone =
--            its value when it has none; it takes one by `=` only}}
--   problem  string, what the user got wrong
function M.parse(args, options)
  local short = {}
  for name, option in pairs(options) do
    if option.short then
      short["-" .. option.short] = name
    end
  end

  local values, i = {}, 1
  while i <= #args do
    local arg = args[i]
    if arg == "--" then
      table.move(args, i + 1, #args, #values + 1, values)
      break
    elseif arg:sub(1, 1) ~= "-" or arg == "-" then
      values[#values + 1] = arg
    else
      local name, value = arg:match("^%-%-([%w-]+)=(.*)$")
      name = name or short[arg] or arg:match("^%-%-([%w-]+)$")
      local option = options[name]
      if not option then
        return nil, "unknown option " .. arg
      elseif not option.value and value then
        return nil, ("--%s takes no value"):format(name)
      elseif option.value and not value and option.alone then
        value = option.alone
      elseif option.value and not value then
        i = i + 1
        value = args[i]
        if not value then
          return nil, ("%s needs a value: %s"):format(arg, option.value)
        end
      end
      if option.number then
        value = decimal(value)
        if not value then
          return nil, ("--%s needs a number above 0"):format(name)
        end
      end
      if option.address then
        value = address(value)
        if not value then
          return nil, ("--%s needs HOST:PORT or :PORT"):format(name)
        end
      end
      values[name] = option.value and value or true
    end
    i = i + 1
  end
  return values
end

return M
