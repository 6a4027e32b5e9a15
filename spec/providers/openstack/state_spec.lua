-- What a server's disks may hold is told by its stamp: the last start, and its volumes.

local openstack = require "providers.openstack"
local rest = require "support.rest"
local storage = require "support.storage"

local ID = rest.cloud.server
local ACTIONS = ("GET /compute/v2.1/servers/%s/os-instance-actions"):format(ID)

describe("the stamp of a server", function()
  local world, answers, actions, source

  before_each(function()
    world, actions = storage.new(), rest.data("actions")
    answers = world.answers()
    answers["GET /compute/v2.1/servers/" .. ID] = world.attach { "d1", "d2" }
    answers[ACTIONS] = function()
      return rest.answer(200, actions)
    end
    local pool = world.pool(answers)
    source = assert(openstack.open(rest.cloud.spec, rest.cloud.secret, {
      http = { pool = function() return pool end }, backoff = { 0.001 }, poll = 0.001,
    }))
  end)

  local function stamp()
    return assert(source:stamp { id = ID })
  end

  local function happens(action)
    table.insert(actions.instanceActions, 1, { action = action, request_id = "req-later",
      start_time = "2999-01-01T00:00:00.000000" })
  end

  for _, action in ipairs { "start", "reboot", "resume", "rebuild", "extend_volume",
    "live-migration" } do
    it("is another one after " .. action, function()
      local before = stamp()
      happens(action)
      assert.are_not.equal(before, stamp())
    end)
  end

  for _, action in ipairs { "stop", "createImage", "lock", "unlock", "attach_interface",
    "attach_volume", "detach_volume" } do
    it("is the same after " .. action .. " alone", function()
      local before = stamp()
      happens(action)
      assert.equal(before, stamp())
    end)
  end

  for what, change in pairs {
    ["was detached and attached again"] = function(attachment)
      attachment.attachment_id = "another"
    end,
    ["was attached at another time"] = function(attachment)
      attachment.attached_at = "2026-11-24T00:00:00.000000"
    end,
    ["is another device"] = function(attachment)
      attachment.device = "/dev/vdz"
    end,
    ["has grown"] = function(_, volume)
      volume.size = 2
    end,
  } do
    it("is another one when a volume " .. what, function()
      local before = stamp()
      change(world.attached.d2.attachments[1], world.attached.d2)
      assert.are_not.equal(before, stamp())
    end)
  end

  for what, ids in pairs { attached = { "d1", "d2", "d3" }, detached = { "d1" } } do
    it("is another one when a volume was " .. what, function()
      local before = stamp()
      answers["GET /compute/v2.1/servers/" .. ID] = world.attach(ids)
      assert.are_not.equal(before, stamp())
    end)
  end

  it("is the same when a volume is told of in another order, or gets another name",
    function()
      local before = stamp()
      local answer = world.attach { "d1", "d2" }
      answer.body = answer.body:gsub('"d1"', '"x"'):gsub('"d2"', '"d1"'):gsub('"x"', '"d2"')
      answers["GET /compute/v2.1/servers/" .. ID] = answer
      world.attached.d1.name = "other"
      assert.equal(before, stamp())
    end)

  it("is not told while a service does not answer", function()
    answers[ACTIONS] = rest.answer(503, "")
    local text, err = source:stamp { id = ID }
    assert.is_nil(text)
    assert.equal("busy", err.kind)
  end)
end)
