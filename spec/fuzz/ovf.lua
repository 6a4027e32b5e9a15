--- Fuzz: an OVF is read to a sound Machine, or refused with a sound err.

package.path = "spec/?.lua;" .. package.path

local support = require "support.ovf"

return function(_, text)
  support.outcome(text)
end
