local file = require "host.file"
local input = require "cli.input"
local lab = require "support.lab"

local IMPORT = [[
apiVersion: migration.harvesterhci.io/v1beta1
kind: VirtualMachineImport
metadata: {name: vm, namespace: prod}
spec: {virtualMachineName: web}
]]

describe("input.read", function()
  local folder, path

  before_each(function()
    folder = lab.folder()
    path = folder.path .. "/vm.yaml"
  end)

  after_each(function()
    getmetatable(folder).__close(folder)
  end)

  local function read(text)
    assert(file.write(path, text))
    return input.read(path)
  end

  local function problem(text)
    local ok, err = pcall(read, text)
    assert.is_false(ok)
    assert.equal(path, err.message:sub(1, #path))
    return err.message:sub(#path + 1)
  end

  it("sorts the objects of all documents", function()
    local found = read(IMPORT .. [[
---
apiVersion: v1
kind: Secret
metadata: {name: creds, namespace: prod}
stringData: {username: user}
---
# nothing
---
apiVersion: migration.harvesterhci.io/v1beta1
kind: VmwareSource
metadata: {name: vc}
]])
    assert.equal("web", found.imports[1].spec.virtualMachineName)
    assert.equal("default", found.sources[1].metadata.namespace)
    assert.same({ ["prod/creds"] = { username = "user" } }, found.secrets)
  end)

  it("reads the objects of a List", function()
    local found = read([[
apiVersion: v1
kind: List
items:
- apiVersion: migration.harvesterhci.io/v1beta1
  kind: VirtualMachineImport
  metadata: {name: a}
- apiVersion: migration.harvesterhci.io/v1beta1
  kind: VirtualMachineImport
  metadata: {name: b}
]])
    assert.equal("a", found.imports[1].metadata.name)
    assert.equal("b", found.imports[2].metadata.name)
  end)

  it("decodes a Secret's data, and lets stringData win", function()
    local secrets = read(IMPORT .. [[
---
apiVersion: v1
kind: Secret
metadata: {name: creds}
data: {username: dXNlcg==, password: c2VjcmV0}
stringData: {password: "01234"}
]]).secrets
    assert.same({ username = "user", password = "01234" }, secrets["default/creds"])
  end)

  it("says which key of a Secret is no base64, and not what it is", function()
    local text = problem(IMPORT .. [[
---
apiVersion: v1
kind: Secret
metadata: {name: creds}
data: {password: "Pa55 word!"}
]])
    assert.truthy(text:find("Secret creds: data.password", 1, true), text)
    assert.truthy(text:find("stringData", 1, true), text)
    assert.falsy(text:find("Pa55", 1, true), text)
  end)

  it("names the place of what is no YAML", function()
    assert.truthy(problem("a: 1\nb: ]\n"):find("^:2:4: "))
    assert.truthy(problem("kind: a\nkind: b\n"):find("^:2:1: "))
  end)

  it("names what is missing or wrong in a document", function()
    local function with(kind, more)
      return ("apiVersion: migration.harvesterhci.io/v1beta1\nkind: %s\n%s"):format(kind, more)
    end
    for text, yaml in pairs {
      ["document 1 has no kind"] = "a: 1\n",
      ["document 2 has no kind"] = IMPORT .. "---\n- 1\n",
      ["document 1, a VmwareSource, has no metadata.name"] = with("VmwareSource", ""),
      ["document 1 is a Pod; expected are Secret, VmwareSource"] =
        with("Pod", "metadata: {name: a}\n"),
      ["VirtualMachineImport a: apiVersion is v1, must be migration"] =
        "apiVersion: v1\nkind: VirtualMachineImport\nmetadata: {name: a}\n",
      ["holds no VirtualMachineImport"] = with("VmwareSource", "metadata: {name: a}\n"),
    } do
      local message = problem(yaml)
      assert.truthy(message:find(text, 1, true), message)
    end
  end)

  it("names the field whose type is wrong", function()
    local secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"
    for text, yaml in pairs {
      ["VirtualMachineImport vm: spec: "] = (IMPORT:gsub("spec: .*", "spec: text\n")),
      ["VirtualMachineImport vm: metadata.namespace: "] =
        (IMPORT:gsub("namespace: prod", "namespace: 7")),
      ["document 1, a List, has no list of items"] = "kind: List\nitems: text\n",
      ["Secret a: data: "] = secret .. "data: text\n",
      ["Secret a: stringData.password: "] = secret .. "stringData: {password: 1234}\n",
      ["Secret a: stringData: "] = secret .. "stringData: [a]\n",
    } do
      local message = problem(yaml)
      assert.truthy(message:find(text, 1, true), message)
    end
  end)

  it("does not show a Secret's value of the wrong type", function()
    local message = problem("kind: Secret\nmetadata: {name: a}\nstringData: {password: 1234}\n")
    assert.falsy(message:find("1234", 1, true), message)
  end)

  it("names a file that is not there", function()
    local _, err = pcall(input.read, folder.path .. "/none.yaml")
    assert.equal("notfound", err.kind)
    assert.truthy(err.message:find("none.yaml", 1, true))
  end)
end)
