--- support.answers: a session of providers.openstack that knows its answers.
--
-- session.answers["GET volume /volumes/v-1"] is a document, an err, or a function (opts) ->
-- document, response | nil, err. What is not there has not been found. session.asked is
-- what was asked for, in order, and session.bodies what was sent with it.

local errors = require "host.error"

local M = {}

local function of(answer, opts)
  if type(answer) == "function" then
    return answer(opts or {})
  elseif answer and answer.kind and answer.message then
    return nil, answer
  elseif answer then
    return answer, { headers = {}, body = "the body" }
  end
  return nil, errors.new("notfound", "no such thing")
end

--- answers.in_turn(...) -> function: each of these once, the last one again and again
function M.in_turn(...)
  local list, at = table.pack(...), 0
  return function(opts)
    at = math.min(at + 1, list.n)
    return of(list[at] or nil, opts)
  end
end

--- answers.session(answers) -> session
function M.session(answers)
  local session = { answers = answers or {}, asked = {}, bodies = {}, opts = {} }
  function session:call(service, method, path, opts)
    local what = ("%s %s %s"):format(method, service, path)
    self.asked[#self.asked + 1] = what
    self.bodies[what], self.opts[what] = opts and opts.body, opts
    return of(self.answers[what], opts)
  end
  function session:list(service, path, key)
    local document, err = self:call(service, "GET", path)
    return document and document[key] or nil, err
  end
  return session
end

return M
