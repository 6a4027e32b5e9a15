-- What operators watch, held against Prometheus' own checker: /metrics, the alert rules,
-- the dashboard.

local file = require "host.file"
local images = require "host.images"
local json = require "host.json"
local kinds = require "base.kinds"
local lab = require "support.lab"
local metrics = require "host.metrics"
local monitor = require "controller.monitor"
local prometheus = require "support.prometheus"
local process = require "host.process"
local time = require "host.time"
local yaml = require "host.yaml"

require "controller.script_watch" -- has metrics of its own

local FILES = "deploy/chart/harvester-vm-import-controller/files/"

describe("what operators watch:", function()
  local promtool, seen, server

  setup(function()
    local made = assert(process.run({ argv = { "spec/labs/promtool" }, inherit = true,
      timeout = 300 }))
    assert(made.status == 0, made.stderr)
    promtool = made.stdout:gsub("%s+$", "")
    server = assert(images.serve({ host = "127.0.0.1", port = 0 }))
    seen = monitor.serve({ host = "127.0.0.1", port = 0, scratch = "/tmp",
      clock = time.monotonic })
    local transfer = { progress = function() return { received = 1, position = 2 } end }
    seen:import({ state = "" })
    seen:source(kinds.VmwareSource.kind, {})
    seen:started(0.1, 1, 1)
    seen:ended({ kind = kinds.VmwareSource.kind }, true)
    seen:request("GET", 200)
    seen:disk_started(nil, nil, transfer)
    seen:disk_ended(nil, nil, transfer, {})
  end)

  teardown(function()
    seen.server:close()
    server:close()
  end)

  local function run(stdin, ...)
    local result = assert(process.run({ argv = { promtool, ... }, stdin = stdin }))
    return result.status == 0 and result.stdout .. result.stderr
      or error(result.stdout .. result.stderr)
  end

  it("promtool has nothing to say about /metrics", function()
    assert.equal("", run(metrics.text(), "check", "metrics"))
    assert.has_error(function()
      run("# HELP x X.\n# TYPE x counter\nx 1\n", "check", "metrics")
    end)
  end)

  it("every alert comes when it should, and not before", function()
    run(nil, "check", "rules", FILES .. "alerts.yaml")
    run(nil, "test", "rules", "spec/deploy/alerts_test.yaml")
  end)

  -- Where an expression stands: {text = expression}.
  local function expressions()
    local found = {}
    local rules = assert(yaml.parse(assert(file.read(FILES .. "alerts.yaml"))))[1]
    for _, rule in ipairs(rules.groups[1].rules) do
      found["alert " .. rule.alert] = rule.expr
    end
    for _, panel in ipairs(assert(json.decode(assert(file.read(
      FILES .. "dashboard.json")))).panels) do
      for _, target in ipairs(panel.targets) do
        found[("panel %s, %s"):format(panel.title, target.refId)] = target.expr
      end
    end
    return found
  end

  it("alerts and dashboard ask for nothing that is not there", function()
    local families = prometheus.read(metrics.text())
    local later = { vm_import_image_requests_total = true, -- with the first request
      vm_import_script_generation_info = true, vm_import_script_loaded_timestamp_seconds = true }
    local asked = 0
    for where, text in pairs(expressions()) do
      for name in text:gmatch("[%l_]*_import_[%l_]+") do
        local family = name:gsub("_bucket$", "")
        assert(families[family] or later[family], where .. ": " .. name)
        asked = asked + 1
      end
    end
    assert.is_true(asked > 20)
  end)

  it("every expression of the dashboard is one", function()
    local folder <close> = lab.folder()
    local rules = json.array({})
    for where, text in pairs(expressions()) do
      rules[#rules + 1] = { record = "spec:expr", expr = text, labels = { where = where } }
    end
    local path = folder.path .. "/rules.json"
    assert(file.write(path, json.encode({ groups = json.array({
      { name = "dashboard", rules = rules } }) })))
    run(nil, "check", "rules", path)
  end)
end)
