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
      message = ("the machine has %d snapshots, and this site imports none that has some")
        :format(count),
      action = "delete or consolidate them at the source",
    })
    return builtin
  end,
}
