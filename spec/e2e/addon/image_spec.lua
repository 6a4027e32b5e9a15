-- The image that scripts/image has made: what is in it, and what is not.

local file = require "host.file"
local json = require "host.json"
local lab = require "support.lab"
local pod = require "support.pod"
local process = require "host.process"

local ARCHIVE = pod.root:gsub("/root$", "") .. "/vm-import-controller.oci.tar"

local function output(...)
  local result = assert(process.run({ argv = { ... }, inherit = true, timeout = 60 }))
  assert(result.status == 0, result.stderr)
  return result.stdout
end

describe("the image", function()
  it("is one that skopeo takes, and says what it is", function()
    local seen = json.decode(output("skopeo", "inspect", "oci-archive:" .. ARCHIVE))
    assert.equal("linux", seen.Os)
    assert.equal("Apache-2.0", seen.Labels["org.opencontainers.image.licenses"])
    local config = json.decode(output("skopeo", "inspect", "--config",
      "oci-archive:" .. ARCHIVE)).config
    assert.equal("65532:65532", config.User)
    assert.same({ "/usr/bin/vm-import-controller" }, config.Entrypoint)
  end)

  it("lists its packages, and is small", function()
    local packages = assert(file.read(pod.root .. "/usr/share/vm-import-controller/packages"))
    for _, name in ipairs { "libcurl4t64", "liblua5.4-0", "qemu-utils" } do
      assert.truthy(("\n" .. packages):find("\n" .. name .. " ", 1, true), name)
    end
    local size = tonumber(output("du", "-sm", pod.root):match("^%d+"))
    assert(size < 100, size .. " MiB")
  end)

  it("has a bill of materials: each package and the program, with their versions", function()
    local bill = json.decode(assert(file.read(
      (ARCHIVE:gsub("oci%.tar$", "spdx.json")))))
    assert.equal("SPDX-2.3", bill.spdxVersion)
    local listed, names = {}, {}
    for _, package in ipairs(bill.packages) do
      listed[package.name] = package.versionInfo
    end
    for name, version in assert(file.read(pod.root
      .. "/usr/share/vm-import-controller/packages")):gmatch("(%S+) (%S+) %S+\n") do
      names[name] = version
    end
    names["vm-import-controller"] = "v" .. output("sed", "-n",
      "s/^project(.* VERSION \\([0-9.]*\\).*/\\1/p", "CMakeLists.txt"):match("%S+")
    assert.same(names, listed)
    assert.equal(#bill.packages, #bill.relationships)
  end)

  it("has no file that gives rights, or that all may write", function()
    assert.equal("", output("find", pod.root, "-xdev", "-perm", "/6000"))
    assert.equal("", output("find", pod.root, "-xdev", "-perm", "-0002", "!", "-type", "l"))
    assert.equal("", output("find", pod.root, "-xdev", "!", "-uid", "0"))
  end)

  it("has two programs, and no shell", function()
    assert.same({ "qemu-img", "vm-import-controller" }, lab.files(pod.root .. "/usr/bin"))
    assert.is_nil(file.stat(pod.root .. "/bin/sh"))
  end)

  it("has all CustomResourceDefinitions and scripts", function()
    local share = pod.root .. "/usr/share/vm-import-controller/"
    assert.same(lab.files("crds"), lab.files(share .. "crds"))
    assert.same(lab.files("lua"), lab.files(share .. "lua"))
  end)
end)
