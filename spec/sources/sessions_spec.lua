local errors = require "host.error"
local sessions = require "sources.sessions"
local task = require "host.task"
local time = require "host.time"

-- Waits until check() is true; throws when it does not happen.
local function eventually(check)
  local deadline = time.monotonic() + 5
  while not check() do
    assert(time.monotonic() < deadline, "has not happened")
    task.sleep(0.005)
  end
end

-- Sources a, b and c, a provider that says what was opened and closed, and whose
-- open waits while provider.held[name] is a signal.
local function lab(opts)
  local objects = {}
  for _, name in ipairs { "a", "b", "c" } do
    objects[name] = {
      kind = "VmwareSource",
      metadata = { namespace = "default", name = name, uid = "uid-" .. name, generation = 1 },
      spec = { endpoint = name, credentials = { name = "secret" } },
    }
  end
  local seen = { opened = {}, closed = {}, held = {}, fails = {}, objects = objects, asked = 0,
    secret = { data = { password = "p" }, version = "1" } }
  local provider = {}
  function provider.open(_, spec)
    local name = spec.endpoint
    seen.opened[#seen.opened + 1] = name
    if seen.held[name] then
      seen.held[name]:wait()
    end
    if seen.fails[name] then
      return nil, errors.new("denied", "not for you")
    end
    return {
      name = name,
      greet = function(self, whom)
        return self.name .. " greets " .. whom
      end,
      close = function(self)
        self.closed = true
        seen.closed[#seen.closed + 1] = name
      end,
    }
  end
  seen.sessions = sessions.new({
    store = {
      get = function(_, _, _, name)
        seen.asked = seen.asked + 1
        if not objects[name] then
          return nil, errors.new("notfound", "VmwareSource default/" .. name
            .. " does not exist")
        end
        return objects[name]
      end,
    },
    secret = function()
      if not seen.secret then
        return nil, errors.new("notfound", "Secret default/secret is not there")
      end
      return seen.secret
    end,
    follow = opts and opts.follow,
    providers = provider,
    idle = opts and opts.idle or 60,
    remembered = opts and opts.remembered or 0,
  })
  function seen.open(name, how)
    return seen.sessions:open({ kind = "VmwareSource", namespace = "default", name = name },
      how)
  end
  return seen
end

describe("sessions", function()
  it("shares one open source among all who borrow it", function()
    local at = lab()
    local one <close> = assert(at.open("a"))
    local two <close> = assert(at.open("a"))
    assert.equal("a greets you", one:greet("you"))
    assert.equal("a", two.name)
    assert.same({ "a" }, at.opened)
    at.sessions:close()
  end)

  it("opens a source once for those who ask while it is being opened", function()
    local at = lab()
    at.held.a = task.signal()
    local first = task.spawn(at.open, "a")
    local second = task.spawn(at.open, "a")
    eventually(function()
      return #at.opened == 1
    end)
    at.held.a:notify()
    assert.truthy(select(2, first:join()))
    assert.truthy(select(2, second:join()))
    assert.same({ "a" }, at.opened)
    at.sessions:close()
  end)

  it("asks once for a source and its Secret in the same breath, and for each again", function()
    local at = lab({ remembered = 60 })
    assert(at.open("a")):close()
    assert(at.open("a")):close()
    assert.equal(1, at.asked)
    assert(at.open("b")):close()
    assert(at.open("a", { fresh = true })):close()
    assert.equal(3, at.asked)
    at.sessions:close()
  end)

  it("looks again once what it remembers is old, or did not work", function()
    local at = lab({ remembered = 0.02 })
    assert(at.open("a")):close()
    task.sleep(0.03)
    assert(at.open("a")):close()
    assert.equal(2, at.asked)
    at.sessions:close()
    at = lab({ remembered = 60 })
    at.fails.a = true
    assert.is_nil((at.open("a")))
    at.fails.a = nil
    assert(at.open("a")):close()
    assert.equal(2, at.asked)
    at.sessions:close()
  end)

  it("opens one source while another is slow", function()
    local at = lab()
    at.held.a = task.signal()
    local slow <close> = task.spawn(at.open, "a")
    local fast = task.spawn(at.open, "b")
    assert.truthy(select(2, assert(fast:join(2))))
    assert.falsy(slow:done())
    at.sessions:close()
  end)

  it("keeps a source for a while after the last borrower, then logs out", function()
    local at = lab({ idle = 0.03 })
    local one = assert(at.open("a"))
    local two = assert(at.open("a"))
    one:close()
    task.sleep(0.05)
    assert.same({}, at.closed)
    two:close()
    assert.same({}, at.closed)
    eventually(function()
      return #at.closed == 1
    end)
    local again <close> = assert(at.open("a"))
    assert(again)
    assert.same({ "a", "a" }, at.opened)
    at.sessions:close()
  end)

  it("does not log out of a source that was borrowed again in time", function()
    local at = lab({ idle = 0.04 })
    assert(at.open("a")):close()
    assert(at.open("b")):close()
    local again <close> = assert(at.open("a"))
    eventually(function()
      return at.closed[1] == "b"
    end)
    task.sleep(0.05)
    assert.same({ "b" }, at.closed)
    assert.equal("a greets you", again:greet("you"))
    at.sessions:close()
  end)

  it("gives back once, however often it is closed", function()
    local at = lab({ idle = 0.01 })
    local one = assert(at.open("a"))
    local two <close> = assert(at.open("a"))
    one:close()
    one:close()
    task.sleep(0.03)
    assert.same({}, at.closed)
    assert(two)
    at.sessions:close()
  end)

  it("opens another one for another generation of the object or version of the Secret",
    function()
      local at = lab()
      local one <close> = assert(at.open("a"))
      at.objects.a.metadata.generation = 2
      local two <close> = assert(at.open("a"))
      at.secret = { data = {}, version = "2" }
      local three <close> = assert(at.open("a"))
      assert(one and two and three)
      assert.equal(3, #at.opened)
      at.sessions:close()
      assert.equal(3, #at.closed)
    end)

  it("says whose opening failed, and tries again for the next", function()
    local at = lab()
    at.fails.a = true
    local source, err = at.open("a")
    assert.is_nil(source)
    assert.equal("denied", err.kind)
    assert.equal("VmwareSource default/a: not for you", err.message)
    at.fails.a = nil
    assert.truthy(at.open("a"))
    at.sessions:close()
  end)

  it("lets others have what one cancelled waiter asked for", function()
    local at = lab({ idle = 0.01 })
    at.held.a = task.signal()
    local first = task.spawn(at.open, "a")
    local second = task.spawn(function()
      assert(at.open("a")):close()
    end)
    eventually(function()
      return #at.opened == 1
    end)
    first:cancel()
    eventually(function()
      return #at.opened == 2
    end)
    at.held.a:notify()
    assert(second:join())
    eventually(function()
      return #at.closed == 1
    end)
    at.sessions:close()
  end)

  it("does not hold up a cancelled borrower", function()
    local at = lab({ idle = 60 })
    local has = false
    local borrower = task.spawn(function()
      local source <close> = assert(at.open("a"))
      has = source ~= nil
      task.sleep(60)
    end)
    eventually(function()
      return has
    end)
    assert(borrower:cancel(2))
    assert.same({}, at.closed)
    at.sessions:close()
  end)

  it("logs out of everything when closed, borrowed or not, and of what is opened late",
    function()
      local at = lab()
      local one = assert(at.open("a"))
      assert(at.open("b")):close()
      at.held.c = task.signal()
      local late = task.spawn(at.open, "c")
      eventually(function()
        return #at.opened == 3
      end)
      at.sessions:close()
      table.sort(at.closed)
      assert.same({ "a", "b" }, at.closed)
      at.held.c:notify()
      local _, source, err = late:join()
      assert.is_nil(source)
      assert.equal("cancelled", err.kind)
      assert.equal("c", at.closed[3])
      one:close()
    end)

  it("knows no source that is not there, and names a missing Secret", function()
    local at = lab()
    local _, err = at.open("x")
    assert.equal("notfound", err.kind)
    at.secret = nil
    _, err = at.open("a")
    assert.equal("VmwareSource default/a: Secret default/secret is not there", err.message)
  end)

  describe("of what is in another namespace", function()
    local asked, at

    local function open(namespace, from)
      return at.sessions:open({ kind = "VmwareSource", namespace = namespace, name = "a",
        from = from })
    end

    before_each(function()
      asked = {}
      at = lab({ follow = function(from, namespace, what)
        asked[#asked + 1] = ("%s -> %s"):format(from, what)
        if from ~= namespace then
          return nil, errors.new("denied", "not followed", { waits = "Refused" })
        end
        return true
      end })
    end)

    it("opens no source that an import names and must not", function()
      local source, err = open("default", "team")
      assert.is_nil(source)
      assert.equal("not followed", err.message)
      assert.same({ "team -> VmwareSource default/a" }, asked)
      assert.same({}, at.opened)
    end)

    it("reads no Secret that a source names and must not", function()
      at.objects.a.spec.credentials.namespace = "team"
      local source, err = open("default")
      assert.is_nil(source)
      assert.equal("Refused", err.waits)
      assert.equal("VmwareSource default/a: not followed", err.message)
      assert.same({ "default -> Secret team/secret" }, asked)
      assert.same({}, at.opened)
    end)

    it("asks each time, also while the source is open", function()
      local one <close> = assert(open("default", "default"))
      assert(one)
      assert.is_nil((open("default", "team")))
      assert.same({ "a" }, at.opened)
    end)

    it("takes no namespace of a Secret for the source's own", function()
      at.objects.a.spec.credentials.namespace = ""
      local one <close> = assert(open("default", "default"))
      assert(one)
      assert.same({ "default -> VmwareSource default/a", "default -> Secret default/secret" },
        asked)
    end)
  end)
end)
