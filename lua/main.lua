--- main: the subcommand. The first task; what it returns is the exit code.

local COMMANDS = {
  script = "cli.script",
}

local name = ...
local command = COMMANDS[name]
if not command then
  io.stderr:write("vm-import-controller: no such command: ", tostring(name), "\n")
  return 2
end
return require(command).run({ select(2, ...) })
