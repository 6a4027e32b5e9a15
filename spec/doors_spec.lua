-- Text of others reaches people through few doors; none of them lets through what moves a
-- terminal, forges a line, or deceives who reads it. What is shown stands in
-- spec/host/text_spec.lua.

local conditions = require "kube.conditions"
local errors = require "host.error"
local events = require "kube.events"
local file = require "host.file"
local findings = require "flows.import.findings"
local host_text = require "host.text"
local in_cluster = require "support.in_cluster"
local json = require "host.json"
local lab = require "support.lab"
local metrics = require "host.metrics"
local progress = require "cli.progress"
local terminal = require "cli.terminal"

local NASTY = "\27[2J\u{9b}1m\u{202e}x\r\nlevel=error\u{2028}\xff\0\127\u{e0041}"
local SHOWN = host_text.visible(NASTY)

local function is_clean(text)
  return host_text.visible(text) == text
end

-- Each line of a text.
local function are_clean(text)
  for line in text:gmatch("[^\n\t]*") do
    assert(is_clean(line), ("%q"):format(line))
  end
end

-- What a script, whose first argument is NASTY, writes to stdout and stderr.
local function wrote(script, ...)
  local folder <close> = lab.folder()
  assert(file.write(folder.path .. "/x.lua", "local nasty = "
    .. ("%q"):format(NASTY) .. "\n" .. script))
  local result = lab.run({ "script", folder.path .. "/x.lua" }, ...)
  return result.stdout, result.stderr
end

describe("text of others is seen as it is", function()
  it("in the log, as a message, a field's name and a field's value", function()
    local _, log = wrote([[
      require("host.log").warn(nasty, { vm = nasty, list = { nasty }, [nasty] = 1 })
      require("host.log").error("x", { error = require("host.error").new("io", nasty) })]])
    are_clean(log)
    assert.equal(2, select(2, log:gsub("\n", "\n")), log)
    for line in log:gmatch("[^\n]+") do
      assert(json.decode(line), line)
    end
  end)

  it("in what a command writes, errors and all", function()
    local out, err = wrote([[
      local env = require "host.env"
      env.stdout("vm " .. nasty .. "\n")
      env.stderr(nasty)
      require("cli.command").fail("import", 1, nasty)
      require("cli.command").run({ name = "x", options = {}, work = function()
        error(require("host.error").new("io", nasty, { problems = { nasty, nasty } }))
      end }, {})]])
    are_clean(out)
    are_clean(err)
    assert.truthy(out:find("vm \\x1b[2J", 1, true), out)
  end)

  it("in what the program says of an argument and of a script's error", function()
    local result = lab.run({ "disk", "/no" .. NASTY:gsub("%z", ""), "--output", "/nowhere/x" })
    assert.equal(1, result.status)
    are_clean(result.stderr)
    local _, err = wrote("error(nasty)")
    are_clean(err)
  end)

  it("in a condition", function()
    local list = conditions.set({}, { type = "Ready", status = "False", reason = "Failed",
      message = NASTY }, "2026-01-01T00:00:00Z")
    assert.equal(SHOWN, list[1].message)
  end)

  it("in an Event", function()
    local sent
    local reporter = events.new({ controller = "x/y", instance = "z", client = {
      create = function(_, _, event)
        sent = event
        return event
      end } })
    reporter:emit({ apiVersion = "v1", kind = "Thing", metadata = { name = "a" } }, "Warning",
      "Bad", NASTY)
    lab.wait_for("the Event is sent", function() return sent end)
    assert.equal(SHOWN, sent.note)
  end)

  it("in a finding, as it is recorded and as a terminal shows it", function()
    local one = { code = "X", severity = "Warns", subject = NASTY, message = NASTY,
      action = NASTY, detail = NASTY }
    local recorded = findings.arrange({ one }, {})[1]
    for _, key in ipairs { "subject", "message", "action" } do
      assert.is_true(is_clean(recorded[key]), recorded[key])
    end
    assert.is_true(is_clean(terminal.finding(one, { colour = false })))
    are_clean((terminal.finding(one, { colour = true, columns = 40 })
      :gsub("\27%[33m(Warns)\27%[0m", "%1")))
  end)

  it("in the bars of a transfer, and the lines above them", function()
    local written = {}
    local bars <close> = progress.new({ terminal = false, columns = function() return 80 end,
      write = function(lines) written[#written + 1] = lines end, style = {} })
    bars:say(NASTY)
    bars:finding({ code = "X", severity = "Warns", message = NASTY, subject = NASTY })
    are_clean(table.concat(written))
    bars:add(NASTY, {})
    assert.equal(SHOWN, bars.entries[1].label)
    bars.entries = {}
  end)

  it("in a metric's label", function()
    metrics.gauge("spec_nasty", "Nasty.", { "name" }):set(1, { name = NASTY })
    local line = metrics.text():match("spec_nasty{[^\n]*")
    are_clean(line)
    metrics.gauge("spec_nasty", "Nasty.", { "name" }):remove()
  end)

  it("in all that an import says of its machine and of what the source answers", function()
    local w = in_cluster.world()
    local said = {}
    w.env.event = function(_, _, reason, note)
      said[#said + 1] = reason .. " " .. note
    end
    w.env.open_source = function()
      return nil, errors.new("denied", "vCenter says: " .. NASTY, { code = "LoginRefused" })
    end
    pcall(in_cluster.run, w)
    local status = json.encode(in_cluster.import(w).status or {})
    assert.truthy(status:find("vCenter says", 1, true), status)
    for _, condition in ipairs(in_cluster.import(w).status.conditions) do
      assert.is_true(is_clean(condition.message or ""), condition.message)
    end
  end)
end)
