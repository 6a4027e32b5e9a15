--- cli.site: the site's scripts as a command takes them from a folder.

local env = require "host.env"
local errors = require "host.error"
local scripts = require "site.scripts"

local M = {}

--- site.use(site, dir, command) -> generation                           [waits]
-- Throws when a script is broken; says on stderr which files are left out.
--
--   site     scripts
--   dir      path or nil: without scripts
--   command  string  who speaks: "import"
function M.use(site, dir, command)
  if not dir then
    return site.current
  end
  local generation, err = site:use(assert(scripts.read(dir)))
  if not generation then
    error(errors.wrap(err, dir))
  end
  for _, ignored in ipairs(generation.ignored) do
    env.stderr(("vm-import-controller %s: %s/%s is left out: %s\n"):format(command, dir,
      ignored.name, ignored.reason))
  end
  return generation
end

return M
