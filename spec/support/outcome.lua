--- support.outcome: what an import must have left when it ended well.

local assert = require "luassert"
local lab = require "support.lab"

local M = {}

--- outcome.status(out) -> table                                         [waits]
-- Of the import `vm` in folder `out`.
function M.status(out)
  return lab.read_object(out, "VirtualMachineImport", "vm").status
end

--- outcome.files(out, name) -> sorted list                              [waits]
-- The files that belong there, for a machine that is called `name` here.
function M.files(out, name)
  local files = { "default/virtualmachine." .. name .. ".yaml",
    "migration.harvesterhci.io/default/virtualmachineimport.vm.yaml",
    "migration.harvesterhci.io/default/vmwaresource.vc.yaml" }
  for _, disk in ipairs(M.status(out).diskImportStatus) do
    files[#files + 1] = "default/" .. disk.diskName .. ".raw"
    files[#files + 1] = "default/persistentvolumeclaim." .. disk.diskName .. ".yaml"
  end
  table.sort(files)
  return files
end

--- outcome.check(result, out, name, sums)                               [waits]
-- Exit code 0, disks equal to their originals, the files that belong there and no other,
-- nothing recorded any more. Throws what is not so.
--
--   result  of process.run
--   sums    list   SHA-512 of each original, in the machine's order
function M.check(result, out, name, sums)
  assert.equal(0, result.status, result.stderr)
  local status = M.status(out)
  assert.equal(#sums, #status.diskImportStatus)
  for i, disk in ipairs(status.diskImportStatus) do
    assert.equal(sums[i], lab.sha512(disk.diskLocalPath), "disk " .. i)
  end
  assert.same(M.files(out, name), lab.files(out))
  assert.same({}, status.recorded or {})
end

return M
