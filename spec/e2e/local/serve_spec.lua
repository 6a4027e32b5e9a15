-- `serve` over what `import --output DIR --serve-url BASE` left, asked as Harvester asks.

local file = require "host.file"
local lab = require "support.lab"
local process = require "host.process"
local program = require "support.program"

local DISKS = {
  { pattern = "text", seed = 1, capacity = "8MiB" },
  { pattern = "random", seed = 2, capacity = "16MiB" },
}
local SCENARIO = { datacenters = { { path = "DC0", machines = {
  { name = "web", folder = "Prod", disks = DISKS },
} } } }

local function has(text, part)
  assert.truthy(text:find(part, 1, true), ("%q is not in:\n%s"):format(part, text))
end

-- The server in the background and its lines; its output goes to a file, to be read
-- while it runs.
local function start(folder, ...)
  local running = program.start(folder, { "serve", ... }, { output = folder .. "/served" })
  local lines = lab.wait_for("serve prints its images", function()
    assert(not running:done(), "it has ended")
    local text = file.read(folder .. "/served") or ""
    local _, count = text:gsub("\n", "")
    return count >= #DISKS and text
  end)
  local served = {}
  for path, url in lines:gmatch("(%S+) (%S+)\n") do
    served[#served + 1] = { file = path, url = url }
  end
  return running, served
end

local function curl(...)
  return assert(process.run({ argv = { "curl", "-s", ... }, timeout = 60 }))
end

describe("serve", function()
  local folder, sim, out

  lazy_setup(function()
    folder = lab.folder()
    out = folder.path .. "/out"
    sim = lab.simulator(folder.path, { scenario = SCENARIO })
    local result = lab.import(sim, folder.path, {
      imports = { { name = "a", machine = "web", folder = "Prod" } },
      args = { "--serve-url", "http://192.0.2.1:8080" },
    })
    assert(result.status == 0, result.stderr)
  end)

  lazy_teardown(function()
    getmetatable(sim).__close(sim)
    getmetatable(folder).__close(folder)
  end)

  it("serves each disk byte for byte under the route of its image", function()
    local running <close>, served = start(folder.path, out, "--listen", "127.0.0.1:0")
    assert.equal(#DISKS, #served)
    for i, image in ipairs(served) do
      local entry = lab.read_object(out, "VirtualMachineImport", "a").status.diskImportStatus[i]
      assert.equal(entry.diskLocalPath, image.file)
      assert.equal(entry.diskRoute, image.url:match("^http://127%.0%.0%.1:%d+(/.*)$"))
      local head = curl("-I", image.url).stdout
      has(head, "HTTP/1.1 200 ")
      has(head, "Content-Length: " .. entry.diskSize .. "\r\n")
      local copy = folder.path .. "/copy"
      assert.equal(0, curl("-o", copy, image.url).status)
      assert.equal(lab.original(folder.path, DISKS[i]), lab.sha512(copy))
    end
    assert.equal("404", curl("-o", "/dev/null", "-w", "%{http_code}",
      served[1].url .. "x").stdout)
    running:signal("TERM")
    assert.equal(0, running:wait(20).status)
  end)

  it("ends well on SIGINT, with a reader under way", function()
    local running <close>, served = start(folder.path, out, "--listen", "127.0.0.1:0")
    local reader <close> = require("host.task").spawn(curl, "-o", "/dev/null",
      "--limit-rate", "100k", served[2].url)
    assert(reader)
    running:signal("INT")
    assert.equal(0, running:wait(20).status)
  end)

  it("says that nothing can be served without routes", function()
    local bare = folder.path .. "/bare"
    local result = lab.import(sim, folder.path, { out = bare,
      imports = { { name = "a", machine = "web", folder = "Prod" } } })
    assert.equal(0, result.status, result.stderr)
    for _, dir in ipairs { bare, folder.path .. "/none" } do
      result = lab.run({ "serve", dir, "--listen", "127.0.0.1:0" })
      assert.equal(1, result.status)
      has(result.stderr, ("serve: %s holds no images to serve: run `import --output %s "
        .. "--serve-url BASE` first"):format(dir, dir))
    end
  end)

  it("leaves out a disk whose file is gone, and says so", function()
    local dir = folder.path .. "/part"
    assert(process.run({ argv = { "cp", "-r", "--sparse=always", out, dir } }).status == 0)
    local names = {}
    for _, path in ipairs(lab.files(dir)) do
      names[#names + 1] = path:match("^default/.*%.raw$")
    end
    assert(file.remove(dir .. "/" .. names[1]))
    local result = lab.run({ "serve", dir, "--listen", "nowhere:0" })
    has(result.stderr, "not an IP address")
    has(result.stderr, dir .. "/" .. names[1] .. " is not there, or not whole")
    assert(file.remove(dir .. "/" .. names[2]))
    result = lab.run({ "serve", dir, "--listen", "127.0.0.1:0" })
    assert.equal(1, result.status)
    has(result.stderr, "holds no images to serve")
  end)

  it("says what is wrong with its arguments", function()
    for _, args in ipairs { {}, { "a", "b" }, { out, "--listen", "8080" }, { out, "--port" } } do
      local result = lab.run({ "serve", table.unpack(args) })
      assert.equal(2, result.status)
      has(result.stderr, "see --help")
    end
    has(lab.run({ "serve", "--help" }).stdout, "usage: vm-import-controller serve DIR")
    local result = lab.run({ "serve", out, "--listen", "nowhere:0" })
    assert.equal(1, result.status)
    has(result.stderr, "serve: listening on nowhere: not an IP address")
  end)
end)
