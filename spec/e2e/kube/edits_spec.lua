-- Which edits of a VirtualMachineImport a real API server takes, in every state.

local edits = require "flows.import.edits"
local json = require "host.json"
local kinds = require "base.kinds"
local kube = require "support.kube"

local KIND = "VirtualMachineImport"

-- Another value of each field that a plan is made of; and "nothing", as others write it.
local OTHER = {
  sourceCluster = { kind = "VmwareSource", name = "other" },
  virtualMachineName = "other", folder = "other", storageClass = "other",
  networkMapping = { { sourceNetwork = "n", destinationNetwork = "d" } },
  diskMapping = { { disk = "0", busType = "sata" } },
  defaultNetworkInterfaceModel = "e1000", defaultDiskBusType = "scsi",
  skipPreflightChecks = true, dryRun = true, transferMode = "Stream",
  targetName = "other", targetPowerState = "Stopped", timeZone = "Asia/Tokyo",
}
local SAME = { folder = "", networkMapping = json.array({}), diskMapping = json.null,
  dryRun = false, targetName = json.null, storageClass = "",
  timeZone = json.null }
local ANY_TIME = { forcePowerOff = true, gracefulShutdownTimeoutSeconds = 5,
  cancelled = true, maxRetries = 9, giveUpAfter = "1h30m", onFailure = "Leave" }

local FREE = { "", "virtualMachineImportValid", "virtualMachineImportInvalid",
  "VMMigrationFailed" }
local FIXED = { "sourceReady", "disksExported", "diskImageSubmitted", "diskImageFailed",
  "diskImagesReady", "virtualMachineCreated", "virtualMachineRunning" }

describe("an API server", function()
  local cluster, client, namespace

  lazy_setup(function()
    cluster = kube.start()
    cluster:install()
    client = cluster:client()
    namespace = "default"
  end)

  lazy_teardown(function()
    client:close()
    cluster:close()
  end)

  local function import_at(state)
    client:delete(KIND, namespace, "web")
    assert(client:create(KIND, {
      apiVersion = kinds.VirtualMachineImport.api_version, kind = KIND,
      metadata = { namespace = namespace, name = "web" },
      spec = { virtualMachineName = "web", folder = json.null, networkMapping = json.null,
        sourceCluster = { kind = "VmwareSource", name = "vc", apiVersion = json.null } },
    }))
    assert(client:patch(KIND, namespace, "web", { status = { importStatus = state } },
      { status = true }))
  end

  local function edit(field, value)
    return client:patch(KIND, namespace, "web", { spec = { [field] = value } })
  end

  it("refuses what a plan was made of from the beginning of the import on", function()
    for _, state in ipairs(FIXED) do
      import_at(state)
      for _, field in ipairs(edits.FIXED) do
        local ok, err = edit(field, OTHER[field])
        assert.is_nil(ok, field .. " in " .. state)
        assert.equal("invalid", err.kind)
        assert.truthy(err.message:find(field, 1, true), err.message)
        assert.truthy(err.message:find("create another", 1, true), err.message)
      end
      local ok = client:patch(KIND, namespace, "web", { spec = json.null })
      assert.is_nil(ok)
    end
  end)

  it("takes it before, and after it has failed", function()
    for _, state in ipairs(FREE) do
      for _, field in ipairs(edits.FIXED) do
        import_at(state)
        assert(edit(field, OTHER[field]))
      end
    end
  end)

  it("takes what changes nothing, labels, and what counts at any time", function()
    for _, state in ipairs(FIXED) do
      import_at(state)
      for _, fields in ipairs { SAME, ANY_TIME } do
        for field, value in pairs(fields) do
          assert(edit(field, value))
        end
      end
      assert(client:patch(KIND, namespace, "web", { metadata = { labels = { a = "b" } } }))
      assert(client:patch(KIND, namespace, "web", { status = { importStatus = "" } },
        { status = true }))
      assert(edit("virtualMachineName", "other"))
    end
  end)
end)
