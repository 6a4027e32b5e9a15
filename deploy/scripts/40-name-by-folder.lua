-- Names get a prefix by the folder that the machine lies in at the source:
-- /DC0/vm/Prod/web -> prod-web. A name that spec.targetName states is left as it is.

local PREFIX = {
  Prod = "prod-",
  Test = "test-",
}

return {
  name = function(input, builtin)
    if (input.spec.targetName or "") ~= "" then
      return nil
    end
    local folder = input.machine.path:match("([^/]+)/[^/]*$")
    local prefix = PREFIX[folder]
    return prefix and (prefix .. builtin):sub(1, 63):gsub("%-+$", "") or nil
  end,
}
