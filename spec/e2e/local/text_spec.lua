-- Text of others on a terminal and in documents: a real vSphere whose machine, disk,
-- network and notes are called what moves a terminal or turns the direction of writing,
-- qemu-img's words, and a site's script. Documents that programs read keep them exact.

local file = require "host.file"
local host_text = require "host.text"
local lab = require "support.lab"
local yaml = require "host.yaml"

local NASTY = "a\u{9b}2J\u{202e}gpj\r\nlevel=error\u{2028}\127" -- all that XML 1.0 has

local SCENARIO = {
  datacenters = { { path = "DC0", networks = { { name = NASTY }, { name = "VM Network" } },
    machines = {
    { name = "vm " .. NASTY, folder = "f " .. NASTY, annotation = "notes\n" .. NASTY,
      disks = { { pattern = "text", seed = 1, capacity = "4MiB" } },
      nics = { { network = NASTY, mac = "00:50:56:00:00:01" } } },
  } } },
}

local SCRIPT = [[
local nasty = "\27[2J\u{202e}\nlevel=error"
return { name = function() log.warn(nasty) error("no: " .. nasty) end }
]]

-- Each line of what reached the terminal; nothing of the other's is a line of its own.
local function are_clean(text)
  for line in text:gmatch("[^\n]+") do
    assert(host_text.visible(line) == line, ("%q"):format(line))
    assert(not line:find("^level=error"), line)
  end
end

describe("text of others", function()
  local folder, sim

  setup(function()
    folder = lab.folder()
    sim = lab.simulator(folder.path, { scenario = SCENARIO })
    assert(file.mkdir(folder.path .. "/site"))
    assert(file.write(folder.path .. "/site/a.lua", SCRIPT))
  end)

  teardown(function()
    getmetatable(sim).__close(sim)
    getmetatable(folder).__close(folder)
  end)

  local function run(machine, ...)
    local words = { ... }
    table.insert(words, 2, "-f")
    table.insert(words, 3, folder.path .. "/vm.yaml")
    assert(file.write(folder.path .. "/vm.yaml", lab.objects(sim, { imports = { {
      name = "web", machine = machine } } })))
    local result = lab.run(words)
    are_clean(result.stdout)
    are_clean(result.stderr)
    return result
  end

  it("is seen in what plan prints, whose document says exactly what it was", function()
    local machine = folder.path .. "/machine.yaml"
    local result = run("vm " .. NASTY, "plan", "--machine", machine)
    assert.equal(0, result.status, result.stderr)
    local plan = assert(yaml.parse(result.stdout))[1]
    local seen = assert(yaml.parse(assert(file.read(machine))))[1]
    assert.equal("vm " .. NASTY, seen.name)
    assert.equal("notes\n" .. NASTY, seen.description)
    assert.matches("\\u202e", plan.description, 1, true)
  end)

  it("is seen in what import says and logs, of a machine that is there and one that is not",
    function()
      for _, machine in ipairs { "vm " .. NASTY, "other " .. NASTY } do
        local result = run(machine, "import", "--output", folder.path .. "/out")
        assert.matches("\\u202e", result.stdout .. result.stderr, 1, true)
      end
    end)

  it("is seen in what a site's script says and throws", function()
    local result = run("vm " .. NASTY, "plan", "--scripts", folder.path .. "/site")
    assert.equal(1, result.status, result.stderr)
    assert.matches("no: \\x1b[2J", result.stdout .. result.stderr, 1, true)
  end)

  it("is seen in what qemu-img says of an image of such a name", function()
    local image = folder.path .. "/\27[2J\u{202e}\nlevel=error.vdi"
    assert(file.write(image, "<<< Oracle VM VirtualBox Disk Image >>>\n" .. ("\0"):rep(1 << 16)))
    local result = lab.run({ "disk", image, "--format", "vdi", "--output",
      folder.path .. "/x.raw" })
    assert.equal(1, result.status)
    are_clean(result.stderr)
    assert.matches("\\x1b[2J", result.stderr, 1, true)
  end)
end)
