-- What goes wrong at an OpenStack while an import is under way: each time a clear reason in
-- status, and volumes, snapshots and images as they were. The services fail by themselves
-- where they can be made to; a request waits at the proxy until its service is hurt.
-- VIC_FULL=1 adds what is rarer, and a refusal of every single step.

local disks = require "support.disks"
local file = require "host.file"
local json = require "host.json"
local lab = require "support.lab"
local openstack = require "support.openstack"
local program = require "support.program"
local task = require "host.task"

local SNAPSHOT, VOLUME = "POST /volume/.*/snapshots", "POST /volume/v3/[^/]*/volumes$"
local UPLOAD, REMOVAL = "POST /volume/.*/action", "DELETE /volume/.*/volumes/"

-- qemu-img is how this Cinder makes snapshots, and volumes of them.
local NO_QEMU = [[#!/bin/sh
case " $* " in *" create "*|*" convert "*) echo "no space left" >&2; exit 1;; esac
exec /usr/bin/qemu-img "$@"
]]

local function quota(what, amount)
  return function(cloud)
    cloud:quota(what and { [what] = amount })
  end
end

local function break_cinder(cloud)
  assert(file.write(cloud.folder .. "/bin/qemu-img", NO_QEMU, { mode = 493 }))
end

local function mend_cinder(cloud)
  assert(file.remove(cloud.folder .. "/bin/qemu-img"))
end

-- The store that Glance writes into.
local function move_store(from, to)
  return function(cloud)
    assert(file.rename(cloud.folder .. "/glance/" .. from, cloud.folder .. "/glance/" .. to))
  end
end

-- The state of what the import has made last, as Cinder's administrator sets it.
local function set_state(kind, action, status)
  return function(cloud)
    for _, object in ipairs(cloud:call("GET", "volume", "/" .. kind .. "/detail")[kind]) do
      if object.name:find("^vm%-import%-") then
        cloud:call("POST", "volume", ("/%s/%s/action"):format(kind, object.id),
          { [action] = { status = status } })
      end
    end
  end
end

local function root_format(name)
  return function(cloud)
    assert(file.write(cloud.folder .. "/nova/disks/format", name))
  end
end

local function root_as_it_is(cloud)
  assert(file.remove(cloud.folder .. "/nova/disks/format"))
end

-- at: the request before which it happens; none: before the import begins.
local HAPPENS = {
  { "no quota for a snapshot any more", at = SNAPSHOT, hurt = quota("snapshots", 0),
    heal = quota(),
    says = { "a snapshot of volume", "Maximum number of snapshots allowed (0)" } },
  { "no quota for a volume any more, and a snapshot that is not removed at first",
    at = VOLUME, hurt = quota("volumes", 0), heal = quota(),
    fault = { match = "DELETE /volume/.*/snapshots/", status = 403 },
    says = { "a volume from the snapshot", "Maximum number of volumes allowed (0)" } },
  { "a volume that ends in error", at = VOLUME, hurt = break_cinder, heal = mend_cinder,
    says = { "has not made volume", "its status is error" } },
  { "an upload that Glance has no room for", at = UPLOAD,
    hurt = move_store("images", "away"), heal = move_store("away", "images"),
    says = { "Glance has not got the data", "nobody fills it" } },
  { "a root disk whose upload Nova gives up", full = true, machine = "from-image",
    hurt = root_format("nonsense"), heal = root_as_it_is,
    says = { "Glance has not got the data", "nobody fills it" } },
  { "a snapshot that ends in error", full = true, at = SNAPSHOT, hurt = break_cinder,
    heal = mend_cinder, says = { "has not made snapshot", "its status is error" } },
  { "a snapshot in an error state", full = true, at = VOLUME,
    hurt = set_state("snapshots", "os-reset_status", "error"),
    says = { "a volume from the snapshot", "Invalid snapshot" } },
  { "a volume in an error state", full = true, at = UPLOAD,
    hurt = set_state("volumes", "os-reset_status", "error"),
    says = { "an image of volume", "Invalid volume" } },
  { "no room in the quota for its gigabytes", full = true, at = VOLUME,
    hurt = quota("gigabytes", 1), heal = quota(),
    says = { "a volume from the snapshot", "gigabytes" } },
  { "a root disk in a format that cannot be read", full = true, machine = "from-image",
    hurt = root_format("vmdk"), heal = root_as_it_is, says = { "as vmdk", "cannot be read" } },
}

-- Every request there is from the server's stop to the download: refused as a service
-- refuses what it does not like.
local REQUESTS = {
  { "POST /compute/.*/action", machine = "lone", running = true, times = 0 },
  { SNAPSHOT }, { "GET /volume/.*/snapshots/[0-9a-f]{8}-" }, { VOLUME },
  { "GET /volume/v3/[^/]*/volumes/[0-9a-f]{8}-", skip = 2 }, { UPLOAD },
  { "GET /image/v2/images/[0-9a-f-]*$" },
  { "GET /image/v2/images/.*/file", times = 3, says = "HTTP status 400" },
  { "POST /compute/.*/action", machine = "from-image" },
}

describe("import from OpenStack, under way:", function()
  local cloud, before

  lazy_setup(function()
    cloud = openstack.cloud()
    before = cloud:inventory()
  end)

  before_each(function()
    cloud:reset()
  end)

  local function status_of(folder)
    return lab.read_object(folder.path .. "/out", "VirtualMachineImport", "vm").status
  end

  local function check_failure(folder, result, words)
    assert.equal(1, result.status, result.stderr)
    local status = status_of(folder)
    assert.equal("VMMigrationFailed", status.importStatus)
    assert.same({}, status.recorded or {})
    local message
    for _, condition in ipairs(status.conditions) do
      message = condition.type == "Stalled" and condition.message or message
    end
    for _, word in ipairs(words) do
      assert(message:find(word, 1, true), word .. " is not in: " .. message)
    end
    assert.same(before, cloud:inventory())
  end

  local function check_success(folder, result, machine)
    assert.equal(0, result.status, result.stderr)
    local status = status_of(folder)
    assert.same({}, status.recorded or {})
    assert.equal(cloud.disks[machine][1],
      lab.sha512(status.diskImportStatus[1].diskLocalPath))
    assert.same(before, cloud:inventory())
  end

  local function begin(folder, machine, retries)
    return task.spawn(cloud.import, cloud, folder.path,
      { machine = machine, spec = { maxRetries = retries or 0 } })
  end

  local function end_of(running)
    local ok, result = running:join(1500)
    assert(ok, result)
    return result
  end

  -- Runs the import; `happening` is hurt before its request goes on.
  local function run(folder, happening)
    local machine = happening.machine or "lone"
    if not happening.at then
      happening.hurt(cloud)
      return end_of(begin(folder, machine))
    end
    cloud:hold(happening.at)
    if happening.fault then
      cloud:fault(happening.fault)
    end
    local running = begin(folder, machine)
    cloud:held(happening.at)
    happening.hurt(cloud)
    cloud:let_go(happening.at)
    return end_of(running)
  end

  for _, happening in ipairs(HAPPENS) do
    if program.full or not happening.full then
      it(happening[1], function()
        local folder <close> = lab.folder()
        local ok, result = pcall(run, folder, happening)
        if happening.heal then
          happening.heal(cloud)
        end
        assert(ok, result)
        check_failure(folder, result, happening.says)
      end)
    end
  end

  for _, request in ipairs(program.full and REQUESTS or {}) do
    it("a refusal of " .. request[1], function()
      local folder <close> = lab.folder()
      local machine = request.machine or "lone"
      if request.running then
        cloud:start(machine)
      end
      cloud:fault { match = request[1], status = 400, skip = request.skip,
        times = request.times, body = '{"badRequest": {"message": "not by this test"}}' }
      check_failure(folder, end_of(begin(folder, machine)),
        { request.says or "not by this test" })
    end)
  end

  it("a token that ends before its image is read", function()
    local folder <close> = lab.folder()
    cloud:fault { match = "GET /image/.*/file", hold = cloud.brief_life + 1 }
    local result = cloud:import(folder.path, { machine = "lone",
      source = { endpoint = cloud.brief_auth_url } })
    check_success(folder, result, "lone")
    local refused = table.concat(cloud:seen().refused, "\n")
    assert(refused:find("/file", 1, true), "no token was refused: " .. refused)
  end)

  it("a token that ends while its image is read, which breaks off then", function()
    local folder <close> = lab.folder()
    cloud:fault { match = "GET /image/.*/file", cut = 300 * 2 ^ 20 | 0,
      rate = 8 * 2 ^ 20 | 0 }
    -- As a service answers that has heard of a revocation.
    cloud:fault { match = "GET /image/.*/file", status = 401 }
    local result = cloud:import(folder.path, { machine = "lone" })
    check_success(folder, result, "lone")
    local reads = 0
    for _, line in ipairs(cloud:seen().requests) do
      reads = reads + (line:find("^GET /image/.*/file$") and 1 or 0)
    end
    assert.equal(3, reads) -- that which broke off, the refusal, and the rest of it
    assert.equal(2, #cloud:seen().ranges)
  end)

  it("a byte that is another one on the way, where Glance has nothing but an MD5", function()
    local folder <close> = lab.folder()
    cloud:fault { match = "GET /image/v2/images/[0-9a-f-]*$", times = 0,
      change = { os_hash_algo = json.null, os_hash_value = json.null } }
    cloud:fault { match = "GET /image/.*/file", times = 0, flip = 100 * 2 ^ 20 | 0 }
    check_failure(folder, end_of(begin(folder, "lone")), { "md5" })
  end)

  it("a backend that gives more bytes than Cinder says", function()
    local folder <close> = lab.folder()
    local gib, more = 2 ^ 30 | 0, 2 ^ 20 | 0
    cloud:hold(UPLOAD)
    local running = begin(folder, "lone")
    cloud:held(UPLOAD)
    for _, object in ipairs(cloud:call("GET", "volume", "/volumes/detail").volumes) do
      if object.name:find("^vm%-import%-") then
        local path = disks.run(("find '%s/cinder/mounts' -name 'volume-%s'"):format(
          cloud.folder, object.id)):match("%S+")
        disks.run(("truncate -s %d '%s'"):format(gib + more, path))
      end
    end
    cloud:let_go(UPLOAD)
    local result = end_of(running)
    assert.equal(0, result.status, result.stderr)
    local status = status_of(folder)
    assert.equal(gib + more, file.stat(status.diskImportStatus[1].diskLocalPath).size)
    assert.equal("DiskLargerThanSaid", status.findings[1].code)
    local reads = 0
    for _, line in ipairs(cloud:seen().requests) do
      reads = reads + (line:find("^GET /image/.*/file$") and 1 or 0)
    end
    assert.equal(1, reads)
    assert.same(before, cloud:inventory())
  end)

  it("a server that is started between two snapshots", function()
    local folder <close> = lab.folder()
    cloud:hold(SNAPSHOT, { skip = 1 })
    local running = begin(folder, "openstack-demo", 3)
    cloud:held(SNAPSHOT)
    cloud:start("openstack-demo")
    cloud:let_go(SNAPSHOT)
    local result = end_of(running)
    check_success(folder, result, "openstack-demo")
    local snapshots = 0
    for _, line in ipairs(cloud:seen().requests) do
      snapshots = snapshots + (line:find("^POST /volume/.*/snapshots$") and 1 or 0)
    end
    assert.equal(4, snapshots) -- those of the first moment were given up, both of them
  end)

  it("an upload whose answer is lost", function()
    local folder <close> = lab.folder()
    cloud:fault { match = UPLOAD, lost = true }
    check_success(folder, end_of(begin(folder, "lone")), "lone")
  end)

  it("an upload that Cinder hears of when its volume is being removed", function()
    local folder <close> = lab.folder()
    cloud:hold(UPLOAD, { lost = true, times = 0 })
    cloud:hold(REMOVAL)
    local running = begin(folder, "lone")
    cloud:held(REMOVAL)
    cloud:let_go(UPLOAD)
    lab.wait_for("Cinder has begun to upload", function()
      return table.concat(cloud:inventory(), "\n"):find("images [%x-]+ vm%-import%-")
    end, 300)
    cloud:let_go(REMOVAL)
    check_failure(folder, end_of(running), { "an image of volume", "action" })
  end)
end)
