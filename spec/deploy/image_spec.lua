-- deploy/Dockerfile, read: a container engine is needed to build it. What it makes must be
-- what scripts/image makes.

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- Instructions, each on one line: {"COPY", "a b/"}.
local function instructions(text)
  local list = {}
  local whole = text:gsub("\\\n%s*", " "):gsub("\n#[^\n]*", "\n")
  for word, rest in whole:gmatch("\n(%u+) ([^\n]+)") do
    list[#list + 1] = { word, rest }
  end
  return list
end

local function exists(path)
  return os.execute(("test -e '%s'"):format(path)) == true
end

describe("deploy/Dockerfile", function()
  local text, script = read("deploy/Dockerfile"), read("scripts/image")
  local list = instructions("\n" .. text)

  local function all(word)
    local found = {}
    for _, instruction in ipairs(list) do
      if instruction[1] == word then
        found[#found + 1] = instruction[2]
      end
    end
    assert.truthy(#found > 0, word)
    return found
  end

  it("copies what there is", function()
    for _, arguments in ipairs(all("COPY")) do
      local from = not arguments:find("^%-%-from=") and arguments:match("^(%S+)")
      assert.truthy(not from or exists(from), arguments)
    end
  end)

  it("runs what may be run, with names that are known", function()
    local called = {}
    for _, command in ipairs(all("RUN")) do
      for path in command:gmatch("[%w_/]+") do
        if path:find("^scripts/") or path:find("^deploy/") then
          called[path] = true
          assert.truthy(os.execute(("test -x '%s'"):format(path)), path)
        end
      end
    end
    assert.same({ ["scripts/bootstrap"] = true, ["deploy/image/rootfs"] = true }, called)
    local usage = read("scripts/bootstrap"):match("GROUP%.%.%.(.-)\nEND")
    for group in text:match("scripts/bootstrap ([%l ]+)\n"):gmatch("%l+") do
      assert.truthy(usage:find("\n  " .. group .. " ", 1, true), group)
    end
  end)

  it("takes its packages from the one list, of one release", function()
    assert.is_nil(text:find("apt-get install", 1, true))
    local rootfs = read("deploy/image/rootfs")
    assert.truthy(rootfs:find('"$here/packages"', 1, true))
    assert.equal(text:match("FROM debian:(%l+)%-slim"), rootfs:match("\nRELEASE=(%l+)\n"))
    assert.equal(rootfs:match("\nRELEASE=(%l+)\n"),
      read("scripts/debian13"):match("\nRELEASE=(%l+)\n"))
    assert.truthy(script:find('deploy/image/rootfs"', 1, true))
  end)

  it("says of the image what scripts/image says", function()
    local labels = 0
    for label, value in text:gmatch('(org%.opencontainers%.%S-)="([^"]+)"') do
      labels = labels + 1
      local said = script:match(("config%%.label=\"?%s=([^\n]-)\"? ?\\?\n"):format(
        label:gsub("%p", "%%%0")))
      assert.truthy(said, label)
      if not value:find("$", 1, true) then
        assert.equal(value, said)
      end
    end
    assert.equal(5, labels)
    assert.equal(all("USER")[1], script:match("config%.user=(%S+)"))
    assert.equal(('["%s"]'):format(script:match("config%.entrypoint=(%S+)")),
      all("ENTRYPOINT")[1])
    for port in all("EXPOSE")[1]:gmatch("%d+") do
      assert.truthy(script:find("config.exposedports=" .. port, 1, true))
    end
    assert.equal(read("CMakeLists.txt"):match("project%([^)]- VERSION ([%d.]+)"),
      text:match("ARG VERSION=v([%w.]+)"))
  end)
end)
