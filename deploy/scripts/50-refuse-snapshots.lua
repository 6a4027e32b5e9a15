-- A machine with snapshots is not imported: here somebody decides first which of its
-- states is meant.

return {
  findings = function(input, builtin)
    local count = input.machine.snapshots
    if count == 0 then
      return nil
    end
    table.insert(builtin, {
      code = "SiteRefusesSnapshots",
      severity = "Blocks",
      subject = "machine",
      message = ("The machine has %d snapshots; this site imports none of those."):format(
        count),
      action = "Delete or consolidate them, then try again.",
    })
    return builtin
  end,
}
