-- Which folder's files may require which. Files directly in lua/ and cli/ wire the rest;
-- `values` is pure and anybody's.
local MAY = {
  disk = { disk = true, host = true },
  kube = { host = true, kube = true },
  flows = { host = true, kube = true, flows = true, policy = true },
  policy = { policy = true, ["host.json"] = true }, -- json.array alone
  providers = { host = true, providers = true },
  store = { host = true, kube = true, store = true },
  targets = { disk = true, host = true, kube = true, targets = true },
}

local function files(command)
  local list = {}
  local pipe = assert(io.popen(command))
  for path in pipe:lines() do
    list[#list + 1] = path
  end
  pipe:close()
  return list
end

describe("layout:", function()
  for _, path in ipairs(files("cd lua && find . -name '*.lua' -printf '%P\\n'")) do
    it(path .. " requires only what its folder may", function()
      local may = MAY[path:match("^(%w+)/")]
      for line in io.lines("lua/" .. path) do
        local name = line:match("require%s*%(?%s*[\"']([%w_.]+)")
        if name and may then
          local ok = name == "values" or may[name] or may[name:match("^%w+")]
          assert(ok, path .. " requires " .. name)
        end
      end
    end)
  end

  for _, path in ipairs(files("find src/base src/net src/disk -name '*.[ch]'")) do
    it(path .. " sees no Lua", function()
      for line in io.lines(path) do
        assert.falsy(line:find("#include [<\"]l?ua[xl]?[a-z]*%.h"), path .. ": " .. line)
      end
    end)
  end
end)
