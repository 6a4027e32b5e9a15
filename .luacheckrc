std = "lua54"
max_line_length = 90
unused_args = false

-- Tasks wait through host.task; a coroutine of a script's own would be lost.
not_globals = { "coroutine" }

-- main.c keeps Lua's own search paths here for `script`.
read_globals = { package = { other_fields = true, read_only = false } }

files["spec"] = { std = "+busted", max_line_length = 100, globals = { "arg", "os" } }
