-- A profile and a backtrace give the name of a function alone: no two static ones share it.

local function sources()
  local list = {}
  local pipe = assert(io.popen("find src -name '*.c' | sort"))
  for path in pipe:lines() do
    list[#list + 1] = path
  end
  pipe:close()
  assert(#list > 100, "run from the top of the tree")
  return list
end

-- Names of the static functions that a text defines or declares, as a set.
local function statics(text)
  local found = {}
  for head in text:gmatch("\nstatic ([^;={}()]*%()") do
    found[head:match("([%w_]+)%($")] = true
  end
  return found
end

describe("static functions", function()
  it("have names of their own", function()
    local where = {}
    for _, path in ipairs(sources()) do
      local handle <close> = assert(io.open(path))
      for name in pairs(statics("\n" .. handle:read("a"))) do
        assert(not where[name], ("%s stands in %s and in %s: put its file's name in front"):format(
          name, where[name], path))
        where[name] = path
      end
    end
  end)

  it("are found where their type fills a line of its own, and among attributes", function()
    assert.same({ a = true, b_c = true, d = true }, statics([[

static int a(void)
static enum vic_routes_answer
b_c(struct vic_routes *routes)
static const char *d(int x)
static struct vic_x e;
static int f = g(1);
]]))
  end)
end)
