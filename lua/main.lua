--- main: the subcommand. The first task; what it returns is the exit code.

local env = require "host.env"

local COMMANDS = {
  check = "cli.check",
  controller = "cli.controller",
  disk = "cli.disk",
  import = "cli.import",
  plan = "cli.plan",
  release = "cli.release",
  script = "cli.script",
  serve = "cli.serve",
}

local USAGE = [[
usage: vm-import-controller [COMMAND] [OPTION ...]

Moves virtual machines from VMware vSphere and OpenStack into Harvester. Without a
command it is the controller of a cluster.

  import   import machines into a directory; no cluster needed
  plan     print how they would be imported; nothing is touched
  check    try a site's scripts on a machine; no server needed
  serve    serve the disk images of a directory to a cluster
  disk     fetch one disk image, check it, write it as a raw file
  release  before it is uninstalled: cancel, clean up, let go of every object
  controller  the controller, as without a command; its options
  script   run a Lua file with this program's modules

Each of them explains itself with --help.
]]

local name = ...
if not name or name:sub(1, 2) == "--" and name ~= "--help" and name ~= "--version" then
  return require("cli.controller").run({ ... })
end
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
