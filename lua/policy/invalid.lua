--- policy.invalid: the one error that planning can end in.
--
-- policy may not require host.error; flows see the same shape: kind, message, __tostring.

local mt = {
  __name = "error",
  __tostring = function(err)
    return err.message
  end,
}

--- invalid(format, ...) -> err
--
--   err  {kind = "invalid", message}  what is wrong, and with which field
return function(format, ...)
  return setmetatable({ kind = "invalid", message = format:format(...) }, mt)
end
