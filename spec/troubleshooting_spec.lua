-- docs/troubleshooting.md, held against the code: each code and reason that is written
-- somewhere has its row there, and no row is of one that nothing writes.

local process = require "host.process"

local PAGE = "docs/troubleshooting.md"

-- Names of the same form that are no reason of ours: a word of somebody else's, or a field.
local OTHERS = {
  kubernetes = [[Always AlreadyExists Background Block Bound ConfigMap Conflict
    CustomResourceDefinition DeleteOptions Established ExecCredential LonghornNode
    LonghornSetting PersistentVolumeClaim ReadWriteMany ResourceQuota
    RetryLimitExceeded StorageClass Strict Status Setting Secret Event Lease ReplicaSet
    CSIStorageCapacity All ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding]],
  kubevirt = [[DataVolume DataVolumeError LiveMigrateIfPossible RerunOnFailure Halted Pending
    Succeeded Failure BackingImage NetworkAttachmentDefinition VirtualMachine
    VirtualMachineInstance VirtualMachineImage]],
  ours = [[VmwareSource OpenstackSource OvaSource DirectorySource VirtualMachineImport
    RestorePower Leave ScratchFile Auto Spool Stream Blocks Warns Informs True False Normal
    Warning Unknown Darwin Windows Get AsSource]],
  conditions = [[Ready Reconciling Stalled ClusterReady ClusterError CertificateUnverified
    EndpointInsecure Encrypted SpecChangeIgnored VMExported VMExportFailed VMShutdownGuest
    VMPoweringOff VMPoweredOff VMMigrationFailed VirtualMachineImageSubmitted
    VirtualMachineImageReady VirtualMachineImageFailed Verified]],
  units = "KiB MiB GiB TiB NICs",
  examples = "DSwitch",
}

local ours = {} -- names of OTHERS
for _, names in pairs(OTHERS) do
  for name in names:gmatch("%S+") do
    ours[name] = true
  end
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local function files_of(...)
  local found = assert(process.run({ argv = { "find", ..., "-name", "*.lua" } }))
  return found.stdout:gmatch("[^\n]+")
end

-- Calls see(name, path) for each "Name" in the code of a file.
local function each_name(path, see)
  for line in read(path):gmatch("[^\n]+") do
    if not line:find("^%s*%-%-") then
      for name in line:gmatch('"(%u%w+)"') do
        see(name, line)
      end
    end
  end
end

-- Whether vSphere's vocabulary, in which a name is a code only beside a severity.
local function is_vsphere(path)
  return path:find("providers/vmware", 1, true) ~= nil
end

local SEVERITY = '"%s*,%s*"[BWI]%l+s"' -- "Code", "Blocks"

local function is_code(name, path, line)
  if line:find('"' .. name .. SEVERITY) then
    return true
  elseif path:find("providers/ova/ovf", 1, true) then
    return name:find("^Ovf") ~= nil
  elseif is_vsphere(path) then
    return line:find('code = "' .. name .. '"', 1, true) ~= nil
  elseif not name:find("%l%l") then
    return false -- "GET"
  end
  local words = select(2, name:gsub("%u", "%0"))
  return words > 1 or path:find("/flows/", 1, true) ~= nil
end

-- Each state is an Event, "SourceReady"; those after which more comes have a text.
local function states()
  local found = {}
  local texts = read("lua/flows/import/outcome.lua"):match("MESSAGES = {\n(.-)\n}")
  for state in texts:gmatch("(%l%w+) = ") do
    found[(state:gsub("^%l", string.upper))] = true
  end
  return found
end

-- {name: path} of what the code writes.
local function written()
  local found = {}
  for path in files_of("lua") do
    each_name(path, function(name, line)
      if not ours[name] and is_code(name, path, line) then
        found[name] = path
      end
    end)
  end
  return found
end

-- A failure without a reason of its own has that of its kind: "Timeout".
local function kinds()
  local found = {}
  for kind in read("src/base/error.c"):gmatch('%[VIC_%u+%] = "(%l+)"') do
    found[(kind:gsub("^%l", string.upper))] = true
  end
  return found
end

local function documented()
  local found = {}
  for cell in read(PAGE):gmatch("\n| ([^|]+) |") do
    for name in cell:gmatch("`(%u%w+)`") do
      assert(not found[name], name .. " has two rows")
      found[name] = true
    end
  end
  return found
end

describe(PAGE, function()
  local rows, codes, more = documented(), written(), kinds()
  for name in pairs(states()) do
    more[name] = true
  end

  it("has a row for each code and reason", function()
    local missing = {}
    for name, path in pairs(codes) do
      if not rows[name] then
        missing[#missing + 1] = name .. " of " .. path
      end
    end
    for name in pairs(more) do
      if not rows[name] then
        missing[#missing + 1] = name .. ", a kind of error or a state"
      end
    end
    table.sort(missing)
    assert.same({}, missing)
  end)

  it("has no row of what nothing says", function()
    local all = {}
    for path in files_of("lua") do
      each_name(path, function(name)
        all[name] = true
      end)
    end
    for name in pairs(rows) do
      assert(all[name] or more[name], name)
    end
  end)

  it("says in each row what it means and what to do", function()
    local count = 0
    for row in read(PAGE):gmatch("\n(| `[^\n]+)") do
      local meaning, todo = row:match("^| [^|]+ | ([^|]+) | ([^|]+) |$")
      assert(meaning and #meaning > 10 and #todo > 1, row)
      count = count + 1
    end
    assert.truthy(count > 100, count)
  end)
end)
