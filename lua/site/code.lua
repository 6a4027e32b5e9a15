--- site.code: a generation of the controller's own code: flows, policy and providers,
-- with the modules that a site replaces or adds.
--
-- The modules of a generation see each other and those of no other generation: each has
-- its own instance of every one. All are compiled, run and checked before any is used.
--
-- A generation is
--
--   hash     string   of the names and texts; "builtin": nothing is replaced
--   names    list     of the scripts, sorted
--   sources  list of {kind, plural, module}: kinds of source that its providers add
--   unused   list of the scripts that replace no module and that no module has required
--   users    integer  who holds it: hold()
--   current  boolean  it is in force, as far as whoever swaps says so

local checks = require "site.code_checks"
local errors = require "host.error"
local host_code = require "host.code"
local time = require "host.time"

local methods = {}
local mt = { __name = "code", __index = methods }

local M = {}

local CODE = { flows = true, policy = true, providers = true }
local LONGEST = 256 * 1024 -- bytes of one script
local LOAD_WITHIN = 2      -- seconds of running, of all modules' main chunks and checks
local LOOK_EVERY = 1e5     -- instructions between two looks at the clock

--- code.is_code(name) -> boolean
-- Whether a script of that file name, or a module of that name, is the controller's code.
function M.is_code(name)
  return CODE[name:match("^(%l+)%.") or name] or false
end

-- "policy.name.lua" -> "policy.name"; nil: it can be no module.
local function module_of(script)
  local name = script:match("^(.+)%.lua$")
  return name and not (name .. "."):find("%.%.") and name or nil
end

-- Accesses to globals that there are not.
local function check_globals(fn, script, problems)
  for _, global in ipairs(host_code.globals(fn)) do
    if global.written then
      problems[#problems + 1] = ("%s:%d: global '%s' cannot be made; say local"):format(
        script, global.line, global.name)
    elseif rawget(_G, global.name) == nil then
      problems[#problems + 1] = ("%s:%d: unknown global '%s'"):format(script, global.line,
        global.name)
    end
  end
end

-- A message about a script names it, and once.
local function named(script, problem)
  local message = errors.of(problem).message
  return message:find(script, 1, true) and message or ("%s: %s"):format(script, message)
end

-- Compiles one script; what is wrong with it is added to problems.
local function compile(self, script, text, problems)
  local name = module_of(script)
  if not name then
    problems[#problems + 1] = script .. ": its name is no name of a module"
  elseif #text > LONGEST then
    problems[#problems + 1] = ("%s: %d KiB; %d KiB are allowed"):format(script,
      #text // 1024, LONGEST // 1024)
  else
    local fn, problem = load(text, "=" .. script, "t", self.globals)
    if not fn then
      problems[#problems + 1] = named(script, problem)
      return
    end
    check_globals(fn, script, problems)
    self.chunks[name] = fn
    self.scripts[name] = script
  end
end

-- Modules that are built in, compiled once: each generation has an instance of its own.
local compiled = {}

-- The main chunk of a module that is built in, with this generation's globals.
local function built_in(self, name)
  local path = package.searchpath(name, package.path)
  if path and not compiled[name] then
    local file <close> = assert(io.open(path, "rb"))
    local place = name:gsub("%.", "/") .. (path:find("/init%.lua$") and "/init" or "")
    local chunk = assert(load(file:read("a"), ("=lua/%s.lua"):format(place)))
    compiled[name] = string.dump(chunk)
  end
  return path and assert(load(compiled[name], name, "b", self.globals))
end

local LOADING = {} -- stands for a module whose main chunk runs

--- generation:require(name) -> module
-- The instance of this generation, for flows, policy and providers; as Lua's require for
-- the rest. Throws where there is none.
function methods:require(name)
  if not M.is_code(name) or self == M.builtin then
    return require(name)
  end
  local module = self.modules[name]
  if module == LOADING then
    error(("module %s requires itself"):format(name), 2)
  elseif module == nil then
    local chunk = self.chunks[name] or built_in(self, name)
    if not chunk then
      error(("there is no module %s"):format(name), 2)
    end
    self.modules[name] = LOADING
    module = chunk(name)
    self.modules[name] = module == nil and true or module
    module = self.modules[name]
  end
  return module
end

-- What the chunks of a generation see as globals.
local function globals_of(self)
  local globals = {
    require = function(name)
      self.required[name] = true
      return self:require(name)
    end,
  }
  return setmetatable(globals, {
    __index = _G,
    __newindex = function(_, name)
      error(("global '%s' cannot be made; say local"):format(tostring(name)), 2)
    end,
  })
end

-- Runs fn() with a limit of time. A loop in a C function is not ended by it.
local function within(fn, ...)
  local ends = time.monotonic() + LOAD_WITHIN
  debug.sethook(function()
    if time.monotonic() > ends then
      error(("has not ended within %d s"):format(LOAD_WITHIN), 2)
    end
  end, "", LOOK_EVERY)
  local results = table.pack(pcall(fn, ...))
  debug.sethook()
  return table.unpack(results, 1, results.n)
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

local function refused(problems)
  return nil, errors.new("invalid", table.concat(problems, "; "), { problems = problems })
end

-- Runs every main chunk and looks at what came of it.
local function run(self, problems)
  for _, name in ipairs(sorted_keys(self.chunks)) do
    local ok, problem = within(self.require, self, name)
    if not ok then
      problems[1] = named(self.scripts[name], problem)
      return
    end
  end
  local ok, problem = within(checks.run, self, problems)
  if not ok then
    problems[#problems + 1] = errors.of(problem).message
  end
end

-- A name that is misspelt, or of a module that has another name now.
local function unused_of(self)
  local used = {}
  for _, source in ipairs(self.sources) do
    used[source.module] = true
  end
  local unused = {}
  for _, name in ipairs(sorted_keys(self.chunks)) do
    if not used[name] and not self.required[name]
      and not package.searchpath(name, package.path) then
      unused[#unused + 1] = self.scripts[name]
    end
  end
  return unused
end

--- code.load(texts, hash) -> generation | nil, err
-- Looks at a set of modules as a whole; puts nothing into force.
--
--   texts  {[script] = text}: "policy.name.lua" is the module policy.name
--   hash   string
--   err    invalid; err.problems: all that is wrong, each "script:line: ..."
function M.load(texts, hash)
  local self = setmetatable({
    hash = hash,
    names = sorted_keys(texts),
    sources = {},
    required = {}, -- module -> true: another one asked for it
    users = 0,
    current = false,
    chunks = {},  -- module -> compiled script
    scripts = {}, -- module -> name of its script
    modules = {},
  }, mt)
  self.globals = globals_of(self)
  local problems = {}
  for _, script in ipairs(self.names) do
    compile(self, script, texts[script], problems)
  end
  if #problems == 0 then
    run(self, problems)
  end
  if #problems > 0 then
    return refused(problems)
  end
  self.unused = unused_of(self)
  return self
end

--- generation:flow(kind) -> reconcile | nil
-- The flow for objects of a kind of ours (flows/init.lua).
function methods:flow(kind)
  for _, flow in ipairs(self:require("flows")) do
    if flow.kind == kind then
      return self:require(flow.module).reconcile
    end
  end
  for _, source in ipairs(self.sources) do
    if source.kind == kind then
      return self:require("flows.source").reconcile
    end
  end
  return nil
end

--- generation:hold() -> held, to be closed
-- Who works with it says so: generation.users counts them.
function methods:hold()
  self.users = self.users + 1
  local held = true
  local function close()
    if held then
      held = false
      self.users = self.users - 1
      if self.users == 0 and self.released then
        self.released(self)
      end
    end
  end
  return setmetatable({ close = close }, { __name = "held code", __close = close })
end

--- code.builtin: the generation in which nothing is replaced.
M.builtin = setmetatable({ hash = "builtin", names = {}, sources = {}, unused = {},
  users = 0, current = true }, mt)

return M
