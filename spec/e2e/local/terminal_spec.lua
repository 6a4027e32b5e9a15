-- What a person sees who runs `import` on a terminal, as wide as theirs is, or ends it in
-- the middle; script(1) is the terminal.

local file = require "host.file"
local lab = require "support.lab"
local many = require "support.many"
local process = require "host.process"
local program = require "support.program"

local NICS = 3

local function has(text, part)
  assert(text:find(part, 1, true), ("%q is not in:\n%s"):format(part, text))
end

-- The lines that were on the screen at any time, without colours and cursor movements.
local function lines_of(screen)
  local lines = {}
  for line in screen:gsub("\27%[[%d;]*[mAJ]", ""):gmatch("[^\r\n]+") do
    lines[#lines + 1] = line
  end
  return lines
end

describe("import on a terminal", function()
  local folder, sim, args

  lazy_setup(function()
    folder = lab.folder()
    sim = lab.simulator(folder.path, { scenario = many.scenario(6, NICS) })
  end)

  lazy_teardown(function()
    getmetatable(sim).__close(sim)
    getmetatable(folder).__close(folder)
  end)

  before_each(function()
    sim:post("/reset")
    assert(file.remove(folder.path .. "/out", { recursive = true, missing_ok = true }))
    args = lab.import_args(sim, folder.path, { imports = { { name = "many",
      machine = "many", spec = { networkMapping = many.spec(NICS - 1).networkMapping,
        defaultDiskBusType = "virtio" } } } })
  end)

  -- Runs it on a terminal; what that received.
  local function on_terminal(columns, variables)
    local words = {}
    for i, word in ipairs { lab.program, table.unpack(args) } do
      words[i] = "'" .. word .. "'"
    end
    local result = assert(process.run({
      argv = { "script", "-qec", ("stty cols %d; exec %s >/dev/null"):format(columns,
        table.concat(words, " ")), "/dev/null" },
      env = variables, stdin = "", timeout = 120,
    }))
    assert(result.status == 0, result.stdout)
    return result.stdout
  end

  for _, columns in ipairs { 40, 80, 200 } do
    it(("is not wider than %d columns, and names disks as their source does"):format(columns),
      function()
        sim:post("/faults", { on = "nfc", ["do"] = "stall", file = "disk", seconds = 0.7,
          bytes = 1, count = 2 })
        local screen = on_terminal(columns, { TERM = "xterm" })
        has(screen, "\27[33mWarns\27[0m: Network adapter 3: ")
        for _, line in ipairs(lines_of(screen)) do
          assert(utf8.len(line) < columns or not line:find(" ", 3, true), line)
        end
        has(screen, "many: Hard disk 6: whole,")
      end)
  end

  for name, variables in pairs { NO_COLOR = { TERM = "xterm", NO_COLOR = "1" },
    ["TERM=dumb"] = { TERM = "dumb" } } do
    it("has no colours with " .. name, function()
      local screen = on_terminal(80, variables)
      has(screen, "Warns: Network adapter 3: ")
      assert.is_nil(screen:find("\27%[[%d;]*m"))
      if variables.TERM == "dumb" then
        assert.is_nil(screen:find("\27"))
      end
    end)
  end

  it("says nothing of a terminal into a pipe, and each finding on a line", function()
    local result = lab.run(args)
    assert.equal(0, result.status)
    assert.is_nil(result.stderr:find("\27"))
    assert.matches("\nWarns: Network adapter 3: [^\n]+spec.networkMapping%)\n",
      result.stderr)
    assert.is_nil(result.stderr:find("0 B of 0 B", 1, true))
  end)

  for signal, code in pairs { INT = 130, TERM = 143 } do
    it("says what stays and how to go on when SIG" .. signal .. " ends it", function()
      sim:post("/faults", { on = "nfc", ["do"] = "stall", file = "disk-5", seconds = 60,
        bytes = 1 })
      local running <close> = program.start(folder.path, args)
      lab.wait_for("five disks are whole", function()
        local whole = 0
        for _, path in ipairs(lab.files(folder.path .. "/out")) do
          whole = whole + (path:find("%.raw$") and 1 or 0)
        end
        return whole == 5
      end)
      running:signal(signal)
      local result = running:wait(30)
      assert.equal(code, result.status)
      has(result.stderr, "many: interrupted: 5 of its 6 disks are whole, and kept. To go "
        .. "on, leave the machine off at the source and run the same command again.\n")
      sim:post("/reset")
      assert.equal(0, lab.run(args).status)
    end)
  end
end)
