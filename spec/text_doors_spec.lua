-- Text of others end to end: it comes in by each door that there is, and all that an import
-- and a source say to people is looked at. How single doors show it: spec/doors_spec.lua.

local errors = require "host.error"
local events = require "kube.events"
local host_text = require "host.text"
local in_cluster = require "support.in_cluster"
local json = require "host.json"
local lab = require "support.lab"
local requests = require "kube.requests"
local source_flow = require "flows.source"

local NAME = "\27[2J\u{9b}1m\u{202e}x\r\nlevel=error\u{2028}\127\u{e0041}" -- as JSON brings it
local NASTY = NAME .. "\xff\0"                                            -- as bytes do

-- What the source calls its things: found again by that name, so it stays as it is.
local FACTS = { machine = true }

-- A description has lines.
local function is_unclean(value, path)
  if path:find("description$") then
    value = value:gsub("[\n\t]", " ")
  end
  return host_text.visible(value) ~= value
end

-- Paths of texts that are not as host.text shows them.
local function unclean(value, path, found)
  if type(value) == "string" and is_unclean(value, path) then
    found[#found + 1] = path
  end
  for key, item in pairs(type(value) == "table" and value or {}) do
    unclean(item, path .. "." .. tostring(key), found)
    unclean(type(key) == "string" and key, path .. "{}", found)
  end
  return found
end

-- All that is said of it, where it is read: status, Events, the objects it has made.
local function outlets(w, reporter)
  lab.wait_for("its Events are sent", function()
    return not reporter.sender or reporter.sender:done()
  end)
  local all = { events = reporter.sent, status = {} }
  for _, kind in ipairs { "VirtualMachine", "VirtualMachineImage", "PersistentVolumeClaim" } do
    all[kind] = w.store:list(kind)
    for _, object in ipairs(all[kind]) do
      object.status = nil -- others write that
    end
  end
  for key, value in pairs(in_cluster.import(w).status) do
    all.status[key] = not FACTS[key] and value or nil
  end
  return all
end

local function reporter_of()
  local sent = {}
  local reporter = events.new({ controller = "x/y", instance = "z", client = {
    create = function(_, _, event)
      sent[#sent + 1] = event
      return event
    end } })
  reporter.sent = sent
  return reporter
end

local function world_of(opts)
  local w, reporter = in_cluster.world(opts), reporter_of()
  w.env.event = function(object, type, reason, note)
    reporter:emit(object, type, reason, note)
  end
  return w, reporter
end

local function bad(kind, fields)
  return errors.new(kind or "http", "it said: " .. NASTY, fields)
end

-- Runs it as far as it goes; `said`: how often it has said so at least.
local function is_clean(w, reporter, least)
  pcall(in_cluster.run, w)
  local all = outlets(w, reporter)
  assert.same({}, unclean(all, "", {}))
  local _, said = json.encode(all):gsub("level=error", "")
  assert.is_true(said >= (least or 1), json.encode(all))
end

local function machine_of(changes)
  local machine = {
    name = NAME, path = NAME, description = "of\n" .. NAME,
    guest = { id = NAME, name = NAME, hostname = NAME, tools_running = true },
    disks = { { id = "d-1", name = NAME, capacity_bytes = 1 << 30, bus = "scsi",
      serial = NAME, datastore = NAME, controller = NAME } },
    nics = { { id = "n-1", name = NAME, model = NAME, addresses = { NAME },
      network = { name = "VM Network", path = NAME, switch = NAME } } },
    concerns = { { code = "Odd", severity = "Warns", subject = NAME, message = NAME,
      action = NAME, detail = NAME } },
  }
  for key, value in pairs(changes or {}) do
    machine[key] = value
  end
  return machine
end

describe("text of others, from the door that it comes in by to all that are read:", function()
  it("what a source calls a machine, its disks, networks and guest", function()
    local w, reporter = world_of({ machine = machine_of() })
    in_cluster.run(w)
    assert.equal("diskImageSubmitted", in_cluster.state(w))
    in_cluster.all_imported(w)
    is_clean(w, reporter, 4)
    assert.equal(1, #w.store:list("VirtualMachine"))
  end)

  it("names that block, and the import's own fields", function()
    local w, reporter = world_of({ machine = machine_of({ nics = { { id = "n", name = NAME,
      model = NAME, addresses = {}, network = { name = NAME, path = NAME } } } }),
      network = NAME, spec = { folder = NAME, virtualMachineName = NAME, targetName = NAME,
        storageClass = NAME, defaultDiskBusType = NAME } })
    is_clean(w, reporter, 3)
  end)

  for what, opts in pairs {
    ["looking for the machine"] = { find_error = bad("notfound") },
    ["its power state"] = { state_errors = { bad() } },
    ["shutting it down"] = { power = "on", machine = { power_state = "on" },
      shutdown_errors = { bad("denied") } },
    ["cutting its power"] = { power = "on", machine = { power_state = "on" },
      power_off_errors = { bad("denied") }, spec = { forcePowerOff = true } },
    ["an export"] = { export_error = bad("http", { code = NASTY }) },
    ["the end of an export"] = { complete_errors = { bad("gone", { code = NASTY }) } },
    ["a final no"] = { find_error = errors.final(bad("denied", { code = NASTY })) },
  } do
    it("a source's answer to " .. what, function()
      local w, reporter = world_of(opts)
      is_clean(w, reporter)
    end)
  end

  it("what is wrong with a disk's bytes, twice", function()
    local w, reporter = world_of()
    w.disks.problem = bad("format")
    pcall(in_cluster.run, w)
    w.clock = w.clock + 3600
    is_clean(w, reporter)
  end)

  it("a webhook's denial, its reason, and an answer that is none", function()
    for _, body in ipairs {
      json.encode({ kind = "Status", code = 422, reason = NAME,
        message = 'admission webhook "' .. NAME .. '" denied the request: ' .. NAME }),
      json.encode({ kind = "Status", message = { 1 }, reason = 7, details = "x" }) .. NAME,
      NASTY,
    } do
      local w, reporter = world_of()
      local create = w.store.create
      w.store.create = function(self, kind, ...)
        if kind == "VirtualMachineImage" then
          return nil, requests.failure("POST /x", { status = 422, headers = {}, body = body })
        end
        return create(self, kind, ...)
      end
      is_clean(w, reporter)
    end
  end)

  it("what Harvester says of an image, and KubeVirt of a machine", function()
    local w, reporter = world_of()
    in_cluster.run(w)
    for _, image in ipairs(in_cluster.images(w)) do
      in_cluster.set_image(w, image.metadata.name, { progress = 3, conditions = json.array({
        { type = "Imported", status = "False", message = NAME } }) })
    end
    is_clean(w, reporter)
    in_cluster.all_imported(w)
    in_cluster.run(w)
    local machine = w.store:list("VirtualMachine")[1]
    w.store:patch("VirtualMachine", machine.metadata.namespace, machine.metadata.name,
      { status = { printableStatus = "its " .. NAME, conditions = json.array({
        { type = "Failure", status = "True", message = NAME } }) } }, { status = true })
    pcall(in_cluster.run, w)
    is_clean(w, reporter, 2)
  end)

  it("what a source says when one logs in, its certificate's issuer and its URLs", function()
    for _, err in ipairs { bad("denied", { code = NASTY }), bad("tls", { reason = NASTY }),
      bad("connect", { certificate = { fingerprint = "AA", issuer = NAME } }) } do
      local w, reporter = world_of()
      w.env.open_source = function()
        return nil, err
      end
      source_flow.reconcile({ kind = "VmwareSource", namespace = "default", name = "vc" }, w.env)
      local source = w.store:get("VmwareSource", "default", "vc")
      lab.wait_for("its Events are sent", function() return reporter.sender:done() end)
      assert.same({}, unclean({ source, reporter.sent }, "", {}))
      assert.matches("level=error", json.encode(source.status), 1, true)
    end
  end)
end)
