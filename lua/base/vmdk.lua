--- base.vmdk: what the first bytes of a VMDK say. Pure.
--
-- Source: VMware, Virtual Disk Format 5.0.

local M = {}

local MARKED_STREAM = 0x30000 -- flags: compressed grains, with markers

--- vmdk.is_stream(head) -> boolean
-- Whether it is stream-optimised, so that it can be decoded while it comes.
function M.is_stream(head)
  return head:sub(1, 4) == "KDMV" and #head >= 12
    and string.unpack("<I4", head, 9) & MARKED_STREAM == MARKED_STREAM
end

return M
