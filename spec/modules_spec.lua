-- Every module of lua/ has a spec of its name, or stands here with the spec that goes
-- through it, and why that is the better place.

local SHOWN = {
  ["base/kinds"] = { "spec/e2e/kube/client_spec.lua", "names of an API, tried on a real one" },
  ["cli/controller"] = { "spec/cli/service_spec.lua", "options that make a replica" },
  ["cli/disk"] = { "spec/cli/left_behind_spec.lua", "a command, run as one" },
  ["cli/import"] = { "spec/e2e/local/import_spec.lua", "a command, run as one" },
  ["cli/plan"] = { "spec/e2e/local/plan_spec.lua", "a command, run as one" },
  ["cli/release"] = { "spec/e2e/addon/install_spec.lua", "needs a cluster to leave" },
  ["cli/script"] = { "spec/all.lua", "runs every spec" },
  ["cli/shown"] = { "spec/e2e/local/terminal_spec.lua", "what a terminal shows" },
  ["cli/site"] = { "spec/cli/check_spec.lua", "options that two commands share" },
  ["controller/added_sources"] = { "spec/e2e/cluster/source_spec.lua",
    "needs definitions that a cluster serves" },
  ["controller/definitions"] = { "spec/e2e/cluster/rights_spec.lua",
    "needs definitions that a cluster serves" },
  ["controller/manager"] = { "spec/e2e/cluster/import_spec.lua", "wires what others hold" },
  ["controller/replica"] = { "spec/e2e/addon/replicas_spec.lua", "is one of several" },
  ["flows/init"] = { "spec/flows/import/init_spec.lua", "a list of the flows" },
  ["main"] = { "spec/cli/usage_spec.lua", "the command line" },
  ["policy/devices"] = { "spec/policy/virtual_machine_spec.lua",
    "a part of what that one writes" },
  ["providers/openstack/init"] = { "spec/providers/openstack/source_spec.lua",
    "a source, as the contract has it" },
  ["providers/ova/init"] = { "spec/providers/ova/source_spec.lua",
    "a source, as the contract has it" },
  ["providers/openstack/moment"] = { "spec/providers/openstack/export_spec.lua",
    "a moment is one of an export" },
  ["providers/vmware/inventory"] = { "spec/providers/vmware/find_spec.lua",
    "paths are where machines are found" },
  ["providers/vmware/media"] = { "spec/providers/vmware/preflight_spec.lua",
    "one thing that preflight looks at" },
  ["providers/vmware/tasks"] = { "spec/providers/vmware/power_spec.lua",
    "a task is waited for when power changes" },
  ["site/code_checks"] = { "spec/site/code_spec.lua", "what a generation must pass" },
  ["site/sample"] = { "spec/site/code_spec.lua", "a machine that nobody has" },
  ["targets/harvester"] = { "spec/flows/import/cluster_images_spec.lua",
    "a cluster in memory under a whole import" },
  ["targets/raw_files"] = { "spec/targets/directory_spec.lua", "files under both targets" },
  ["targets/states"] = { "spec/flows/import/cluster_images_spec.lua",
    "a cluster in memory under a whole import" },
  ["targets/stream_options"] = { "spec/targets/spools_spec.lua", "options of a transfer" },
}

local function exists(path)
  local file = io.open(path)
  return file ~= nil and file:close()
end

local function modules()
  local list = {}
  local pipe = assert(io.popen("cd lua && find . -name '*.lua' -printf '%P\\n' | sort"))
  for path in pipe:lines() do
    list[#list + 1] = path:match("^(.*)%.lua$")
  end
  pipe:close()
  return list
end

describe("modules:", function()
  local known = {}

  for _, module in ipairs(modules()) do
    known[module] = true
    it(module .. " has a spec of its name, or a line that says which shows it", function()
      local own = ("spec/%s_spec.lua"):format(module)
      local entry = SHOWN[module]
      if exists(own) then
        assert(not entry, own .. " is there: take its line out of SHOWN")
      else
        assert(entry, "write " .. own .. ", or say in SHOWN which spec goes through it")
        assert(exists(entry[1]), entry[1] .. " is not there")
      end
    end)
  end

  it("no line is of a module that is gone", function()
    for module in pairs(SHOWN) do
      assert(known[module], "lua/" .. module .. ".lua is not there")
    end
  end)
end)
