--- main: the subcommand. The first task; what it returns is the exit code.

local env = require "host.env"

local COMMANDS = {
  disk = "cli.disk",
  import = "cli.import",
  script = "cli.script",
}

local USAGE = [[
usage: vm-import-controller COMMAND [OPTION ...]

Moves virtual machines from VMware vSphere into Harvester.

  import   import machines into a directory; no cluster needed
  disk     fetch one disk image, check it, write it as a raw file
  script   run a Lua file with this program's modules

Each of them explains itself with --help.
]]

local name = ...
if name == "--help" or name == "-h" or name == "help" then
  env.stdout(USAGE)
  return 0
elseif name == "--version" then
  env.stdout("vm-import-controller " .. env.version() .. "\n")
  return 0
elseif not COMMANDS[name] then
  env.stderr(name and ("vm-import-controller: no such command: %s\n"):format(name) or "")
  env.stderr(USAGE)
  return 2
end
return require(COMMANDS[name]).run({ select(2, ...) })
