std = "lua54"
max_line_length = 90
unused_args = false
files["lua"] = {
  -- Tasks wait through host.task; a coroutine of a script's own would be lost.
  not_globals = { "coroutine" },
}
files["spec"] = { std = "+busted", globals = { "arg", "os" } }
