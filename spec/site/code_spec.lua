local code = require "site.code"
local kinds = require "base.kinds"
local sample = require "site.sample"

-- A module as it is built in, with another piece of text in place of one.
local function edited(module, from, to)
  local path = assert(package.searchpath(module, package.path))
  local file <close> = assert(io.open(path))
  local text = file:read("a")
  local first, last = text:find(from, 1, true)
  assert(first, "no " .. from)
  return text:sub(1, first - 1) .. to .. text:sub(last + 1)
end

local function load(texts)
  return code.load(texts, "hash")
end

describe("code.load", function()
  local function refused(texts, ...)
    local generation, err = load(texts)
    assert.is_nil(generation)
    assert.equal("invalid", err.kind)
    for _, text in ipairs({ ... }) do
      assert.truthy(err.message:find(text, 1, true), err.message)
    end
    return err
  end

  it("replaces a module for all that use it, in this generation alone", function()
    local generation = assert(load({
      ["policy.name.lua"] = edited("policy.name", "function M.decide(",
        "function M.decide() return 'replaced' end\nfunction M.before("),
    }))
    local made = assert(generation:require("policy.plan").build(sample.input(code.builtin)))
    assert.equal("replaced", made.name)
    assert.equal("replaced", made.virtual_machine.metadata.name)
    made = assert(require("policy.plan").build(sample.input(code.builtin)))
    assert.equal("sample-machine-01", made.name)
    assert.equal(generation:require("policy.plan"), generation:require("policy.plan"))
    assert.not_equal(require("policy.plan"), generation:require("policy.plan"))
    assert.equal(require("host.json"), generation:require("host.json"))
  end)

  it("adds modules that others require", function()
    local generation = assert(load({
      ["policy.site-names.lua"] = "return { prefix = 'x-' }",
      ["policy.name.lua"] = edited("policy.name", "function M.decide(",
        "function M.decide() return require('policy.site-names').prefix .. 'y' end\n"
        .. "function M.before("),
    }))
    local made = assert(generation:require("policy.plan").build(sample.input(code.builtin)))
    assert.equal("x-y", made.name)
  end)

  it("knows the modules that replace none and that none requires", function()
    local generation = assert(load({
      ["policy.nmae.lua"] = "return {}",
      ["policy.power.lua"] = edited("policy.power", "return M", "require('policy.ours')\nreturn M"),
      ["policy.ours.lua"] = "return {}",
    }))
    assert.same({ "policy.nmae.lua" }, generation.unused)
    assert.same({}, code.builtin.unused)
  end)

  it("has the flows of every kind", function()
    local generation = assert(load({ ["policy.x.lua"] = "return {}" }))
    for _, kind in ipairs { "VmwareSource", "OpenstackSource", "VirtualMachineImport" } do
      assert.is_function(generation:flow(kind))
      assert.is_function(code.builtin:flow(kind))
      assert.not_equal(generation:flow(kind), code.builtin:flow(kind))
    end
    assert.is_nil(generation:flow("DirectorySource"))
  end)

  for what, case in pairs({
    ["text that is no Lua"] = { "policy.name", "return {", "policy.name.lua:1: unexpected" },
    ["bytecode"] = { "policy.name", string.dump(function() end), "policy.name.lua" },
    ["an unknown global"] = { "policy.x", "return {\nf = function() return strng.x end }",
      "policy.x.lua:2: unknown global 'strng'" },
    ["a global that is made"] = { "policy.x", "\nx = 1 return {}",
      "policy.x.lua:2: global 'x' cannot be made" },
    ["an error while it loads"] = { "policy.x", "\n\nerror('no')", "policy.x.lua:3: no" },
    ["an error that is a table"] = { "policy.x", "error(require 'host.error'.new('io', 'no'))",
      "policy.x.lua: no" },
    ["a module that is not there"] = { "policy.x", "\nrequire 'policy.nothing'",
      "policy.x.lua:2: there is no module policy.nothing" },
    ["a module that requires itself"] = { "policy.x", "require 'policy.x'",
      "policy.x.lua:1: module policy.x requires itself" },
    ["a loop"] = { "policy.x", "\nwhile true do end", "policy.x.lua:2: has not ended" },
    ["one that is too long"] = { "policy.x", "--" .. ("x"):rep(2 ^ 18 | 0), "KiB are allowed" },
    ["another type"] = { "policy.name", "return true", "policy.name.lua: must return a table" },
    ["a module that lacks what others call"] = { "policy.name", "return {}",
      "policy.name.lua: lacks what the module policy.name that it replaces has",
      "decide (a function)" },
    ["a policy that fails"] = { "policy.cpu", edited("policy.cpu", "function M.decide(",
      "function M.decide() local x = nil\nreturn x.y end function M.before("), "policy.cpu.lua:" },
    ["a name that is none"] = { "policy.", "return {}", "policy..lua: its name is no name" },
    ["flows without a reconcile"] = { "flows.source", "return { reconcile = 1 }",
      "flows.source.lua: lacks" },
    ["a list of flows that names nothing"] = { "flows", "return { { kind = 'X', module = "
      .. "'policy.name' } }", "flows: entry 1 names no module" },
    ["a provider that lacks parts"] = { "providers.shelf", "return { kind = 'ShelfSource', "
      .. "open = print }", "providers.shelf.lua: providers.shelf is no provider",
      "source:find" },
    ["a kind that is no word"] = { "providers.shelf", "return { kind = 'shelf source' }",
      "kind must be a word" },
    ["a kind that there is"] = { "providers.shelf", "return { kind = 'Secret' }",
      "there is a kind Secret already" },
    ["a provider that is broken where it replaces one"] = { "providers.vmware",
      "return { open = 1, source = {}, export = {} }", "providers.vmware.lua: lacks" },
  }) do
    it("refuses " .. what, function()
      refused({ [case[1] .. ".lua"] = case[2] }, case[3], case[4])
    end)
  end

  it("says all that does not compile at once", function()
    local err = refused({ ["policy.a.lua"] = "return {", ["policy.b.lua"] = "x = y" })
    assert.equal(3, #err.problems)
  end)

  it("leaves nothing of a broken one behind", function()
    refused({ ["policy.name.lua"] = edited("policy.name", "function M.decide(",
      "function M.decide() return 'x' end\nfunction M.before("),
      ["policy.x.lua"] = "error('no')" })
    assert.equal("sample-machine-01",
      assert(require("policy.plan").build(sample.input(code.builtin))).name)
  end)
end)

describe("a provider in a script", function()
  local PROVIDER = [[
    local none = function() end
    local export = { stream = none, progress = none, lost = none, complete = none,
      close = none }
    local source = {}
    for _, name in ipairs { "find", "inspect", "networks", "preflight", "power_state",
      "stamp", "shutdown_guest", "power_off", "export", "cleanup", "close" } do
      source[name] = none
    end
    return { kind = "%s", open = function() return { name = "opened" } end, source = source,
      export = export }
  ]]

  after_each(function()
    kinds.use({})
  end)

  it("adds its kind of source, with its flow", function()
    local generation = assert(load({ ["providers.shelf.lua"] = PROVIDER:format("ShelfSource"),
      ["providers.shelf.parts.lua"] = "return {}" }))
    assert.same({ { kind = "ShelfSource", plural = "shelfsources",
      module = "providers.shelf" } }, generation.sources)
    assert.equal("opened", generation:require("providers").open("shelfsource", {}, {}).name)
    assert.is_function(generation:flow("ShelfSource"))
    assert.is_nil((require("providers").of("ShelfSource")))
  end)

  it("is not the second of its kind", function()
    local _, err = load({ ["providers.a.lua"] = PROVIDER:format("ShelfSource"),
      ["providers.b.lua"] = PROVIDER:format("Shelfsource") })
    assert.truthy(err.message:find("providers.b.lua: providers.a is of kind ShelfSource", 1, true))
  end)

  it("is looked at again after it was in force", function()
    local texts = { ["providers.shelf.lua"] = PROVIDER:format("ShelfSource") }
    kinds.use(assert(load(texts)).sources)
    assert.equal("shelfsources", kinds.shelfsource.plural)
    assert.equal(4, #kinds.sources)
    assert.equal(3, #kinds.built_in)
    assert(load(texts))
    kinds.use({})
    assert.equal(3, #kinds.sources)
  end)
end)

describe("code.is_code", function()
  it("knows flows, policy and providers by the beginning of a name", function()
    for _, name in ipairs { "flows.source.lua", "policy.x.lua", "providers.lua", "flows" } do
      assert.is_true(code.is_code(name))
    end
    for _, name in ipairs { "flowsheet.lua", "a.policy.lua", "10-policy.lua", "x" } do
      assert.is_false(code.is_code(name))
    end
  end)
end)
