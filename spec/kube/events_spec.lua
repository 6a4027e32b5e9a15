local errors = require "host.error"
local events = require "kube.events"
local web = require "support.web"
local time = require "host.time"

local OBJECT = {
  apiVersion = "g/v1", kind = "Thing",
  metadata = { namespace = "n", name = "a", uid = "u", resourceVersion = "7" },
}

describe("kube.events", function()
  local sent, answer, reporter

  before_each(function()
    sent, answer = {}, nil
    reporter = events.new({
      controller = "example.com/things",
      instance = "replica-1",
      client = { create = function(_, kind, object)
        assert.equal("Event", kind)
        sent[#sent + 1] = object
        return not answer and object or nil, answer
      end },
    })
  end)

  local function until_sent(n)
    assert.is_true(web.eventually(function()
      return #sent >= n and reporter.sender:done()
    end))
    assert.equal(n, #sent)
  end

  it("says what happened to what", function()
    reporter:emit(OBJECT, "Warning", "TooBad", "it broke")
    until_sent(1)
    local event = sent[1]
    assert.matches("^a%.%x+$", event.metadata.name)
    assert.equal("n", event.metadata.namespace)
    assert.matches("%.%d%d%d%d%d%dZ$", event.eventTime)
    assert.same({ apiVersion = "g/v1", kind = "Thing", namespace = "n", name = "a", uid = "u",
      resourceVersion = "7" }, event.regarding)
    assert.equal("it broke", event.note)
    assert.equal("TooBad", event.reason)
    assert.equal("Warning", event.type)
  end)

  it("says the same thing again when it has another cause", function()
    for _, cause in ipairs { "1", "1", "2" } do
      reporter:emit(OBJECT, "Normal", "One", "x", cause)
    end
    until_sent(2)
  end)

  it("says the same thing once, and in order", function()
    for _ = 1, 3 do
      reporter:emit(OBJECT, "Normal", "One", "x")
      reporter:emit(OBJECT, "Normal", "Two", "x")
      reporter:emit(OBJECT, "Normal", "Two", "y")
    end
    until_sent(3)
    assert.equal("One", sent[1].reason)
    assert.equal("x", sent[2].note)
    assert.equal("y", sent[3].note)
    reporter:emit({ apiVersion = "g/v1", kind = "Thing", metadata = { name = "a" } },
      "Normal", "One", "x")
    until_sent(4)
    assert.equal("default", sent[4].metadata.namespace)
  end)

  it("cuts a note at 1024 bytes, between characters", function()
    reporter:emit(OBJECT, "Normal", "Long", ("x"):rep(1024))
    reporter:emit(OBJECT, "Normal", "Long", ("x"):rep(1020) .. "äöü")
    until_sent(2)
    assert.equal(1024, #sent[1].note)
    assert.equal(("x"):rep(1020) .. "...", sent[2].note)
  end)

  it("takes a note that is no text", function()
    reporter:emit(OBJECT, "Normal", "Odd", "a\xffb")
    until_sent(1)
    assert.equal("a\u{FFFD}b", sent[1].note)
  end)

  it("makes a name of any object's", function()
    reporter:emit({ kind = "Thing", metadata = { name = ("a"):rep(199) .. "-b" } }, "Normal",
      "Long", "x")
    until_sent(1)
    assert.matches("^a+%.%x+$", sent[1].metadata.name)
    assert.is_true(#sent[1].metadata.name <= 253)
  end)

  it("says nothing any more once it is forbidden", function()
    answer = errors.new("denied", "events is forbidden", { status = 403 })
    reporter:emit(OBJECT, "Normal", "One", "x")
    until_sent(1)
    reporter:emit(OBJECT, "Normal", "Two", "x")
    until_sent(1)
    answer = nil
    reporter.silent_until = 0
    reporter:emit(OBJECT, "Normal", "Three", "x")
    until_sent(2)
  end)

  it("leaves one out that cannot be written, and goes on", function()
    for i, err in ipairs({
      errors.new("timeout", "no answer"),
      errors.new("denied", "namespace n is being terminated", { status = 403 }),
      errors.new("conflict", "not leading", { reason = "NotLeader" }),
    }) do
      answer = err
      reporter:emit(OBJECT, "Normal", "One", "x" .. i)
    end
    until_sent(3)
    answer = nil
    reporter:emit(OBJECT, "Normal", "Two", "x")
    until_sent(4)
  end)

  it("remembers so much and no more", function()
    for i = 1, 5000 do
      reporter:emit(OBJECT, "Normal", "One", "x" .. i)
    end
    assert.is_true(#reporter.waiting <= 200)
    assert.is_true(reporter.count <= 1000)
  end)
end)

describe("kube.events, by a clock of the spec's own,", function()
  local monotonic, now, sent, answer, reporter = time.monotonic, nil, nil, nil, nil

  before_each(function()
    now, sent, answer = 1000, {}, nil
    time.monotonic = function() return now end
    reporter = events.new({ controller = "c", instance = ("r"):rep(200), client = {
      create = function(_, _, object)
        sent[#sent + 1] = object
        return not answer and object or nil, answer
      end } })
  end)

  after_each(function()
    time.monotonic = monotonic
  end)

  local function emit(note)
    reporter:emit(OBJECT, "Normal", "One", note or "x")
    if reporter.sender then
      reporter.sender:join()
    end
  end

  it("says the same again after ten minutes, and no sooner", function()
    emit()
    now = 1599.9
    emit()
    assert.equal(1, #sent)
    now = 1600
    emit()
    assert.equal(2, #sent)
    now = 2199.9
    emit()
    assert.equal(2, #sent)
  end)

  it("tries again after ten minutes what was forbidden", function()
    answer = errors.new("denied", "forbidden", { status = 403 })
    emit("a")
    now = 1599.9
    emit("b")
    assert.equal(1, #sent)
    answer, now = nil, 1600
    emit("c")
    assert.equal(2, #sent)
    assert.is_false(reporter.degraded)
  end)

  it("remembers a thousand, then forgets all", function()
    for i = 1, 1000 do
      emit(i .. "")
    end
    emit("1")
    assert.equal(1000, #sent)
    emit("one more")
    emit("1")
    assert.equal(1002, #sent)
    assert.equal(2, reporter.count)
  end)

  it("leaves out what comes while two hundred wait", function()
    for i = 1, 202 do
      reporter:emit(OBJECT, "Normal", "One", i .. "")
    end
    assert.equal(200, #reporter.waiting)
    reporter.sender:join()
    assert.equal(200, #sent)
  end)

  it("names who reports, within 128 bytes", function()
    emit()
    assert.equal(("r"):rep(128), sent[1].reportingInstance)
    assert.equal("c", sent[1].reportingController)
    assert.equal("One", sent[1].action)
    assert.equal(16, #sent[1].metadata.name:match("%x+$"))
    assert.equal("events.k8s.io/v1", sent[1].apiVersion)
  end)
end)
