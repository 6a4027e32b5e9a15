-- OVAs and OVFs on real web servers, good ones and poor ones, imported into a directory by
-- the command; disks compared with what qemu-img makes of them.

local digest = require "host.digest"
local disks = require "support.disks"
local file = require "host.file"
local json = require "host.json"
local lab = require "support.lab"
local ova = require "support.ova"
local shelf_of = require "support.shelf"

local image, STREAM = ova.image, ova.STREAM

local function bytes_of(path)
  local handle <close> = assert(io.open(path, "rb"))
  return handle:read("a")
end

describe("an OvaSource", function()
  local folder, shelf, first, second

  setup(function()
    folder = lab.folder()
    shelf = shelf_of.open(folder.path)
    first = image(folder.path, "web-disk1.vmdk", "vmdk", STREAM)
    second = image(folder.path, "web-disk2.vmdk", "vmdk", STREAM)
    shelf:put("web.ova", ova.pack(ova.files("web", { first, second })))
    shelf:put_all(ova.files("web", { first, second }, { algorithm = "sha1" }), "web")
  end)

  teardown(function()
    getmetatable(shelf).__close(shelf)
    getmetatable(folder).__close(folder)
  end)

  local count = 0

  local function run(url, opts)
    opts = opts or {}
    count = count + 1
    local here = ("%s/%d"):format(folder.path, count)
    assert(file.mkdir(here))
    local list = { "Secret", "OvaSource", "VirtualMachineImport" }
    local objects = {
      Secret = { stringData = opts.secret or { username = "" } },
      OvaSource = { spec = { url = url, credentials = { name = "it" },
        httpTimeoutSeconds = opts.timeout } },
      VirtualMachineImport = { spec = { virtualMachineName = opts.machine or "web",
        sourceCluster = { kind = "OvaSource", name = "it", namespace = "default",
          apiVersion = "migration.harvesterhci.io/v1beta1" } } },
    }
    local text = ""
    for _, kind in ipairs(list) do
      local object = objects[kind]
      object.kind, object.metadata = kind, { name = "it", namespace = "default" }
      object.apiVersion = kind == "Secret" and "v1" or "migration.harvesterhci.io/v1beta1"
      text = text .. "---\n" .. json.encode(object) .. "\n"
    end
    assert(file.write(here .. "/vm.yaml", text))
    shelf:log()
    local result = lab.run({ "import", "-f", here .. "/vm.yaml", "-o", here .. "/out",
      table.unpack(opts.args or {}) })
    return result, here .. "/out"
  end

  -- All disks are those; the import's object.
  local function imported(wanted, result, out)
    assert.equal(0, result.status, result.stderr)
    local import = lab.read_object(out, "VirtualMachineImport", "it")
    assert.equal(#wanted, #import.status.diskImportStatus)
    for i, disk in ipairs(wanted) do
      assert.equal(disk.raw, lab.sha512(import.status.diskImportStatus[i].diskLocalPath))
    end
    return import
  end

  local function codes(import)
    local found = {}
    for _, finding in ipairs(import.status.findings) do
      found[finding.code] = true
    end
    return found
  end

  it("is read where its parts lie, where the server has ranges", function()
    local import = imported({ first, second }, run(shelf:at("range-nohead", "web.ova")))
    assert.same({ sockets = 2, cores = 1 }, import.status.plan.cpu)
    assert.is_nil(codes(import).ManifestMissing)
    local log, sent = shelf:log(), 0
    for _, one in ipairs(log) do
      assert.equal("GET", one.method)
      assert.truthy(one.range)
      sent = sent + one.sent
    end
    assert.is_true(sent < #first.data + #second.data + (#log << 16), ("%d bytes"):format(sent))
  end)

  for words, name in pairs {
    ["plain"] = "web.ova", ["plain-nohead"] = "web/web.ovf", ["range"] = "web/web.ovf",
    ["range-redirect"] = "web.ova", ["range-cut"] = "web.ova",
  } do
    it(("is imported from a server that is %s (%s)"):format(words, name), function()
      imported({ first, second }, run(shelf:at(words, name)))
    end)
  end

  it("begins a disk again where a server without ranges breaks off", function()
    shelf:put("one.ova", ova.pack(ova.files("web", { first })))
    imported({ first }, run(shelf:at("plain-cut", "one.ova")))
  end)

  it("asks with the password of its Secret, and says so when that is wrong", function()
    local secret = { username = "user", password = "pass" }
    imported({ first, second }, run(shelf:at("range-auth", "web.ova"), { secret = secret }))
    local result = run(shelf:at("range-auth", "web.ova"), { secret = { username = "user",
      password = "hunter2" } })
    assert.equal(1, result.status)
    assert.matches("another user or password (401)", result.stderr, 1, true)
    assert.falsy(result.stderr:find("hunter2", 1, true))
  end)

  it("keeps the password from another server that it is led to", function()
    imported({ first, second }, run(shelf:at("range-away", "web.ova"), { secret = {
      username = "user", password = "pass" } }))
    local with, without = 0, 0
    for _, one in ipairs(shelf:log()) do
      local there = shelf.away:match("%d+$") == tostring(one.port)
      with = with + (one.auth and 1 or 0)
      without = without + (there and 1 or 0)
      assert.falsy(one.auth and there, one.path)
    end
    assert.is_true(with > 0 and without > 0)
  end)

  it("may be a file of this machine", function()
    imported({ first, second }, run("file://" .. shelf.path .. "/web.ova"))
    imported({ first, second }, run("file://" .. shelf.path .. "/web/web.ovf"))
  end)

  it("may have its OVF last, no manifest, and an image of any format", function()
    local third = image(folder.path, "third.qcow2", "qcow2", "-c")
    local fourth = image(folder.path, "fourth.vmdk", "vmdk")
    local fifth = image(folder.path, "fifth.vhdx", "vhdx")
    local files = ova.files("odd", { third, fourth, fifth }, { algorithm = false })
    shelf:put("odd.ova", ova.pack(files, { 4, 3, 2, 1 }))
    for _, words in ipairs { "range", "plain" } do
      local import = imported({ third, fourth, fifth }, run(shelf:at(words, "odd.ova"), {
        machine = "odd" }))
      assert.is_true(codes(import).ManifestMissing)
      assert.is_true(codes(import).NotVerified)
    end
  end)

  it("may have a disk without a file, which comes empty", function()
    local empty = { capacity = 5 << 20, raw = digest.sha512(("\0"):rep(5 << 20)) }
    shelf:put("empty.ova", ova.pack(ova.files("web", { first, empty })))
    imported({ first, empty }, run(shelf:at("range", "empty.ova")))
  end)

  it("may have disks that are compressed besides", function()
    local path = folder.path .. "/web-disk1.vmdk"
    disks.run(("gzip -k '%s' && gzip -kc '%s.raw' > '%s.raw.gz'"):format(path, path, path))
    local gzip, raw = 'ovf:compression="gzip"', "http://example.org/raw"
    local packed = { name = "a.vmdk.gz", data = bytes_of(path .. ".gz"), file = gzip,
      capacity = first.capacity, raw = first.raw }
    local plain = { name = "b.raw.gz", data = bytes_of(path .. ".raw.gz"), file = gzip,
      capacity = first.capacity, raw = first.raw, format = raw }
    shelf:put("gzip.ova", ova.pack(ova.files("web", { packed, plain })))
    imported({ packed, plain }, run(shelf:at("range", "gzip.ova")))
  end)

  it("is refused where a disk's file is missing, or in pieces, before anything moves", function()
    local pieces = { name = "a.vmdk", data = "", size = 5, capacity = 1 << 20,
      file = 'ovf:chunkSize="100"' }
    local files = ova.files("web", { first, pieces }, { algorithm = false })
    shelf:put("pieces.ova", ova.pack(files))
    shelf:put("missing.ova", ova.pack(files, { 1, 3 }))
    for name, text in pairs { pieces = "in several pieces", missing = "lacks its file" } do
      local result, out = run(shelf:at("range", name .. ".ova"))
      assert.equal(1, result.status)
      assert.matches(text, result.stderr, 1, true)
      assert.falsy(table.concat(lab.files(out), " "):find("raw"))
    end
  end)

  it("is refused with another disk than its manifest is of", function()
    local files = ova.files("web", { first }, { manifest = function(text)
      return (text:gsub("(disk1.vmdk%)= )%x%x", "%100"))
    end })
    shelf:put("wrong.ova", ova.pack(files))
    local result, out = run(shelf:at("range", "wrong.ova"))
    assert.equal(1, result.status)
    assert.matches("the stream's sha256 is", result.stderr, 1, true)
    assert.falsy(lab.files(out)[1]:find("raw"))
  end)

  it("is refused with another OVF than its manifest is of, and cut off", function()
    local files = ova.files("web", { first })
    files[1][2] = files[1][2] .. "\n"
    shelf:put("other.ova", ova.pack(files))
    shelf:put("cut.ova", bytes_of(shelf.path .. "/web.ova"):sub(1, -100000))
    for name, text in pairs { other = "the manifest says", cut = "it is cut off" } do
      local result = run(shelf:at("range", name .. ".ova"))
      assert.equal(1, result.status)
      assert.matches(text, result.stderr, 1, true)
    end
  end)

  it("gives up a server that stands still after so long as it may", function()
    local result = run(shelf:at("plain-still", "web.ova"), { timeout = 1 })
    assert.equal(1, result.status)
    assert.matches("timed out after 1 s without a byte", result.stderr, 1, true)
  end)
end)
