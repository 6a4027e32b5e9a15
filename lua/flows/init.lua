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
-- env, what every flow gets:
--   store        kube.client or store.directory: get, list, create, patch, delete
--   target       targets.*: where disks and machines go
--   open_source  function (ref) -> source | nil, err; `<close>` gives it back   [waits]
--   hook         function (name, input, builtin, accept) -> value | nil, err: a site's
--                say (policy.plan)                                              [waits]
--   script_generation  string, optional: of which scripts it is the say
--   secret       function (ref) -> {key = text} | nil, err                      [waits]
--   now          function () -> seconds since 1970
--   options      table: strict_tls, poll, parallel_disks, sha512, max_retries,
--                give_up_after ...
--   is_final     function (err) -> boolean: trying again cannot cure it
--   supports     function (kind) -> boolean, optional: is there a provider for it
--   take_place   function (import) -> true | false, why; optional: the limits
--   reserve_name function (import, plan, take) -> true | false, who: optional; whether
--                the machine's name may be this import's; take: it is from now on
--   plan_permit  function (import) -> permit, to be closed; optional: how many of one
--                source are planned at once                                     [waits]
--   journal      kube.journal, optional: the log, which says each thing once
--   observer     table, optional: :working(import, message),
--                :disk_started(import, disk, transfer) and
--                :disk_ended(import, disk, transfer, result, err)

return {
  { kind = "VmwareSource", module = "flows.source" },
  { kind = "OpenstackSource", module = "flows.source" },
  { kind = "OvaSource", module = "flows.source" },
  { kind = "VirtualMachineImport", module = "flows.import" },
}
