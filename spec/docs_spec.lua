-- What the documents say, held against the code.

local plan = require "policy.plan"
local sandbox = require "site.sandbox"
local yaml = require "host.yaml"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

describe("docs/security.md", function()
  local text = read("docs/security.md")

  it("names specs that there are, under each heading of promises", function()
    local named = 0
    for path in text:gmatch("`(spec/[%w_/.]+)`") do
      named = named + 1
      assert.truthy(io.open(path), path .. " is not there")
    end
    assert.truthy(named >= 15)
  end)

  -- "all secrets get", and "!" behind it where names are given, of rules in role.yaml.
  local function granted()
    local list = {}
    for _, role in ipairs(assert(yaml.parse(read("deploy/role.yaml")))) do
      local where = role.kind == "ClusterRole" and "all" or "own"
      for _, rule in ipairs(role.rules or {}) do
        for _, resource in ipairs(rule.resources) do
          local group = rule.apiGroups[1]
          list[#list + 1] = ("%s %s %s%s"):format(where,
            resource .. (group ~= "" and "." .. group or ""), table.concat(rule.verbs, " "),
            rule.resourceNames and " !" or "")
        end
      end
    end
    table.sort(list)
    return list
  end

  it("lists the rights of deploy/role.yaml, and no others", function()
    local said = {}
    local row = "\n| (%l%l%l) | ([^|]+) | ([^|]*)| ([^|]+) | [^\n|]+ |"
    local at = 1
    while true do
      local from, last, where, on, named, verbs = text:find(row, at)
      if not from then
        break
      end
      for resource in on:gmatch("`([^`]+)`") do
        said[#said + 1] = ("%s %s %s%s"):format(where, resource, verbs,
          named:find("%S") and " !" or "")
      end
      at = last
    end
    table.sort(said)
    assert.same(granted(), said)
  end)

  it("says first who is trusted, last what is accepted, and each promise between", function()
    local headings = {}
    for heading in text:gmatch("\n## ([^\n]+)") do
      headings[#headings + 1] = heading
    end
    assert.same({ "Assets", "Who is trusted with what", "Bounds", "Confinement",
      "TLS and credentials", "Text of others", "Probes", "Tenants", "Rights",
      "Binary and image", "Accepted risks", "In vSphere", "In OpenStack", "Reporting" },
      headings)
  end)
end)

describe("docs/scripting.md", function()
  local text = read("docs/scripting.md")

  local function rows()
    local list = {}
    for name, called in text:gmatch("\n| `([%l_]+)` | ([^|]-) | [^\n]- |") do
      list[#list + 1] = name .. ": " .. called
    end
    return list
  end

  it("lists every hook, in the order they are called", function()
    local per = { disk = "per disk", nic = "per NIC" }
    local expected = {}
    for _, decision in ipairs(plan.decisions) do
      if decision.name then
        expected[#expected + 1] = decision.name .. ": " .. (per[decision.per] or "once")
      end
    end
    expected[#expected + 1] = "findings: once"
    assert.same(expected, rows())
    assert.equal(#sandbox.hooks(plan), #expected)
  end)

  it("begins with a script that does what it says", function()
    local script = text:match("```lua\n(.-)```")
    local box <close> = sandbox.new()
    local set = assert(box:load({ ["10-network.lua"] = script }, plan))
    local function network(name)
      return set:hook("nic_network", { nic = { network = { name = name } } }, nil,
        function(value) return value end)
    end
    assert.equal("default/vlan20", network("VLAN 20 backup"))
    assert.is_nil(network("VM Network"))
  end)
end)
