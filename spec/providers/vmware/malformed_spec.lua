-- Servers whose answers lack an element, have it twice, or empty: every call of an import,
-- every element. Nothing throws, and what is wrong is said.

local program = require "support.program"
local task = require "host.task"
local vmware = require "providers.vmware"
local vsphere = require "support.vsphere"

local SPEC = { endpoint = "vc.example.com", dc = "" }
local SECRET = { username = "administrator", password = "s3cret" }
local EACH = program.full and 1 or 12 -- one element of so many

local DC = { type = "Datacenter", value = "datacenter-2" }
local FOLDERS = {
  { type = "Folder", value = "group-d1", props = { name = "Datacenters" } },
  { type = "Datacenter", value = "datacenter-2", props = { name = "DC0",
    parent = { type = "Folder", value = "group-d1" } } },
  { type = "Folder", value = "group-v1", props = { name = "vm", parent = DC } },
  { type = "Folder", value = "group-n1", props = { name = "network", parent = DC } },
}
local PORT_GROUP = { type = "DistributedVirtualPortgroup", value = "dvportgroup-13", props = {
  name = "web", parent = { type = "Folder", value = "group-n1" }, key = "dvportgroup-13",
  ["config.distributedVirtualSwitch"] = { type = "VmwareDistributedVirtualSwitch",
    value = "dvs-1" } } }
local SWITCH = { type = "VmwareDistributedVirtualSwitch", value = "dvs-1",
  props = { name = "DVS0" } }

-- The machine, with all that is asked of it.
local function machine_answer()
  local sets = { '<propSet><name>name</name><val>multi</val></propSet>',
    '<propSet><name>parent</name><val type="Folder">group-v1</val></propSet>' }
  for _, name in ipairs { "config", "hardware", "runtime" } do
    for set in vsphere.data(name):gmatch("<propSet>.-</propSet>") do
      sets[#sets + 1] = set
    end
  end
  return vsphere.data("runtime"):gsub("<propSet>.*</propSet>",
    (table.concat(sets):gsub("%%", "%%%%")))
end

local MACHINE = machine_answer()
local function retrieved(body, view_of)
  if body:find('type="ContainerView"', 1, true) then
    return vsphere.objects { view_of == "Datacenter" and FOLDERS[2] or PORT_GROUP }
  elseif body:find('<obj type="VirtualMachine"', 1, true) then
    return MACHINE
  elseif body:find('<obj type="HttpNfcLease"', 1, true) then
    return vsphere.data("lease_ready")
  elseif body:find('<obj type="Task"', 1, true) then
    return vsphere.data("task_success")
  end
  local list = {}
  for _, object in ipairs { PORT_GROUP, SWITCH, table.unpack(FOLDERS) } do
    if body:find(">" .. object.value .. "</obj>", 1, true) then
      list[#list + 1] = object
    end
  end
  return vsphere.objects(list)
end

-- A server whose machine is off; see(method, text) may give another answer.
local function server(see)
  local view_of
  local answers = {
    RetrieveServiceContent = vsphere.data("service_content"), Login = vsphere.data("login"),
    Logout = vsphere.data("logout"), DestroyView = vsphere.reply("DestroyView"),
    CreateContainerView = vsphere.data("view"), FindByInventoryPath = vsphere.data("find_vm"),
    FindAllByUuid = vsphere.data("find_vm"):gsub("FindByInventoryPath", "FindAllByUuid"),
    HasPrivilegeOnEntity = vsphere.reply("HasPrivilegeOnEntity", "<returnval>true</returnval>"),
    QueryEvents = vsphere.reply("QueryEvents", '<returnval xsi:type="VmPoweredOnEvent"><key>7'
      .. "</key><createdTime>2026-11-22T14:21:12Z</createdTime></returnval>"),
    ShutdownGuest = vsphere.data("shutdown_off"), PowerOffVM_Task = vsphere.data("power_off"),
    ExportVm = vsphere.data("export"), HttpNfcLeaseProgress = vsphere.data("progress"),
    HttpNfcLeaseGetManifest = vsphere.data("manifest"),
    HttpNfcLeaseSetManifestChecksumType =
      vsphere.reply("HttpNfcLeaseSetManifestChecksumType"),
    HttpNfcLeaseComplete = vsphere.data("complete"), HttpNfcLeaseAbort = vsphere.data("abort"),
  }
  local all = { versions = vsphere.VERSIONS }
  for method, text in pairs(answers) do
    all[method] = function(body)
      view_of = method == "CreateContainerView" and body:match("<type>(%w+)</type>") or view_of
      return see(method, text) or text
    end
  end
  all.RetrievePropertiesEx = function(body)
    local text = retrieved(body, view_of)
    return see("RetrievePropertiesEx", text) or text
  end
  return vsphere.new(all)
end

-- All that an import does with its source, as far as it comes. -> the first err
local function use(see)
  local first
  local function note(value, err)
    first = first or not value and err or nil
    return value
  end
  local source <close> = note(vmware.open(SPEC, SECRET, { http = server(see), backoff = {},
    poll = 0.001, task_timeout = 0.002, lease_wait = 0.002 }))
  if not source then
    return first
  end
  source.waits.lost_answer = 0
  note(source:find { name = "multi" })
  note(source:find { name = "e46cc9ef-7490-5b5a-af7a-b611756772e7" })
  note(source:networks())
  note(source:power_state("vm-79"))
  note(source:shutdown_guest("vm-79"))
  note(source:power_off("vm-79"))
  local machine = note(source:inspect("vm-79"))
  if not machine then
    return first
  end
  note(source:stamp(machine))
  note(source:preflight(machine, {}))
  local recorded = {}
  local export <close> = note(source:export(machine, { record = function(entry)
    recorded[#recorded + 1] = entry
  end }))
  for _, disk in ipairs(export and machine.disks or {}) do
    note(export:stream(disk.id))
  end
  note(not export or export:complete())
  note(source:cleanup(recorded))
  return first
end

-- In a task of its own, so that its goodbyes have ended when this returns. -> ok, first err
local function used(see)
  return task.spawn("uses a source", use, see):join()
end

-- Where each element of a text is: list of {first, last, inside first, inside last}.
local function elements(text)
  local found, open = {}, {}
  for at, close, name, rest, last in text:gmatch("()<(/?)([%w_:.-]+)([^>]*)>()") do
    if close == "/" then
      local one = table.remove(open)
      one[2], one[4] = last - 1, at - 1
    elseif name then
      local one = { at, last - 1, last, last - 1 }
      found[#found + 1] = one
      if rest:sub(-1) ~= "/" then
        open[#open + 1] = one
      end
    end
  end
  return found
end

-- Ways to hurt the element at a place of a text.
local WAYS = {
  missing = function(text, at)
    return text:sub(1, at[1] - 1) .. text:sub(at[2] + 1)
  end,
  twice = function(text, at)
    return text:sub(1, at[2]) .. text:sub(at[1])
  end,
  empty = function(text, at)
    return text:sub(1, at[3] - 1) .. text:sub(at[4] + 1)
  end,
  ["without attributes"] = function(text, at)
    local head = text:sub(at[1], at[3] - 1):gsub("^(<[%w_:.-]+)[^>]-(/?>)$", "%1%2")
    return text:sub(1, at[1] - 1) .. head .. text:sub(at[3])
  end,
}

-- Method -> its answers, each once.
local function all_answers()
  local seen, list = {}, {}
  local ok, err = used(function(method, text)
    if not seen[method .. text] then
      seen[method .. text] = true
      list[#list + 1] = { method, text }
    end
  end)
  assert(ok and not err, err)
  return list
end

local DISK = "<deviceUrl><key>/vm-79/ParaVirtualSCSIController0:0</key><url>https://x/d</url>"
  .. "<disk>true</disk></deviceUrl>"

-- Method, what of its answer is replaced by what, and what is said of it.
local SAID = {
  { "RetrieveServiceContent", ' type="Folder"', "",
    "RetrieveServiceContent: not the answer of a vSphere API: rootFolder is no reference" },
  { "CreateContainerView", ' type="ContainerView"', "",
    "CreateContainerView: not the answer of a vSphere API: returnval is no reference" },
  { "ExportVm", "</returnval>", '</returnval><returnval type="HttpNfcLease">b</returnval>',
    "ExportVm: not the answer of a vSphere API: returnval is there twice" },
  { "RetrievePropertiesEx", '<obj type="VirtualMachine">vm-79</obj>', "",
    "RetrievePropertiesEx: not the answer of a vSphere API: an object has no obj" },
  { "RetrievePropertiesEx", '<obj type="VirtualMachine">vm-79', '<obj>vm-79',
    "an object's obj is no reference" },
  { "RetrievePropertiesEx", "<name>runtime.powerState</name>", "",
    "a propSet of vm-79 has no name" },
  { "RetrievePropertiesEx", "<propSet><name>name</name>",
    "<propSet><name>name</name><val>other</val></propSet><propSet><name>name</name>",
    "has name twice" },
  { "RetrievePropertiesEx", "<name>info</name>", "<name>info</name><val>x</val>",
    "has more than one val" },
  { "RetrievePropertiesEx", "<key>201</key>", "<key>200</key>",
    "the devices that vSphere gives the machine: IDE 1 has another one's key" },
  { "RetrievePropertiesEx", "<key>201</key>", "",
    "the devices that vSphere gives the machine: IDE 1 has no key" },
  { "RetrievePropertiesEx", "<busNumber>0</busNumber>",
    "<busNumber>0</busNumber><busNumber>1</busNumber>", "IDE 0 has more than one busNumber" },
  { "RetrievePropertiesEx", "<deviceUrl>", DISK .. "<deviceUrl>",
    "vSphere offers the data of the disk at ParaVirtualSCSIController0:0 twice" },
}

describe("an answer of vSphere", function()
  local answers = all_answers()

  it("can be that of any call", function()
    assert.truthy(#answers >= 20, #answers)
  end)

  -- An import that gets `changed` in place of a text.
  local function use_with(method, text, changed)
    return used(function(asked, given)
      return asked == method and given == text and changed or nil
    end)
  end

  for _, case in ipairs(SAID) do
    local method, from, to, problem = table.unpack(case)
    it("is said: " .. problem, function()
      local ok, err = used(function(asked, text)
        local at, last = text:find(from, 1, true)
        return asked == method and at and text:sub(1, at - 1) .. to .. text:sub(last + 1)
      end)
      assert(ok and err, err)
      assert.equal("format", err.kind)
      assert.truthy(err.message:find(problem, 1, true), err.message)
    end)
  end

  local function try(method, text, way, at)
    local changed = WAYS[way](text, at)
    local ok, err = use_with(method, text, changed)
    local what = ("%s, %s: %s: %s"):format(method, way, text:sub(at[1], at[1] + 60),
      tostring(err))
    assert(ok, what)
    assert(not err or err.message and not err.message:find("%c"), what)
  end

  for i, answer in ipairs(answers) do
    local method, text = table.unpack(answer)
    it(("may lack any element, or have it twice: %s (%d)"):format(method, i), function()
      for j, at in ipairs(elements(text)) do
        local few = (i + j) % EACH == 0
        for way in pairs(j > 2 and few and WAYS or {}) do -- but for Envelope and Body
          try(method, text, way, at)
        end
      end
    end)
  end
end)
