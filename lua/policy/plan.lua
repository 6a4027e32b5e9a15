--- policy.plan: machine + spec -> the whole plan, decision by decision.
--
-- All decisions are taken here, once, and recorded; later steps carry them out and ask
-- nothing again. Each decision is a point that a site's script may take over.
--
-- A plan is
--
--   name, namespace   where and as what the machine will be
--   labels            {[key] = value} of the VirtualMachine
--   annotations       {[key] = value} of the VirtualMachine
--   description       string or nil
--   os                "linux" | "windows" | nil
--   cpu               {sockets, cores}
--   memory_mib        integer
--   firmware          {uefi, secure_boot, tpm}, booleans
--   power_state       "Running" | "Stopped": once it is here
--   disks             list of {id, name, display_name, capacity_bytes, bus, boot_order,
--                     serial or nil, storage_class or nil}, in the machine's order
--   nics              list of {id, name, network or nil, binding, model, mac or nil};
--                     network nil: the management network
--   cloud_init        nil | {user_data, network_data}
--   virtual_machine   the KubeVirt VirtualMachine
--   findings          list, worst first (policy.finding)

local json = require "host.json"

local cloud_init = require "policy.cloud_init"
local concerns = require "policy.concerns"
local cpu = require "policy.cpu"
local disk = require "policy.disk"
local finding = require "policy.finding"
local firmware = require "policy.firmware"
local guest = require "policy.guest"
local invalid = require "policy.invalid"
local metadata = require "policy.metadata"
local name = require "policy.name"
local namespace = require "policy.site.namespace"
local network = require "policy.network"
local power = require "policy.power"
local spec = require "policy.spec"
local virtual_machine = require "policy.virtual_machine"
local values = require "base.values"

local M = {}

local function check_label(value)
  if name.is_label(value) then
    return value
  end
  return nil, "at most 63 characters, a to z, 0 to 9 and inner dashes are expected"
end

local function with_plan(check)
  return function(value, _, plan)
    return check(value, plan)
  end
end

--- plan.decisions: the decisions in the order they are taken.
--
--   name    string   what hooks call it; nil: not a decision but a step between two
--   per     nil | "disk" | "nic": taken once, or for each of the plan's disks or NICs
--   field   string   where the value goes, in the plan or in the disk's or NIC's entry
--                    (default: name)
--   decide  function(input, plan [, item, entry]) -> value [, findings]
--           item: the machine's disk or NIC; entry: what the plan has of it so far
--   check   function(value, input, plan [, entry]) -> value | nil, message
--           what a hook returned, in its canonical form
--   set     function(plan, entry, value): stores it, where a field is not enough
--
-- A step has `run = function(input, plan) -> findings` alone.
M.decisions = {
  { name = "name", decide = name.decide, check = check_label },
  {
    name = "namespace",
    check = namespace.check,
    decide = function(input)
      return input.import.namespace
    end,
  },
  { name = "os", decide = guest.decide, check = guest.check },
  { name = "description", decide = metadata.description,
    check = metadata.check_description },
  { name = "labels", decide = metadata.labels, check = metadata.check_labels },
  { name = "annotations", decide = metadata.annotations,
    check = metadata.check_annotations },
  { name = "cpu", decide = cpu.decide, check = cpu.check },
  { name = "memory", field = "memory_mib", decide = cpu.memory,
    check = cpu.check_memory },
  { name = "firmware", decide = firmware.decide, check = firmware.check },
  { name = "power_state", decide = power.decide, check = power.check },
  {
    run = function(input, plan)
      local findings
      plan.disks, findings = disk.list(input, plan)
      return findings
    end,
  },
  { name = "disk_bus", per = "disk", field = "bus", decide = disk.bus,
    check = disk.check_bus },
  { run = disk.serials },
  { name = "disk_storage_class", per = "disk", field = "storage_class",
    decide = disk.storage_class, check = disk.check_storage_class },
  {
    name = "boot_order",
    decide = disk.boot_order,
    check = with_plan(disk.check_boot_order),
    set = function(plan, _, ids)
      disk.set_boot_order(plan, ids)
    end,
  },
  {
    run = function(input, plan)
      plan.nics = network.list(input)
    end,
  },
  { name = "nic_network", per = "nic", decide = network.decide, check = network.check,
    set = network.set },
  { run = network.names },
  { name = "nic_model", per = "nic", field = "model", decide = network.model,
    check = network.check_model },
  { name = "nic_mac", per = "nic", field = "mac", decide = network.mac,
    check = network.check_mac },
  { name = "nic_state", per = "nic", field = "state", decide = network.link,
    check = network.check_link },
  { name = "cloud_init", decide = cloud_init.decide, check = cloud_init.check },
  { name = "virtual_machine", decide = virtual_machine.build,
    check = virtual_machine.check },
}

--- plan.findings: the last decision, of the same form; its value is the list of all
-- findings, so that a script may refuse the import or accept a concern.
M.findings = { name = "findings", check = concerns.check }

local function no_opinion()
  return nil
end

local function subject_of(item)
  return item and (" of " .. item.id) or ""
end

-- What a hook makes of the built-in value: value, changed | nil, nil, err
local function consult(state, decision, builtin, item, entry)
  local function accept(value)
    return decision.check(value, state.input, state.plan, entry)
  end
  local hooked, hook_err = state.hook(decision.name, {
    machine = state.input.machine,
    spec = state.input.spec,
    import = state.input.import,
    plan = state.plan,
    [decision.per or "item"] = item,
  }, values.copy(builtin), accept)
  if hook_err then
    return nil, nil, hook_err
  end
  if hooked == nil or values.same(hooked, builtin) then
    return builtin, false
  end
  local value, message = accept(hooked)
  if message then
    return nil, nil, invalid("hook %s%s: %s", decision.name, subject_of(item), message)
  end
  return value, true
end

local function store(decision, plan, entry, value)
  if decision.set then
    decision.set(plan, entry, value)
  else
    (entry or plan)[decision.field or decision.name] = value
  end
end

-- Findings speak of the built-in value; a hook that decides otherwise answers them.
local function take(state, decision, item, entry)
  local builtin, findings = decision.decide(state.input, state.plan, item, entry)
  local value, changed, err = consult(state, decision, builtin, item, entry)
  if err then
    return nil, err
  end
  store(decision, state.plan, entry, value)
  if not changed then
    finding.add(state.findings, findings)
  end
  return true
end

local function take_each(state, decision)
  local list = decision.per .. "s"
  local items = {}
  for _, item in ipairs(state.input.machine[list]) do
    items[item.id] = item
  end
  for _, entry in ipairs(state.plan[list]) do
    local ok, err = take(state, decision, items[entry.id], entry)
    if not ok then
      return nil, err
    end
  end
  return true
end

local function run(state, decision)
  if decision.run then
    finding.add(state.findings, decision.run(state.input, state.plan))
    return true
  end
  if decision.per then
    return take_each(state, decision)
  end
  return take(state, decision)
end

local function begin(input, hook)
  local clean, findings = spec.read(input.spec)
  if not clean then
    return nil, findings
  end
  local own = {}
  for key, value in pairs(input) do
    own[key] = value
  end
  own.spec = clean
  return {
    hook = hook or no_opinion,
    input = own,
    plan = {},
    findings = findings,
  }
end

local function finish(state)
  finding.add(state.findings, concerns.decide(state.input, state.plan))
  local sorted = finding.sorted(state.findings)
  local value, _, err = consult(state, M.findings, sorted)
  if err then
    return nil, err
  end
  state.plan.findings = json.array(value)
  return state.plan
end

--- plan.build(input, hook) -> plan | nil, err
-- Always a whole plan, also when something Blocks: everything wrong is said at once.
--
--   input.machine   a Machine that providers.machine has checked
--   input.spec      the spec of the VirtualMachineImport, as it stands in the object
--   input.import    {name, namespace, uid} of the VirtualMachineImport; shut_down:
--                   whether an attempt of it has shut the machine down
--   input.networks  list of {name, id, path, switch}: all networks of the source;
--                   nil: not known, then a mapping row is not checked against them
--   input.defaults  {storage_class, termination_grace_seconds, max_sockets,
--                   link_state} of the target, optional; link_state: whether a NIC
--                   can come with its link down there, nil: not known;
--                   persistent_state: whether a TPM's state is kept there
--   input.site      {code, namespaces}, optional: what scripts may do besides: whether
--                   code of the controller may be replaced, so that nothing is kept from
--                   them; the namespaces they may lead to
--   hook            function(name, item_input, builtin, accept) -> value | nil, err
--                   (may wait)
--                   called after each decision, once per disk or NIC where it is taken
--                   per disk or NIC; what it returns counts, nil leaves `builtin`, and ""
--                   unsets what may be unset. item_input: {machine, spec, import,
--                   plan (so far), disk or nic}; accept(value) -> canonical value | nil,
--                   message: what is thought of a value before it is returned
--   err             invalid: a field of the wrong type, or what a hook returned; or what
--                   the hook returned as its err
function M.build(input, hook)
  local state, err = begin(input, hook)
  if not state then
    return nil, err
  end
  for _, decision in ipairs(M.decisions) do
    local ok, failure = run(state, decision)
    if not ok then
      return nil, failure
    end
  end
  return finish(state)
end

return M
