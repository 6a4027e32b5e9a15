--- flows.import.steps.preflight: everything that can be checked before the source is
-- touched.
--
-- All findings at once, and the whole plan: later steps decide nothing any more.

local block = require("base.finding").blocks
local edits = require "flows.import.edits"
local findings = require "flows.import.findings"
local json = require "host.json"
local merge_patch = require "kube.merge_patch"
local origin = require "base.origin"
local outage = require "flows.import.outage"
local policy = require "policy.plan"
local power_off = require "flows.import.steps.power_off"
local recorded = require "policy.recorded"
local mode = require "flows.import.mode"
local size = require "flows.import.size"
local waits = require "flows.waits"

local M = {}

local PATIENCE = 5 -- seconds in line before it is said

-- What the machine and the plan may take of the status. etcd takes objects of 1.5 MiB; a
-- machine of 256 disks and 256 NICs takes some 150 KiB of either, and its disks' entries
-- and what is recorded of them come to half a MiB. The rest is for what scripts add.
local MOST_MACHINE, MOST_PLAN = 256 * 1024, 384 * 1024

local API_VERSION = "migration.harvesterhci.io/v1beta1"

local function check_api_version(version, found)
  if (version or "") ~= "" and version ~= API_VERSION then
    found[#found + 1] = block("SpecInvalid", "spec.sourceCluster.apiVersion",
      ("spec.sourceCluster.apiVersion is %s"):format(version), "write " .. API_VERSION)
  end
end

local function check_spec(import)
  local spec, ref, found = import.spec, origin.of(import), {}
  local function missing(field, what)
    found[#found + 1] = block("SpecInvalid", field, field .. " is not set", what)
  end
  for _, field in ipairs { "kind", "name" } do
    if not ref[field] then
      missing("spec.sourceCluster." .. field, "name the source object")
    end
  end
  check_api_version((spec.sourceCluster or {}).apiVersion, found)
  if (spec.virtualMachineName or "") == "" then
    missing("spec.virtualMachineName", "name the machine as the source does")
  end
  if (spec.giveUpAfter or "") ~= "" and not outage.seconds(spec.giveUpAfter) then
    found[#found + 1] = block("SpecInvalid", "spec.giveUpAfter",
      ("spec.giveUpAfter is %s"):format(spec.giveUpAfter),
      "write a duration such as 90m or 24h")
  end
  if spec.onFailure == "RestorePower" then
    found[#found + 1] = block("OnFailureUnsupported", "spec.onFailure",
      "onFailure RestorePower cannot be had yet", "use Leave")
  end
  return found
end

-- Why the machine was not found, as a finding; nil: something else failed.
local function not_found(err)
  if err.kind ~= "notfound" and err.kind ~= "invalid" then
    return nil
  end
  local code = err.kind == "notfound" and "VirtualMachineNotFound"
    or "VirtualMachineAmbiguous"
  return block(code, "spec.virtualMachineName", err.message,
    "correct virtualMachineName or folder")
end

local function too_large(what, value, most)
  local bytes = #json.encode(value)
  if bytes > most then
    return block("StatusTooLarge", what,
      ("what has to be kept of the %s takes %d KiB, of %d that it may"):format(what,
        bytes // 1024, most // 1024),
      "remove devices or shorten texts of the machine at the source, or what a site's "
        .. "script adds")
  end
end

local function append(list, more)
  for _, finding in ipairs(more or {}) do
    list[#list + 1] = finding
  end
end

-- The machine as the source has it now, or nil and findings.
local function look(import, source)
  local spec = import.spec
  local id, err = source:find({ name = spec.virtualMachineName, folder = spec.folder })
  if not id then
    local finding = not_found(err)
    return nil, finding and { finding } or error(err)
  end
  return assert(source:inspect(id))
end

local function build_plan(import, ctx, source, machine)
  return policy.build({
    machine = machine,
    spec = import.spec,
    import = {
      name = import.metadata.name,
      namespace = import.metadata.namespace,
      uid = import.metadata.uid,
      shut_down = power_off.stays_off(import) ~= nil,
    },
    networks = #(import.spec.networkMapping or {}) > 0 and assert(source:networks())
      or nil,
    defaults = ctx.target.can.run and ctx.target:defaults() or {},
    site = ctx.options.site,
  }, ctx.hook)
end

-- What a site's script has failed with, as a finding; nil: something else failed.
local function script_failed(err)
  return err.script and block("SiteScriptFailed", "script " .. err.script, err.message,
    "correct the script; `vm-import-controller check` shows what it does")
end

-- Another import is under way to the same name. The first that was planned has it.
local function name_taken(import, ctx, plan, take)
  if not ctx.reserve_name then
    return nil
  end
  local free, other = ctx.reserve_name(import, plan, take)
  return not free and block("VirtualMachineNameTaken", plan.name,
    ("VirtualMachineImport %s is under way, and will make VirtualMachine %s/%s"):format(
      other, plan.namespace, plan.name),
    "set spec.targetName, or wait until it has ended") or nil
end

local function check(import, ctx, source)
  local found = {}
  local machine, problems = look(import, source)
  if not machine then
    return problems
  end
  append(found, assert(source:preflight(machine, import.spec)))
  local plan, err = build_plan(import, ctx, source, machine)
  if not plan then
    append(found, { script_failed(err) or error(err) })
    return found
  end
  append(found, size.keep(import, machine, plan))
  append(found, plan.findings)
  plan.findings, machine.concerns = nil, nil
  append(found, ctx.target:check(plan, import))
  append(found, { name_taken(import, ctx, plan, false) })
  append(found, { too_large("machine", machine, MOST_MACHINE) })
  plan = recorded.of(plan)
  append(found, { too_large("plan", plan, MOST_PLAN) })
  local transfer, problem = mode.decide(import, ctx, source, plan)
  append(found, { problem })
  return found, machine, plan, transfer
end

-- The source opened, or an outcome. One that does not exist may come yet, but nothing
-- goes on until then; one that cannot be used now is waited for. Throws an outage.
local function open_source(import, ctx)
  local ref = origin.of(import)
  local source, err = ctx.open_source(ref)
  if source then
    return source
  elseif err.reason == "SourceNotFound" then
    return nil, { invalid = "SourceNotFound", message = err.message }
  end
  local function asked()
    return false, err
  end
  if outage.of(err, asked) then
    error(err)
  end
  return nil, { wait = err.waits or "SourceNotReady", after = waits.SOURCE,
    trouble = true, message = err.message }
end

-- So many of one source are planned at once, and who stands in line for long says so.
local function wait_for_permit(import, ctx)
  local permit, err = ctx.plan_permit(import, PATIENCE)
  if permit then
    return permit
  elseif err.kind ~= "timeout" then
    error(err)
  end
  ctx.writer:working("WaitingForPlan", "in line to be checked and planned: other imports "
    .. "from the same source come first", {})
  return assert(ctx.plan_permit(import))
end

-- Files in a directory that are of this machine already get the names of the new plan;
-- killed before that one is recorded, the next run finds those that are left.
local function rename_disks(import, ctx, plan)
  local before, list = import.status and import.status.plan, json.array({})
  local names = {}
  for _, old in ipairs(before and before.disks or {}) do
    for _, new in ipairs(plan.disks) do
      if old.id == new.id and old.name ~= new.name then
        ctx.target.disks:rename(before, old, plan, new)
        names[old.name] = new.name
      end
    end
  end
  for i, entry in ipairs(import.status and import.status.diskImportStatus or {}) do
    list[i] = merge_patch.apply(entry, { diskName = names[entry.diskName] })
  end
  return next(names) and list or nil
end

-- asked: what the verdict is of; the spec may have been changed meanwhile.
local function write(import, ctx, asked, found, machine, plan, transfer)
  local how = { skip = import.spec.skipPreflightChecks, machine = machine }
  local list = findings.arrange(found, how)
  if plan and not findings.blocking(list) then -- a dry run takes nothing
    append(found, { name_taken(import, ctx, plan, not import.spec.dryRun) })
    list = findings.arrange(found, how)
  end
  local problem = findings.blocking(list)
  local renamed = plan and not problem and not ctx.target.can.images
    and rename_disks(import, ctx, plan) or nil
  ctx.record(function(before)
    local function kept(field, value)
      return value and not problem and merge_patch.replacing(before[field], value)
        or json.null
    end
    return {
      findings = list,
      diskImportStatus = renamed,
      machine = kept("machine", machine),
      plan = kept("plan", plan),
      transfer = kept("transfer", transfer),
      scriptGeneration = ctx.script_generation or json.null,
      plannedFrom = kept("plannedFrom", plan and asked.fields),
      observedGeneration = asked.generation,
    }
  end)
  if problem then
    return { invalid = "PreflightFailed", message = problem }
  end
  return nil
end

local function asked_of(import)
  return { generation = import.metadata.generation, fields = edits.fixed(import.spec) }
end

--- preflight.run(import, ctx) -> outcome                                [waits]
-- Records machine, plan and findings. Blocking ones make the import invalid.
function M.run(import, ctx)
  local found = check_spec(import)
  if #found > 0 then
    return write(import, ctx, asked_of(import), found)
  end
  local source, outcome = open_source(import, ctx)
  if not source then
    return outcome
  end
  local borrowed <close> = source
  local permit <close> = ctx.plan_permit and wait_for_permit(import, ctx)
  assert(permit or not ctx.plan_permit)
  return write(import, ctx, asked_of(import), check(import, ctx, borrowed))
end

return M
