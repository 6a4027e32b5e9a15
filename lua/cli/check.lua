--- cli.check: what a site's scripts would do to a machine, without any server.

local command = require "cli.command"
local comparison = require "cli.comparison"
local env = require "host.env"
local errors = require "host.error"
local file = require "host.file"
local input = require "cli.input"
local machines = require "providers.machine"
local plan = require "policy.plan"
local scripts = require "scripts"
local site_of = require "cli.site"
local yaml = require "host.yaml"

local M = {}

M.usage = [[
usage: vm-import-controller check DIR [OPTION ...]

Looks at the site's scripts in DIR (*.lua): syntax, names of hooks and of globals; then
plans the import of one machine with them and prints each decision, as the built-in
policy takes it and as the site does. No server is asked and nothing is changed. The
exit code is 0 when every script is sound and every hook returns what it may.

      --machine FILE  the machine, as `plan --machine` writes it   (default a sample)
      --import FILE   YAML with the VirtualMachineImport           (default a sample)
      --quiet         print only what is wrong
]]

local OPTIONS = {
  machine = { value = "FILE" },
  import = { value = "FILE" },
  quiet = {},
  help = { short = "h" },
}

local SAMPLE_MACHINE = [[
id: vm-42
name: Sample Machine 01
path: /DC0/vm/Prod/Sample Machine 01
uuid: 564d1111-2222-3333-4444-555566667777
cpu: {sockets: 2, cores: 2}
memory_bytes: 4294967296
firmware: {uefi: true}
guest: {id: ubuntu64Guest, family: linux, name: "Ubuntu Linux (64-bit)"}
power_state: "off"
disks:
- {id: "2000", name: Hard disk 1, capacity_bytes: 21474836480, bus: scsi,
   controller: "ParaVirtualSCSIController0:0", datastore: ssd-01}
- {id: "2001", name: Hard disk 2, capacity_bytes: 107374182400, bus: scsi,
   controller: "ParaVirtualSCSIController0:1", datastore: archive-01}
nics:
- {id: "4000", name: Network adapter 1, mac: "00:50:56:aa:bb:01", model: vmxnet3,
   network: {name: VM Network, id: network-7, path: /DC0/network/VM Network}}
- {id: "4001", name: Network adapter 2, mac: "00:50:56:aa:bb:02", model: vmxnet3,
   network: {name: VLAN 20 backup, id: dvportgroup-20, switch: DSwitch}}
]]

local SAMPLE_IMPORT = {
  metadata = { name = "sample", namespace = "default",
    uid = "1a2b3c4d-0000-4000-8000-000000000000" },
  spec = {
    virtualMachineName = "Sample Machine 01",
    networkMapping = {
      { sourceNetwork = "VM Network", destinationNetwork = "default/vlan1" },
    },
  },
}

local function read_machine(path)
  local text = path and assert(file.read(path)) or SAMPLE_MACHINE
  local documents = assert(yaml.parse(text, { what = path or "sample" }))
  local machine, err = machines.check(documents[1])
  if not machine then
    error(errors.wrap(err, path))
  end
  return machine
end

-- The import of the machine; of several the one that names it.
local function read_import(path, machine)
  if not path then
    return SAMPLE_IMPORT
  end
  local found = input.read(path).imports
  for _, import in ipairs(found) do
    if import.spec and import.spec.virtualMachineName == machine.name then
      return import
    end
  end
  return found[1]
end

-- A hook that remembers what it was asked and what came of it.
local function recorder(generation, decisions)
  return function(name, hook_input, builtin, accept)
    local value, err = generation.hook(name, hook_input, builtin, accept)
    if err then
      return nil, err
    end
    decisions[#decisions + 1] = {
      name = name,
      subject = (hook_input.disk or hook_input.nic or {}).id,
      builtin = builtin,
      changed = value ~= nil,
      site = value ~= nil and accept(value),
    }
    return value
  end
end

local function report(decisions, findings)
  local compared = {}
  for _, decision in ipairs(decisions) do
    if decision.name ~= plan.findings.name then
      compared[#compared + 1] = decision
    end
  end
  env.stdout(comparison.text(compared) .. "\n")
  for _, finding in ipairs(findings) do
    env.stdout(("%s: %s: %s\n"):format(finding.severity, finding.subject,
      finding.message))
  end
end

local function check_dir(values)
  local machine = read_machine(values.machine)
  local import = read_import(values.import, machine)
  local site <close> = scripts.new()
  local generation = site_of.use(site, values[1], "check")
  if #generation.names == 0 then
    return command.fail("check", 1, values[1] .. " holds no script: no file ends in .lua")
  end
  local decisions = {}
  local made = assert(plan.build({
    machine = machine,
    spec = import.spec or {},
    import = {
      name = import.metadata.name,
      namespace = import.metadata.namespace,
      uid = import.metadata.uid or SAMPLE_IMPORT.metadata.uid,
    },
  }, recorder(generation, decisions)))
  if not values.quiet then
    report(decisions, made.findings)
    env.stdout(("generation %s: %s\n"):format(generation.hash,
      table.concat(generation.names, ", ")))
  end
  return 0
end

local function needs(values)
  return #values ~= 1 and "needs one DIR" or nil
end

--- check.run(args) -> exit code                                         [waits]
function M.run(args)
  return command.run({
    name = "check",
    usage = M.usage,
    options = OPTIONS,
    needs = needs,
    work = check_dir,
  }, args)
end

return M
