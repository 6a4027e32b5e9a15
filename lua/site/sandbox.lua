--- site.sandbox: a site's scripts, called in child processes that can do nothing else.
--
-- A script is one call of a child: it is sent with each and nothing of it stays there.
-- A child that does not answer in time is killed; the next call gets a new one.

local errors = require "host.error"
local json = require "host.json"
local log = require "host.log"
local sandbox = require "host.sandbox"
local task = require "host.task"

local methods = {}
local mt = { __name = "sandbox", __index = methods }

local set_methods = {}
local set_mt = { __name = "sandbox.set", __index = set_methods }

local M = {}

local DEADLINE = 1            -- seconds of a processor, for one call
local CHILDREN = 2            -- calls at the same time
local LONGEST = 256 * 1024    -- bytes of one script

--- sandbox.hooks(policy) -> list of the names a script may give its functions
-- The names of a policy's decisions, as they are taken.
--
--   policy  policy.plan of a generation of code
function M.hooks(policy)
  local hooks = {}
  for _, decision in ipairs(policy.decisions) do
    hooks[#hooks + 1] = decision.name
  end
  hooks[#hooks + 1] = policy.findings.name
  return hooks
end

local function take_child(self)
  while #self.idle > 0 do
    local child = table.remove(self.idle)
    if child:usable() then
      return child
    end
    child:close()
  end
  return sandbox.start()
end

local function give_back(self, child)
  if child:usable() and not self.closed then
    self.idle[#self.idle + 1] = child
  else
    child:close()
  end
end

-- Of a list of an answer, or nil: do all its entries have fields of these types?
local function is_list_of(list, fields)
  if list == nil then
    return true
  elseif type(list) ~= "table" then
    return false
  end
  for key, entry in pairs(list) do
    for name, kind in pairs(fields) do
      local value = type(entry) == "table" and entry[name]
      if math.type(key) ~= "integer" or (math.type(value) or type(value)) ~= kind then
        return false
      end
    end
  end
  return true
end

-- A child that somebody has taken over answers what it likes.
local function is_answer(answer, request)
  return type(answer) == "table"
    and (answer.error == nil or type(answer.error) == "string")
    and is_list_of(answer.log, { level = "string", message = "string" })
    and is_list_of(answer.hooks, { name = "string", line = "integer" })
    and is_list_of(answer.globals,
      { name = "string", line = "integer", written = "boolean" })
    and (answer.error or request.hook or answer.hooks and answer.globals) ~= nil
end

-- What came back, once it is known to be one: answer | nil, err.
local function read_answer(child, text, request)
  local answer, err = json.decode(text)
  if is_answer(answer, request) then
    return answer
  end
  child:close()
  return nil, err or errors.new("format", "its process gave an answer that is none")
end

local LEVELS = { debug = log.debug, info = log.info, warn = log.warn, error = log.error }

local function tell(script, hook, lines)
  for _, line in ipairs(lines or {}) do
    local say = LEVELS[line.level] or log.info
    say(line.message, { script = script.name, hook = hook })
  end
end

-- One call: the answer | nil, err. err.message names the script.
local function call(self, script, request)
  request.script, request.text = script.name, script.text
  request.deadline = self.deadline
  local encoded = json.encode(request)
  local permit <close> = assert(self.places:acquire())
  local child, err = take_child(self)
  if not child then
    return nil, err
  end
  local text
  text, err = child:call(encoded, self.deadline)
  local answer
  if text then
    answer, err = read_answer(child, text, request)
  end
  if answer or not text then
    give_back(self, child)
  end
  permit:release()
  if not answer then
    return nil, errors.wrap(err, script.name)
  end
  tell(script, request.hook, answer.log)
  if answer.error then
    local message = answer.error
    if message:sub(1, #script.name) ~= script.name then
      message = script.name .. ": " .. message
    end
    return nil, errors.new("invalid", message)
  end
  return answer
end

local function unknown_hook(script, hook, hooks)
  return ("%s:%d: unknown hook \"%s\"; there are %s"):format(script.name, hook.line,
    hook.name, table.concat(hooks, ", "))
end

local function has(list, value)
  for _, item in ipairs(list) do
    if item == value then
      return true
    end
  end
  return false
end

local function wrong_global(script, global)
  local text = global.written and "global '%s' cannot be made; say local"
    or "unknown global '%s'"
  return ("%s:%d: " .. text):format(script.name, global.line, global.name)
end

-- Adds what is wrong with a script to problems; fills script.hooks. Returns an err that
-- is not the script's.
local function examine(self, script, hooks, problems)
  if #script.text > LONGEST then
    problems[#problems + 1] = ("%s: %d KiB; %d KiB are allowed"):format(script.name,
      #script.text // 1024, LONGEST // 1024)
    return
  elseif not utf8.len(script.text) then
    problems[#problems + 1] = script.name .. ": is not UTF-8"
    return
  end
  local answer, err = call(self, script, {})
  if not answer and err.kind == "busy" then
    return err
  elseif not answer then
    problems[#problems + 1] = err.message
    return
  end
  for _, global in ipairs(answer.globals) do
    problems[#problems + 1] = wrong_global(script, global)
  end
  for _, hook in ipairs(answer.hooks) do
    if has(hooks, hook.name) then
      script.hooks[hook.name] = hook.line
    else
      problems[#problems + 1] = unknown_hook(script, hook, hooks)
    end
  end
end

--- sandbox:load(texts, policy) -> set | nil, err                        [waits]
-- Looks at every script; runs no hook.
--
--   texts   {[name] = text}; they are called in byte order of their names
--   policy  policy.plan: whose decisions are hooks
--   err     invalid: err.problems: all that is wrong, each "script:line: ..."
--           busy: the machine did not let them run
function methods:load(texts, policy)
  local scripts, problems = {}, {}
  for name, text in pairs(texts) do
    scripts[#scripts + 1] = { name = name, text = text, hooks = {} }
  end
  table.sort(scripts, function(a, b)
    return a.name < b.name
  end)
  local hooks = M.hooks(policy)
  for _, script in ipairs(scripts) do
    local err = examine(self, script, hooks, problems)
    if err then
      return nil, err
    end
  end
  if #problems > 0 then
    return nil, errors.new("invalid", table.concat(problems, "; "),
      { problems = problems })
  end
  return setmetatable({ sandbox = self, scripts = scripts }, set_mt)
end

local function subject(name, input)
  local item = input.disk or input.nic
  return "hook " .. name .. (item and " of " .. tostring(item.id) or "")
end

-- A call that ended in C, or with the process, does not say in which line.
local function with_line(script, name, message)
  if message:sub(#script.name + 1):find("^:%d+: ") then
    return message
  end
  return ("%s:%d%s"):format(script.name, script.hooks[name],
    message:sub(#script.name + 1))
end

-- Every err of a script names the script, and the line where it is known.
local function failed(script, name, input, message)
  return errors.new("invalid",
    ("%s: %s"):format(subject(name, input), with_line(script, name, message)),
    { script = script.name, hook = name })
end

--- set:hook(name, input, builtin, accept) -> value | nil, err           [waits]
-- Asks the scripts that have this hook, one after the other; each is given what the
-- one before decided.
--
--   input, builtin, accept  as policy.plan passes them
--   value                   what was decided last; nil: nothing was
--   err                     invalid, with err.script and err.hook; busy: the machine did
--                           not let it run
function set_methods:hook(name, input, builtin, accept)
  local decided
  for _, script in ipairs(self.scripts) do
    if script.hooks[name] then
      local answer, err = call(self.sandbox, script,
        { hook = name, input = input, builtin = builtin })
      if not answer and err.kind == "busy" then
        return nil, err
      elseif not answer then
        return nil, failed(script, name, input, err.message)
      elseif answer.value ~= nil then
        local value, message = accept(answer.value)
        if message then
          return nil, failed(script, name, input,
            ("%s: returns a wrong value: %s"):format(script.name, message))
        end
        decided, builtin = answer.value, value
      end
    end
  end
  return decided
end

--- sandbox:close(), and __close: its processes are ended.
function methods:close()
  self.closed = true
  for _, child in ipairs(self.idle) do
    child:close()
  end
  self.idle = {}
end

mt.__close = methods.close

--- sandbox.new(opts) -> sandbox, to be closed
-- Starts no process before one is needed.
--
--   opts.deadline  seconds of a processor that one call may take (default 1)
--   opts.children  calls at the same time             (default 2)
function M.new(opts)
  opts = opts or {}
  return setmetatable({
    deadline = opts.deadline or DEADLINE,
    places = task.semaphore(opts.children or CHILDREN),
    idle = {},
  }, mt)
end

return M
