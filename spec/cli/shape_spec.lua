local file = require "host.file"
local json = require "host.json"
local shape = require "cli.shape"
local yaml = require "host.yaml"

describe("shape", function()
  local function type_of(schema)
    if schema.type ~= "object" then
      return schema.type
    end
    local fields = {}
    for name, field in pairs(schema.properties) do
      fields[name] = type_of(field)
    end
    return fields
  end

  it("knows the fields that the schemas of a cluster have", function()
    for kind, fields in pairs(shape.SPECS) do
      local path = ("crds/%ss.yaml"):format(kind:lower())
      local crd = assert(yaml.parse(assert(file.read(path))))[1]
      for _, version in ipairs(crd.spec.versions) do
        assert.same(type_of(version.schema.openAPIV3Schema.properties.spec), fields)
      end
    end
  end)

  local function problem(spec, metadata)
    return shape.problem({ kind = "VirtualMachineImport", spec = spec,
      metadata = metadata or { name = "vm", namespace = "default" } })
  end

  it("finds nothing wrong with what is right, unset or unknown", function()
    assert.is_nil(problem(nil))
    assert.is_nil(problem({}))
    assert.is_nil(problem({ folder = "", networkMapping = json.array({ {} }),
      diskMapping = {}, maxRetries = 0, dryRun = false, unknown = 1,
      sourceCluster = { kind = "VmwareSource" } }))
  end)

  it("names the field, the type it must have, and the one it has", function()
    for spec, text in pairs {
      [{ folder = 7 }] = "spec.folder: must be of type string, and is of type integer: "
        .. "put it into quotes",
      [{ folder = true }] = "spec.folder: must be of type string, and is of type boolean: "
        .. "put it into quotes",
      [{ folder = json.array({ "a" }) }] = "spec.folder: must be of type string, and is of "
        .. "type array",
      [{ maxRetries = 1.5 }] = "spec.maxRetries: must be of type integer, and is of type "
        .. "number",
      [{ dryRun = "true" }] = "spec.dryRun: must be of type boolean, and is of type string",
      [{ sourceCluster = "vc" }] = "spec.sourceCluster: must be of type object, and is of "
        .. "type string",
      [{ sourceCluster = { name = 1 } }] = "spec.sourceCluster.name: must be of type string, "
        .. "and is of type integer: put it into quotes",
      [{ networkMapping = { a = "b" } }] = "spec.networkMapping: must be of type array, and "
        .. "is of type object",
    } do
      assert.equal(text, problem(spec))
    end
    assert.equal("spec: must be of type object, and is of type string", problem("text"))
  end)

  it("looks at metadata too", function()
    assert.truthy(problem({}, { name = "vm", namespace = 7 }):find("^metadata.namespace: "))
    assert.truthy(problem({}, { name = "vm", labels = { a = 7 } }):find("^metadata.labels.a: "))
    assert.truthy(problem({}, { name = "vm", annotations = "x" }):find("^metadata.annotations: "))
  end)
end)
