local answers = require "support.answers"
local errors = require "host.error"
local remote = require "providers.openstack.remote"

local AWAY, DENIED = errors.new("connect", "refused"), errors.new("denied", "forbidden")
local BUSY = errors.new("busy", "not now", { status = 409 })
local WAITS = { poll = 0.001, delete_timeout = 60 }
local AT_ONCE = { poll = 0.001, delete_timeout = 0 }
local LIST = "GET volume /volumes/detail?name=n"
local VOLUME, REMOVE = "GET volume /volumes/v-1", "DELETE volume /volumes/v-1"

local function volume(status, id)
  return { id = id or "v-1", name = "n", status = status }
end

describe("providers.openstack.remote.get", function()
  it("gives what a document holds, or all of it", function()
    local session = answers.session({ [VOLUME] = { volume = volume("x") },
      ["GET image /images/i"] = { id = "i" }, ["GET volume /snapshots/s"] = {
        snapshot = { id = "s" } } })
    assert.equal("x", remote.get(session, "volume", "v-1").status)
    assert.equal("i", remote.get(session, "image", "i").id)
    assert.equal("s", remote.get(session, "snapshot", "s").id)
    local none, err = remote.get(session, "volume", "other")
    assert.is_nil(none)
    assert.equal("notfound", err.kind)
  end)
end)

describe("providers.openstack.remote.find", function()
  it("finds what has exactly this name", function()
    local session = answers.session({ [LIST] = { volumes = { volume("x"), { name = "N" },
      volume("y", "v-2") } } })
    local found = remote.find(session, "volume", "n")
    assert.equal("v-1 v-2", found[1].id .. " " .. found[2].id)
    assert.is_nil(found[3])
    local none, err = remote.find(answers.session({ [LIST] = AWAY }), "volume", "n")
    assert.is_nil(none)
    assert.equal(AWAY, err)
  end)
end)

describe("providers.openstack.remote.reason", function()
  local MESSAGES = "GET volume /messages?resource_uuid=v-1"

  it("is what Cinder tells its users", function()
    local session = answers.session({ [MESSAGES] = { messages = { { user_message = "full" },
      { user_message = "old" } } } })
    assert.equal(" (full)", remote.reason(session, "volume", "v-1"))
    assert.equal("volume 3.5", session.opts[MESSAGES].version)
    assert.is_true(session.opts[MESSAGES].once)
    assert.equal("OpenStack has not made volume n: its status is error (full)",
      remote.failed(session, "volume", volume("error")).message)
    assert.equal("SourceFailed", remote.failed(session, "volume", volume("error")).code)
  end)

  it("is nothing where it does not, or nobody does", function()
    for _, answer in ipairs { {}, { messages = {} }, { messages = { {} } }, AWAY } do
      assert.equal("", remote.reason(answers.session({ [MESSAGES] = answer }), "volume", "v-1"))
    end
    local session = answers.session()
    assert.equal("", remote.reason(session, "image", "v-1"))
    assert.same({}, session.asked)
    assert.equal("OpenStack has not made volume v-1: its status is nil",
      remote.failed(session, "volume", { id = "v-1" }).message)
  end)
end)

describe("providers.openstack.remote.remove", function()
  local function remove(map, waits)
    local session = answers.session(map)
    local ok, err = remote.remove(session, "volume", "v-1", waits or WAITS)
    return ok, err, session
  end

  it("deletes it, and waits until it is gone", function()
    local ok, _, session = remove({ [REMOVE] = {}, [VOLUME] = answers.in_turn(
      { volume = volume("deleting") }, AWAY, errors.new("gone", "gone")) })
    assert.is_true(ok)
    assert.same({ REMOVE, VOLUME, VOLUME, VOLUME }, session.asked)
  end)

  it("is content when there was none", function()
    for _, kind in ipairs { "notfound", "gone" } do
      assert.is_true((remove({ [REMOVE] = errors.new(kind, "none") })))
    end
  end)

  for _, status in ipairs { "deleted", "pending_delete" } do
    it("is content with one in the trash: " .. status, function()
      assert.is_true((remove({ [REMOVE] = {}, [VOLUME] = { volume = volume(status) } })))
    end)
  end

  it("asks again while the service says not now", function()
    for _, kind in ipairs { "busy", "conflict", "invalid" } do
      local ok, _, session = remove({ [REMOVE] = answers.in_turn(errors.new(kind, "no"), {}) })
      assert.is_true(ok)
      assert.equal(2, #session.asked - 1)
    end
  end)

  it("gives up in time", function()
    local ok, err = remove({ [REMOVE] = BUSY }, AT_ONCE)
    assert.is_nil(ok)
    assert.equal("removing volume v-1: not now", err.message)
    ok, err = remove({ [REMOVE] = {}, [VOLUME] = { volume = volume("deleting") } }, AT_ONCE)
    assert.is_nil(ok)
    assert.equal("timeout", err.kind)
    assert.equal("volume v-1 is still there, deleting", err.message)
    ok, err = remove({ [REMOVE] = {}, [VOLUME] = AWAY }, AT_ONCE)
    assert.is_nil(ok)
    assert.equal("volume v-1 is still there, refused", err.message)
  end)

  it("gives up at once what does not pass", function()
    local ok, err = remove({ [REMOVE] = DENIED })
    assert.is_nil(ok)
    assert.equal("denied", err.kind)
    ok, err = remove({ [REMOVE] = {}, [VOLUME] = DENIED })
    assert.is_nil(ok)
    assert.equal(DENIED, err)
    ok, err = remove({ [REMOVE] = {}, [VOLUME] = { volume = volume("error_deleting") } })
    assert.is_nil(ok)
    assert.equal("SourceFailed", err.code)
  end)
end)

describe("providers.openstack.remote.remove_entry", function()
  local OTHER = "DELETE volume /volumes/v-2"

  it("removes its id and whatever has its name, each once", function()
    local session = answers.session({ [LIST] = { volumes = { volume("x"),
      volume("x", "v-2") } }, [REMOVE] = {}, [OTHER] = {} })
    assert.is_true(remote.remove_entry(session, { kind = "volume", name = "n", id = "v-1" },
      WAITS))
    local deleted = {}
    for _, what in ipairs(session.asked) do
      deleted[what] = (deleted[what] or 0) + 1
    end
    assert.equal(1, deleted[REMOVE])
    assert.equal(1, deleted[OTHER])
  end)

  it("says what cannot be looked for, or removed", function()
    local entry = { kind = "volume", name = "n" }
    local ok, err = remote.remove_entry(answers.session({ [LIST] = AWAY }), entry, WAITS)
    assert.is_nil(ok)
    assert.equal(AWAY, err)
    ok, err = remote.remove_entry(answers.session({ [LIST] = { volumes = { volume("x") } },
      [REMOVE] = DENIED }), entry, WAITS)
    assert.is_nil(ok)
    assert.equal("denied", err.kind)
  end)
end)

describe("providers.openstack.remote: making one", function()
  local records, made

  local function entry()
    return { kind = "volume", name = "n", diskID = "d" }
  end

  -- results: what each request for a new one gives: an id, or an err.
  local function job(map, known, results)
    records, made = {}, 0
    return {
      session = answers.session(map), waits = WAITS,
      knows = function() return known == true end,
      record = function(_, of) records[#records + 1] = of.id or "named" end,
    }, function()
      made = made + 1
      local result = results[made]
      return type(result) == "string" and result or nil, result
    end
  end

  local function ensure(map, known, results, seconds)
    local of, make = job(map, known, results or {})
    local object, err = remote.ensure(of, entry(), make, seconds or 60)
    return object, err, of.session
  end

  it("records it before and after, and waits until it is available", function()
    local object = ensure({ [VOLUME] = answers.in_turn({ volume = volume("creating") }, AWAY,
      { volume = volume("available") }) }, false, { "v-1" })
    assert.equal("available", object.status)
    assert.same({ "named", "v-1" }, records)
  end)

  for _, status in ipairs { "available", "creating" } do
    it("takes the one of an earlier run that is " .. status, function()
      local object = ensure({ [LIST] = { volumes = { volume("error", "v-0"), volume(status) } },
        [VOLUME] = { volume = volume("available") } }, true)
      assert.equal("v-1", object.id)
      assert.equal(0, made)
      assert.same({ "v-1" }, records)
    end)
  end

  it("removes one of an earlier run that has come to nothing", function()
    local object, _, session = ensure({ [LIST] = { volumes = { volume("error") } },
      [REMOVE] = {}, [VOLUME] = answers.in_turn(errors.new("notfound", "gone"),
        { volume = volume("available") }) }, true, { "v-1" })
    assert.equal("v-1", object.id)
    assert.equal(1, made)
    assert.same({ LIST, LIST, REMOVE }, { table.unpack(session.asked, 1, 3) })
  end)

  it("removes nothing where there is none of an earlier run", function()
    local object, _, session = ensure({ [LIST] = { volumes = {} },
      [VOLUME] = { volume = volume("available") } }, true, { "v-1" })
    assert.equal("v-1", object.id)
    assert.same({ LIST, VOLUME }, session.asked)
  end)

  it("does not make another while nobody can tell of an earlier one", function()
    local object, err = ensure({ [LIST] = AWAY }, true, { "v-1" })
    assert.is_nil(object)
    assert.equal(AWAY, err)
    object, err = ensure({ [LIST] = { volumes = { volume("error") } }, [REMOVE] = DENIED },
      true, { "v-1" })
    assert.is_nil(object)
    assert.equal("denied", err.kind)
    assert.equal(0, made)
  end)

  it("finds by its name what was made though no answer came", function()
    local object = ensure({ [LIST] = { volumes = { volume("creating") } },
      [VOLUME] = { volume = volume("available") } }, false, { AWAY })
    assert.equal("v-1", object.id)
    assert.equal(1, made)
  end)

  it("makes it three times at most, and removes what came to nothing", function()
    local object, err, session = ensure({ [REMOVE] = {}, [VOLUME] = answers.in_turn(
      { volume = volume("error") }, false, { volume = volume("error") }, false,
      { volume = volume("error") }, false) }, false, { "v-1", "v-1", "v-1", "v-1" })
    assert.is_nil(object)
    assert.equal("SourceFailed", err.code)
    assert.equal(3, made)
    local removed = 0
    for _, what in ipairs(session.asked) do
      removed = removed + (what == REMOVE and 1 or 0)
    end
    assert.equal(3, removed)
  end)

  it("makes it again when no answer came, and none is there", function()
    local object = ensure({ [LIST] = { volumes = {} },
      [VOLUME] = { volume = volume("available") } }, false, { AWAY, "v-1" })
    assert.equal("v-1", object.id)
    assert.equal(2, made)
  end)

  for kind, fields in pairs { nospace = {}, denied = {}, invalid = {},
    busy = { reason = "SourceChanged" } } do
    it("makes it once where that is refused for good: " .. kind, function()
      local object, err = ensure({}, false, { errors.new(kind, "no", fields), "v-1" })
      assert.is_nil(object)
      assert.equal(kind, err.kind)
      assert.equal(1, made)
    end)
  end

  it("does not wait for ever, nor for what cannot be told", function()
    local creating = { volume = volume("creating") }
    local _, err = ensure({ [VOLUME] = answers.in_turn(creating, false, creating, false,
      creating, false), [REMOVE] = {} }, false, { "v-1", "v-1", "v-1" }, 0)
    assert.equal("timeout", err.kind)
    assert.equal("volume v-1 is creating, not available, after 0 s", err.message)
    _, err = ensure({ [VOLUME] = DENIED, [REMOVE] = {} }, false, { "v-1" }, 60)
    assert.equal("denied", err.kind)
  end)

  describe("begin", function()
    local function begin(map, known, results)
      local of, make = job(map, known, results or {})
      return remote.begin(of, entry(), make)
    end

    it("asks for it once, and does not wait", function()
      assert.equal("v-1", begin({}, false, { "v-1" }))
      assert.same({ "named", "v-1" }, records)
      local id, err = begin({}, false, { DENIED, "v-1" })
      assert.is_nil(id)
      assert.equal(DENIED, err)
      assert.same({ "named" }, records)
      assert.equal(1, made)
    end)

    it("takes an earlier one", function()
      assert.equal("v-1", begin({ [LIST] = { volumes = { volume("creating") } } }, true))
      assert.same({}, records)
      local id, err = begin({ [LIST] = AWAY }, true, { "v-1" })
      assert.is_nil(id)
      assert.equal(AWAY, err)
      assert.equal(0, made)
    end)
  end)
end)
