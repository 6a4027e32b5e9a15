--- flows: the objects of ours that something happens to, and what.
--
-- A flow: {kind, reconcile}. `reconcile(key, env)` looks at the object of that key
-- ({namespace, name}) and does what is next; it returns
--
--   nil               nothing to do until something changes
--   {after = s}       call again in so many seconds
--   {after = s, again = why}  the same: another writer was quicker; with back-off if that
--                     goes on
--
-- and throws what it could not write into the object's status. It keeps nothing
-- between calls.
--
-- What it gets, `env`: flows.environment.

return {
  { kind = "VmwareSource", module = "flows.source" },
  { kind = "OpenstackSource", module = "flows.source" },
  { kind = "OvaSource", module = "flows.source" },
  { kind = "VirtualMachineImport", module = "flows.import" },
}
