#!/bin/bash
# pod.sh PIDFILE LOG ROOT ACCOUNT SCRATCH UID PROGRAM [ARG...]
#
# Runs PROGRAM as a node would run a pod's container: in the root file system ROOT, read-only;
# ACCOUNT (token, ca.crt, namespace) where ServiceAccounts are, SCRATCH ("": none) at /tmp; as
# the user id UID, without capabilities or a way to get any; with the environment it was
# given, and no other. Needs root, for the mounts.
set -euo pipefail
pid=$1 log=$2 root=$3 account=$4 scratch=$5 uid=$6
shift 6
if [ -z "${IN_POD:-}" ]; then
  echo $$ > "$pid"
  IN_POD=1 exec unshare --mount --propagation private -- \
    "$0" "$pid" "$log" "$root" "$account" "$scratch" "$uid" "$@"
fi
unset IN_POD
mount --rbind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o size=1m,mode=755 tmpfs "$root/run"
where=$root/run/secrets/kubernetes.io/serviceaccount
mkdir -p "$where"
mount --bind "$account" "$where"
[ -z "$scratch" ] || mount --bind "$scratch" "$root/tmp"
mount -o remount,bind,ro "$root"
cd /
exec setpriv --no-new-privs /usr/sbin/chroot --userspec="$uid:$uid" --groups="$uid" "$root" "$@" 2>> "$log"
