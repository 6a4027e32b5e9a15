-- The version stands in CMakeLists.txt; whatever else names it is held against that.

local env = require "host.env"
local process = require "host.process"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local VERSION = read("CMakeLists.txt"):match("project%([^)]- VERSION ([%d.]+)")
local CHART = "deploy/chart/harvester-vm-import-controller/Chart.yaml"

-- A file, and the patterns of which each finds the version there once or more.
local PLACES = {
  { CHART, "\nversion: ([%d.]+)\n", "\nappVersion: v([%d.]+)\n" },
  { "deploy/addon.yaml", "\n  version: ([%d.]+)\n", "\n%s+tag: v([%d.]+)\n" },
  { "deploy/controller.yaml", "controller:v([%d.]+)", "/version: \"v([%d.]+)\"" },
  { "deploy/Dockerfile", "controller:v([%d.]+)", "ARG VERSION=v([%d.]+)" },
  { "docs/install.md", "controller:v([%d.]+)" },
  { "docs/upgrade.md", "image.tag=v([%d.]+)", "`spec.version` to `([%d.]+)`" },
}

describe("the version of CMakeLists.txt", function()
  it("is the program's", function()
    assert.equal(VERSION, env.version())
    local program = env.get("VIC_PROGRAM") or "build/vm-import-controller"
    local said = assert(process.run({ argv = { program, "--version" }, inherit = true }))
    assert.truthy(said.stdout:find(VERSION, 1, true), said.stdout)
  end)

  for _, place in ipairs(PLACES) do
    it("is that of " .. place[1], function()
      local text = read(place[1])
      for i = 2, #place do
        local found = 0
        for version in text:gmatch(place[i]) do
          found = found + 1
          assert.equal(VERSION, version, place[i])
        end
        assert.truthy(found > 0, place[i])
      end
    end)
  end

  it("is the newest that CHANGELOG.md has", function()
    assert.equal(VERSION, read("CHANGELOG.md"):match("\n## (%d[%d.]+) "))
  end)
end)
