local errors = require "host.error"
local informer = require "kube.informer"
local json = require "host.json"
local task = require "host.task"
local web = require "support.web"

-- A client whose lists and watches are a script: each list or watch takes the next entry
-- of its own, and waits for ever after the last one.
--
--   lists    {version = "1", a = 1, b = 2 ...} or err
--   watches  list of events, the last one may be "<end>" or an err; or an err: refused
local function scripted(lists, watches)
  local asked = {}
  local client = { asked = asked }

  local function object(name, value, version)
    return { metadata = { namespace = "n", name = name, uid = "u-" .. name,
      resourceVersion = version }, value = value }
  end

  function client.list(_, _, _, opts)
    local entry = table.remove(lists, 1)
    asked[#asked + 1] = "list"
    if not entry then
      task.sleep(60)
    elseif entry.kind then
      return nil, entry
    end
    for name, value in pairs(entry) do
      if name ~= "version" then
        local made = object(name, value, entry.version)
        if type(value) == "table" then
          made.value, made.metadata.uid = value[1], value.uid
        end
        opts.each(made)
      end
    end
    return {}, entry.version
  end

  local function line_of(event)
    if type(event) == "string" then
      return event
    end
    local kind, name, value, version = table.unpack(event)
    return json.encode({ type = kind, object = object(name, value, version) })
  end

  function client.get(_, _, _, name)
    local entry = table.remove(lists, 1)
    asked[#asked + 1] = "get " .. name
    if entry.kind then
      return nil, entry
    end
    return object(name, entry[name], entry.version)
  end

  function client.watch(_, _, opts)
    local entry = table.remove(watches, 1)
    asked[#asked + 1] = "watch " .. (opts.version or "")
    if entry and entry.kind then
      return nil, entry
    end
    local stream = setmetatable({}, { __close = function() end })
    function stream.next()
      local event = entry and table.remove(entry, 1)
      if not event then
        task.sleep(60)
      elseif event == "<end>" then
        return nil
      elseif event.kind then
        return nil, event
      end
      return line_of(event)
    end
    return stream
  end
  return client
end

local function err(kind, fields)
  return errors.new(kind, kind, fields)
end

describe("kube.informer", function()
  local seen, running, client

  local function start(lists, watches, opts)
    seen = {}
    client = scripted(lists, watches)
    local all = {
      client = client, kind = "K", pace = 0.01,
      project = function(object)
        return { value = object.value }
      end,
      changed = function(key, value, before)
        seen[#seen + 1] = ("%s/%s %s %s"):format(key.namespace, key.name,
          before and before.value or "-", value and value.value or "-")
      end,
    }
    for name, value in pairs(opts or {}) do
      all[name] = value
    end
    local i = informer.new(all)
    running = task.spawn(i.run, i)
    return i
  end

  local function see(...)
    local wanted = { ... }
    local there = web.eventually(function()
      return #seen >= #wanted
    end)
    if not there or #seen > #wanted then
      assert.same(wanted, seen)
    end
    table.sort(seen)
    table.sort(wanted)
    assert.same(wanted, seen)
    seen = {}
  end

  local function asks(...)
    local wanted = { ... }
    web.eventually(function()
      return #client.asked >= #wanted
    end)
    assert.same(wanted, client.asked)
  end

  after_each(function()
    running:cancel()
  end)

  it("says what is there, then what changes", function()
    local i = start({ { version = "1", a = 1, b = 2 } }, { {
      { "MODIFIED", "a", 3, "2" }, { "ADDED", "c", 4, "3" }, { "DELETED", "b", 2, "4" },
    } })
    assert.is_true(i:wait_synced(1))
    assert.is_true(i:wait_synced(1))
    see("n/a - 1", "n/b - 2", "n/a 1 3", "n/c - 4", "n/b 2 -")
    assert.equal(3, i:get("n", "a").value)
    assert.equal("u-a", i:get("n", "a").uid)
    assert.is_nil(i:get("n", "b"))
    asks("list", "watch 1")
  end)

  it("says nothing of changes in what is not kept", function()
    start({ { version = "1", a = 1 } }, { { { "MODIFIED", "a", 1, "2" },
      { "DELETED", "unknown", 1, "3" }, { "MODIFIED", "a", 2, "4" } } })
    see("n/a - 1", "n/a 1 2")
  end)

  it("goes on from the last version it saw when a watch ends or breaks", function()
    start({ { version = "1" } }, {
      { { "BOOKMARK", "", nil, "5" }, "<end>" },
      { { "ADDED", "a", 1, "7" }, err("connect") },
      err("connect"), err("busy", { status = 429, after = 0 }),
      { err("timeout") },
      { { "ADDED", "b", 1, "9" } },
    })
    see("n/a - 1", "n/b - 1")
    asks("list", "watch 1", "watch 5", "watch 7", "watch 7", "watch 7", "watch 7")
  end)

  it("lists again when the server has forgotten its version", function()
    start({ { version = "1", a = 1, b = 1 }, { version = "8", b = 2, c = 1 },
      { version = "9" } }, {
      { '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}' },
      err("gone", { status = 410 }),
      {},
    })
    see("n/a - 1", "n/b - 1", "n/b 1 2", "n/c - 1", "n/a 1 -", "n/b 2 -", "n/c 1 -")
    asks("list", "watch 1", "list", "watch 8", "list", "watch 9")
  end)

  it("lists again after any error event and after what is no event", function()
    local senseless = { '{"type":"ERROR","object":{"code":500}}', "{", "[]", '"x"',
      '{"type":"ADDED"}', '{"type":"ADDED","object":{}}' }
    local lists, watches, asked = { { version = "0" } }, {}, { "list" }
    for n, line in ipairs(senseless) do
      watches[n] = { line }
      lists[n + 1] = { version = tostring(n) }
      asked[2 * n] = "watch " .. n - 1
      asked[2 * n + 1] = "list"
    end
    asked[#asked + 1] = "watch 6"
    start(lists, watches)
    asks(table.unpack(asked))
  end)

  it("tells an object from a later one of its name", function()
    start({ { version = "1", a = { 1, uid = "one" } }, { version = "2",
      a = { 1, uid = "two" } } }, { { "{" } })
    see("n/a - 1", "n/a 1 -", "n/a - 1")
  end)

  it("lists again when a whole watch has said nothing at all", function()
    start({ { version = "1" }, { version = "2" } }, { { "<end>" } }, { watch_for = 0 })
    asks("list", "watch 1", "list", "watch 2")
  end)

  it("waits for the kind, or the right to it, and is not synced before", function()
    local i = start({ err("notfound", { status = 404 }), { version = "1", a = 1 } }, {},
      { pace = 0.1 })
    local ok, problem = i:wait_synced(0.02)
    assert.is_nil(ok)
    assert.equal("timeout", problem.kind)
    assert.truthy(problem.message:find("notfound", 1, true))
    assert(i:wait_synced(3))
    see("n/a - 1")
  end)

  it("outlives mistakes of who asked for it", function()
    local i = start({ { version = "1", a = 1, b = 2 } }, { { { "ADDED", "c", 3, "2" } } }, {
      project = function(object)
        return { value = object.value, x = object.metadata.name == "a" and nil + 1 }
      end,
      changed = function(key)
        seen[#seen + 1] = key.name
        error("no")
      end,
    })
    see("b", "c")
    assert.is_nil(i:get("n", "a"))
  end)

  it("can be gone through by who waits meanwhile", function()
    local i = start({ { version = "1", a = 1, b = 2, c = 3 } }, { {
      { "DELETED", "a", 1, "2" }, { "DELETED", "b", 1, "2" }, { "DELETED", "c", 1, "2" },
      { "ADDED", "d", 4, "3" } } })
    assert(i:wait_synced(1))
    local met = 0
    for id, value in i:each() do
      met = met + 1
      assert.equal(i.objects[id], value)
      task.sleep(0.01)
    end
    assert.is_true(met < 3)
  end)

  describe("of one object", function()
    local ONE = { namespace = "n", name = "a" }

    it("opens the watch, looks, and lists nothing", function()
      local i = start({ { a = 2, version = "2" } }, { { { "ADDED", "a", 1, "1" },
        { "MODIFIED", "a", 2, "2" }, { "MODIFIED", "a", 3, "3" }, "<end>" },
        { { "MODIFIED", "a", 4, "4" } } }, ONE)
      assert(i:wait_synced(1))
      see("n/a - 2", "n/a 2 1", "n/a 1 2", "n/a 2 3", "n/a 3 4")
      asks("watch ", "get a", "watch 3")
    end)

    it("knows that there is none, and sees it come and go", function()
      local i = start({ err("notfound", { status = 404 }) }, { { { "ADDED", "a", 1, "1" },
        { "DELETED", "a", 1, "2" } } }, ONE)
      assert(i:wait_synced(1))
      see("n/a - 1", "n/a 1 -")
    end)

    it("looks again when the server has forgotten its version", function()
      start({ { a = 1, version = "1" }, err("notfound", { status = 404 }) }, {
        { { "BOOKMARK", "", nil, "5" }, '{"type":"ERROR","object":{"code":410}}' }, {} }, ONE)
      see("n/a - 1", "n/a 1 -")
      asks("watch ", "get a", "watch ", "get a")
    end)

    it("is not synced while it may not look", function()
      local i = start({ err("denied", { status = 403 }), { a = 1, version = "1" } }, { {}, {} },
        { namespace = "n", name = "a", pace = 0.1 })
      assert.is_nil((i:wait_synced(0.02)))
      assert(i:wait_synced(3))
      see("n/a - 1")
    end)
  end)

  it("keeps cluster-scoped objects apart from others", function()
    client = scripted({}, {})
    local keys = {}
    local i = informer.new({
      client = {
        list = function(_, _, _, opts)
          opts.each({ metadata = { name = "node", uid = "u" } })
          return {}, "1"
        end,
        watch = client.watch,
        asked = {},
      },
      kind = "K",
      project = function()
        return {}
      end,
      changed = function(key)
        keys[#keys + 1] = key
      end,
    })
    running = task.spawn(i.run, i)
    assert(i:wait_synced(1))
    assert.same({ { kind = "K", name = "node" } }, keys)
    assert.equal("u", i:get(nil, "node").uid)
  end)
end)
