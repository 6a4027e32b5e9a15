--- controller.names: which import will make which VirtualMachine. Pure.
--
-- A name is taken when an import is planned and free again when that has ended, one way
-- or the other; afterwards the machine itself stands in the way. What status says counts,
-- so that a restart finds the names taken that are taken. Who leads plans all imports: of
-- two that are planned at once the one that asks first has the name.

local methods = {}
local mt = { __name = "names", __index = methods }

local M = {}

local function release(self, uid)
  local name = self.of[uid]
  if name then
    self.of[uid], self.unseen[uid] = nil, nil
    self.holder[name] = nil
  end
end

local function hold(self, uid, id, name)
  release(self, uid)
  self.of[uid], self.holder[name] = name, { uid = uid, id = id }
end

--- names:is_free(uid, name) -> true | false, other
-- For the import of that uid.
function methods:is_free(uid, name)
  local holder = self.holder[name]
  if holder and holder.uid ~= uid then
    return false, holder.id
  end
  return true
end

--- names:take(uid, id, name) -> true | false, other
--
--   id     string  what the import is called: "namespace/name"
--   name   string  "namespace/name" of the VirtualMachine
--   other  string  the id of the import that has it
function methods:take(uid, id, name)
  local free, other = self:is_free(uid, name)
  if not free then
    return false, other
  end
  hold(self, uid, id, name)
  self.unseen[uid] = true
  return true
end

--- names:see(uid, id, name, state)
-- What status says of an import: the machine it will make, or nil; state nil: it is gone.
-- It may be late: what was taken a moment ago is not free because of what was so before.
function methods:see(uid, id, name, state)
  if name then
    if not self.holder[name] or self.holder[name].uid == uid then
      hold(self, uid, id, name)
    end
  elseif not (state == "" and self.unseen[uid]) then
    release(self, uid)
  end
end

--- names.new() -> names
function M.new()
  return setmetatable({
    of = {},     -- uid -> name
    holder = {}, -- name -> {uid, id}
    unseen = {}, -- uid -> true: taken, and status does not show it yet
  }, mt)
end

return M
