--- site.scripts: the generation of scripts in force: the site's and replaced code.
--
-- A set of scripts is looked at as a whole and then takes the place of the one before in
-- one step; when anything is wrong with it nothing changes. Who has taken a generation
-- (one step of one import) ends on it, whatever comes meanwhile.
--
-- A generation is
--
--   hash     string  of names and texts: status.scriptGeneration; "builtin": no scripts
--   names    list of the scripts, sorted: the site's are called in that order
--   ignored  list of {name, reason}: keys that were given and do nothing
--   hook     function (name, input, builtin, accept) -> value | nil, err, as policy.plan
--            calls it                                                          [waits]
--   code     generation of site.code: flows, policy and providers

local code = require "site.code"
local digest = require "host.digest"
local env = require "host.env"
local errors = require "host.error"
local file = require "host.file"
local kinds = require "base.kinds"
local metrics = require "host.metrics"
local sandbox = require "site.sandbox"

local methods = {}
local mt = { __name = "scripts", __index = methods }

local M = {}

local OLD_MOST = 3 -- generations of replaced code on which tasks still end

local ALIVE = metrics.gauge("vm_import_code_generations",
  "Generations of replaced code: the one in force, and older ones in use.")

local function no_opinion()
  return nil
end

local function generation_of(hash, names, ignored, its_code, hook)
  return { hash = hash, names = names, ignored = ignored, code = its_code,
    hook = hook or no_opinion }
end

--- scripts.builtin: the generation without scripts.
M.builtin = generation_of("builtin", {}, {}, code.builtin)

-- Why a key does nothing, or nil.
local function ignored_because(name, allow_code)
  if not name:find("%.lua$") then
    return "its name does not end in .lua"
  elseif code.is_code(name) and not allow_code then
    return "it is code of the controller (as all that begins with flows., policy. or "
      .. "providers.), which is taken only with --allow-code"
  end
  return nil
end

-- Which texts are what: {site, code, all: {[name] = text}; names, ignored: sorted lists}.
local function sort_out(texts, allow_code)
  local set = { site = {}, code = {}, all = {}, names = {}, ignored = {} }
  for name, text in pairs(texts) do
    local reason = ignored_because(name, allow_code)
    if reason then
      table.insert(set.ignored, { name = name, reason = reason })
    else
      set.all[name] = text
      set[code.is_code(name) and "code" or "site"][name] = text
      table.insert(set.names, name)
    end
  end
  table.sort(set.names)
  table.sort(set.ignored, function(a, b)
    return a.name < b.name
  end)
  return set
end

--- scripts.hash(texts) -> 16 hex digits, or "builtin" for none
-- The same for the same names and texts, on every replica.
function M.hash(texts)
  local names, parts = {}, {}
  for name in pairs(texts) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    parts[i] = string.pack("<s4s4", name, texts[name])
  end
  return names[1] and digest.sha256(table.concat(parts)):sub(1, 16) or M.builtin.hash
end

--- scripts.read(dir) -> texts | nil, err                                [waits]
-- The files of a folder, as a ConfigMap made from it has them: {[name] = text}.
function M.read(dir)
  local names, err = file.list(dir)
  if not names then
    return nil, err
  end
  local texts = {}
  for _, name in ipairs(names) do
    local path = dir .. "/" .. name
    local stat = file.stat(path)
    if stat and stat.kind == "file" and name:find("^[-._%w]+$") then
      texts[name], err = file.read(path)
      if not texts[name] then
        return nil, err
      end
    end
  end
  return texts
end

-- Would more than OLD_MOST older generations of code be in use with this one in force?
local function check_room(self, hash)
  local old = 0
  for _, there in pairs(self.codes) do
    if there.hash ~= hash and there.users > 0 then
      old = old + 1
    end
  end
  if old <= OLD_MOST then
    return true
  end
  return nil, errors.new("busy", ("%d older generations of replaced code are in use by "
    .. "imports under way; another one waits until one of them has ended"):format(old))
end

local function load_code(self, texts)
  local hash = M.hash(texts)
  if hash == code.builtin.hash then
    return code.builtin
  elseif self.codes[hash] then
    return self.codes[hash]
  end
  return code.load(texts, hash)
end

--- scripts:load(texts) -> generation | nil, err                         [waits]
-- Looks at a set; does not put it into force.
--
--   texts  {[name] = text}
--   err    invalid: err.problems: all that is wrong, each "script:line: ..."
--          busy: too many older generations of replaced code are in use, or the machine
--          did not let the scripts run
function methods:load(texts)
  local given = sort_out(texts, self.allow_code)
  local ok, err = check_room(self, M.hash(given.code))
  local its_code = ok
  if ok then
    its_code, err = load_code(self, given.code)
  end
  if not its_code then
    return nil, err
  end
  for _, name in ipairs(its_code.unused) do
    table.insert(given.ignored, { name = name, reason = "this version has no module of "
      .. "that name, and no other module has required it" })
  end
  if not next(given.site) then
    return generation_of(M.hash(given.all), given.names, given.ignored, its_code)
  end
  local set
  set, err = self.sandbox:load(given.site, its_code:require("policy.plan"))
  if not set then
    return nil, err
  end
  return generation_of(M.hash(given.all), given.names, given.ignored, its_code,
    function(...)
      return set:hook(...)
    end)
end

-- Forgets code that is not in force and that nobody uses.
local function forget_unused(self)
  local count = 0
  for hash, there in pairs(self.codes) do
    if not there.current and there.users == 0 then
      self.codes[hash] = nil
    else
      count = count + 1
    end
  end
  ALIVE:set(count)
end

-- Puts a generation into force. Does not wait: it is one step.
local function swap(self, generation)
  local before, now = self.current.code, generation.code
  self.current = generation
  if before == now then
    return
  end
  before.current, now.current = false, true
  kinds.use(now.sources)
  if now ~= code.builtin then
    self.codes[now.hash] = now
    now.released = function()
      forget_unused(self)
      if self.on_room then
        self.on_room()
      end
    end
  end
  forget_unused(self)
  env.trim_memory() -- the code of a generation is large, as scripts go
end

--- scripts:use(texts) -> generation | nil, err                          [waits]
-- Looks at a set and puts it into force; on err the one before stays. Of two that are
-- looked at at the same time, the one that came last wins.
--
--   err  as load's; conflict: a newer set has come meanwhile
function methods:use(texts)
  self.asked = self.asked + 1
  local turn = self.asked
  local generation, err = self:load(texts)
  if not generation then
    return nil, err
  elseif turn ~= self.asked then
    return nil, errors.new("conflict", "a newer set of scripts has come meanwhile")
  end
  local ok
  ok, err = check_room(self, generation.code.hash) -- more may have begun while it waited
  if not ok then
    return nil, err
  end
  swap(self, generation)
  return generation
end

--- scripts:take() -> generation, held
-- The one in force, to be worked with until `held` is closed.
function methods:take()
  return self.current, self.current.code:hold()
end

--- scripts:close(), and __close: processes end.
function methods:close()
  self.sandbox:close()
end

mt.__close = methods.close

--- scripts.new(opts) -> scripts, to be closed
--
--   opts             as sandbox.new, and
--   opts.allow_code  boolean      take code of the controller (default false)
--   opts.on_room     function (), optional: an older generation of code has ended; must
--                    not wait
--   scripts.current  the generation in force; at first the one without scripts
function M.new(opts)
  return setmetatable({
    sandbox = sandbox.new(opts),
    allow_code = opts and opts.allow_code or false,
    on_room = opts and opts.on_room,
    current = M.builtin,
    codes = {}, -- hash -> replaced code that is in force or in use
    asked = 0,
  }, mt)
end

return M
