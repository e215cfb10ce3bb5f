# shellcheck shell=bash disable=SC2154 # shares variables with scripts/conformance
# Sourced by scripts/conformance: one program of a suite, and nothing of it left afterwards.
# Reads: work, limit.

# Names that the suites give to cgroups of their own. The other cgroups are called by a container's id, a UUID.
suite_cgroups='cgrouptest|testdir|runtime-test'
uuid='[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'

# Runs a command with a limit of seconds and with PID and mount namespaces of its own, so that no process and no mount
# stays behind. Bash is process 1 there and reaps orphans, which the suites' programs do not.
isolated() {
  local seconds=$1
  shift
  # The command is given as arguments, and must not be expanded before.
  # shellcheck disable=SC2016
  timeout --signal=KILL "$seconds" \
    unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
    bash -c '"$@"; exit $?' bash "$@" </dev/null
}

# crun refuses a machine on which cgroup v1 controllers are in use beside a cgroup2 mount that has controllers of its
# own to offer. For crun alone the latter says that it has none.
prepared() {
  local runtime=$1 offered=/sys/fs/cgroup/unified/cgroup.controllers
  shift
  if [ "$runtime" = crun ] && [ -e "$offered" ]; then
    mount --bind /dev/null "$offered"
  fi
  "$@"
}

cgroups_of_suites() {
  find /sys/fs/cgroup -depth -type d 2>/dev/null | grep -E "/(($suite_cgroups)(/|$)|$uuid$)" || true
}

# Deletes what containers of a program are left below $1, the program's directory, with the runtime $2.
delete_containers() {
  local directory=$1 runtime=$2 root id
  for root in "$directory/root" "$directory"/tmp/*/runtime; do
    [ -d "$root" ] || continue
    while read -r id; do
      "$runtime" --root "$root" delete --force "$id" || true
    done < <("$runtime" --root "$root" list -q || true)
  done
}

# What a program leaves: containers, then cgroups that were not there before (their list is $3), then its directory.
sweep() {
  local directory=$1 runtime=$2 before=$3 cgroup
  export -f delete_containers
  isolated 60 bash -c 'delete_containers "$@"' bash "$directory" "$runtime" >/dev/null 2>&1 || true
  while read -r cgroup; do
    rmdir "$cgroup" 2>/dev/null || true
  done < <(cgroups_of_suites | grep -vxF -f "$before")
  rm -rf --one-file-system "$directory"
}
