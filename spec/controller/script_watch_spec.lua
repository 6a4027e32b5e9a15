local cluster = require "support.cluster"
local errors = require "host.error"
local metrics = require "host.metrics"
local script_watch = require "controller.script_watch"
local scripts = require "site.scripts"

local GOOD = "return { name = function() return 'x' end }"

describe("script_watch:load", function()
  local client, site, said

  before_each(function()
    client, site, said = cluster.new(), scripts.new(), {}
  end)

  after_each(function()
    site:close()
  end)

  local function config_map(data, binary)
    client:create("ConfigMap", { metadata = { name = script_watch.name,
      namespace = "ours" }, data = data, binaryData = binary })
  end

  local function watch_it()
    return script_watch.new({
      client = client, namespace = "ours", scripts = site, changed = function() end,
      events = { emit = function(_, object, type, reason, note)
        said[#said + 1] = ("%s %s %s %s"):format(object.metadata.name, type, reason, note)
      end },
    })
  end

  local function load()
    return watch_it():load()
  end

  local function metric(text)
    return metrics.text():find("\n" .. text .. "\n", 1, true) ~= nil
  end

  it("puts what is there into force and says so", function()
    config_map({ ["a.lua"] = GOOD, ["policy.x.lua"] = "x" })
    load()
    assert.same({ "a.lua" }, site.current.names)
    assert.truthy(said[1]:find("Warning ScriptIgnored policy.x.lua", 1, true))
    assert.equal(("vm-import-scripts Normal ScriptsInForce generation %s: a.lua"):format(
      site.current.hash), said[2])
    assert.is_true(metric("vm_import_scripts_broken 0"))
  end)

  it("leaves the built-in policy where there is nothing, or it may not look", function()
    load()
    function client.get()
      return nil, errors.new("denied", "forbidden")
    end
    load()
    assert.equal("builtin", site.current.hash)
    assert.same({}, said)
  end)

  it("does not guess when the cluster does not answer", function()
    function client.get()
      return nil, errors.new("timeout", "no answer")
    end
    assert.has_error(load)
  end)

  for what, data in pairs({
    ["a script that is broken"] = { { ["a.lua"] = GOOD, ["b.lua"] = "return {" }, nil,
      "b.lua:1: unexpected symbol" },
    ["binary data that is not base64"] = { nil, { ["c.lua"] = "%%%" }, "c.lua: " },
  }) do
    it("plans nothing with " .. what .. " at the start", function()
      config_map(data[1], data[2])
      load()
      local value, err = site.current.hook("name", {}, "built-in")
      assert.is_nil(value)
      assert.equal(script_watch.name, err.script)
      assert.truthy(err.message:find(data[3], 1, true), err.message)
      assert.truthy(said[1]:find("Warning ScriptsRejected " .. data[3], 1, true), said[1])
      assert.is_true(metric("vm_import_scripts_broken 1"))
    end)
  end

  it("says again what is in force when a broken edit is taken back", function()
    local watch = watch_it()
    config_map({ ["a.lua"] = GOOD })
    watch:load()
    for _, text in ipairs { "return {", GOOD } do
      assert(client:patch("ConfigMap", "ours", script_watch.name,
        { data = { ["a.lua"] = text } }))
      watch:load()
    end
    assert.equal(3, #said)
    assert.truthy(said[2]:find("ScriptsRejected", 1, true), said[2])
    assert.truthy(said[2]:find(site.current.hash .. " stays in force", 1, true), said[2])
    assert.equal(said[1], said[3])
  end)

  it("puts a hook that returns what it may not into force, and doubts it aloud", function()
    config_map({ ["a.lua"] = "return { nic_network = function() return 5 end }" })
    load()
    assert.same({ "a.lua" }, site.current.names)
    assert.truthy(said[2]:find("Warning ScriptsDoubtful hook nic_network of 4000: a.lua:1",
      1, true), said[2])
  end)

  it("does not blame the scripts, nor plan without them, when they cannot be run", function()
    local tries = 0
    local use = site.use
    function site.use(...)
      tries = tries + 1
      if tries == 1 then
        return nil, errors.new("busy", "too busy")
      end
      return use(...)
    end
    config_map({ ["a.lua"] = GOOD })
    local watch = watch_it()
    watch:load()
    assert.is_nil((site.current.hook("name", {}, "built-in")))
    assert.truthy(said[1]:find("Warning ScriptsWaiting too busy", 1, true), said[1])
    watch:load()
    assert.same({ "a.lua" }, site.current.names)
  end)

  it("keeps the generation of the term before when the next begins with a broken one", function()
    local before = assert(site:use({ ["a.lua"] = GOOD }))
    config_map({ ["a.lua"] = "return {" })
    load()
    assert.equal(before, site.current)
  end)
end)
