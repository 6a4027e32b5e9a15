-- Which folder's files may require which, of those in lua/; all may require host.*, but
-- for policy, which is pure.
local MAY = {
  base = "base host.json host.text", -- what anybody may require
  kube = "base host kube",
  disk = "base disk host",
  policy = "base policy host.json", -- json.array alone
  providers = "base host providers",
  store = "base host kube store",
  targets = "base disk host kube targets",
  flows = "base flows host kube policy",
  sources = "base host sources",
  site = "base host site",
  controller = "base controller host kube site sources targets",
  cli = "base cli controller disk flows host kube policy providers site sources store targets",
}

local MOST = 20 -- files of one folder, a header and its source counted once
local LARGER = {
  ["src/disk"] = "one pipeline of small files that are read one after the other",
  ["src/net"] = "a client and a server of HTTP, the same pieces under both",
  ["src/host"] = "a file for each module that Lua gets",
}

local function lines_of(command)
  local list = {}
  local pipe = assert(io.popen(command))
  for line in pipe:lines() do
    list[#list + 1] = line
  end
  pipe:close()
  return list
end

local MODULES = lines_of("cd lua && find . -name '*.lua' -printf '%P\\n' | sort")

-- What a file of lua/ requires. A generation's `code:require` is another thing: it finds
-- the modules that a site replaces.
local function required_by(path)
  local names = {}
  for line in io.lines("lua/" .. path) do
    local name = line:gsub("[%w_]:require", ""):match("require%s*%(?%s*[\"']([%w_.]+)")
    names[#names + 1] = name
  end
  return names
end

local function folder_of(path)
  return path:match("^(%w+)/")
end

local function may_of(folder)
  local may = {}
  for name in (MAY[folder] or ""):gmatch("%S+") do
    may[name] = true
  end
  return may
end

-- {[folder] = {[folder that its files require] = true}}
local function required_folders()
  local of = {}
  for _, path in ipairs(MODULES) do
    local from = folder_of(path)
    for _, name in ipairs(from and required_by(path) or {}) do
      local to = name:match("^%w+")
      if MAY[to] and to ~= from then
        of[from] = of[from] or {}
        of[from][to] = true
      end
    end
  end
  return of
end

-- The circle that leads back to a folder on the way to `at`, as text, or nil.
--
--   way  list of folders; the last one requires `at`
local function circle(of, at, way)
  for _, folder in ipairs(way) do
    if folder == at then
      return table.concat(way, " -> ") .. " -> " .. at
    end
  end
  way[#way + 1] = at
  for to in pairs(of[at] or {}) do
    local found = circle(of, to, way)
    if found then
      return found
    end
  end
  way[#way] = nil
end

describe("layout:", function()
  for _, path in ipairs(MODULES) do
    it(path .. " requires only what its folder may", function()
      local folder = folder_of(path)
      if path == "main.lua" then
        return
      end
      assert(folder, "lua/ holds main.lua alone: move " .. path .. " into a folder")
      assert(MAY[folder], "say in MAY what files of lua/" .. folder .. " may require")
      local may = may_of(folder)
      for _, name in ipairs(required_by(path)) do
        assert(may[name] or may[name:match("^%w+")], path .. " requires " .. name)
      end
    end)
  end

  it("no folder of lua/ requires one that requires it", function()
    local of = required_folders()
    for folder in pairs(MAY) do
      local found = circle(of, folder, {})
      assert(not found, found)
    end
  end)

  for _, folder in ipairs(lines_of("find lua src -type d | sort")) do
    it(("%s holds no more than %d files"):format(folder, MOST), function()
      local files = lines_of(("find %s -maxdepth 1 -type f -printf '%%f\\n' | sed 's/[.].*//' "
        .. "| sort -u"):format(folder))
      assert(#files <= MOST or LARGER[folder], ("%s holds %d: divide it, or say in LARGER "
        .. "why it reads well"):format(folder, #files))
    end)
  end

  for _, path in ipairs(lines_of("find src/base src/net src/disk -name '*.[ch]'")) do
    it(path .. " sees no Lua", function()
      for line in io.lines(path) do
        assert.falsy(line:find("#include [<\"]l?ua[xl]?[a-z]*%.h"), path .. ": " .. line)
      end
    end)
  end
end)
