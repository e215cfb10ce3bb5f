# shellcheck shell=bash disable=SC2154 # shares variables with the scripts beside it
# Runs a command in a resumed machine, with its output as ours. Sourced by scripts/vm-test.

# Seconds that the machine is given less than the script, so that it can tell what it was at.
reserve=30

# Variables that mean something to tests, passed on where they are set here.
passed_on=(TENURE_RUNTIME TENURE_SYSTEMD_CGROUP TENURE_LOG RUST_BACKTRACE RUST_LOG)

# Prints the shell script for the machine: the environment, then the command.
guest_script() {
  local payload=$1 name tolerance=1 threads=4
  shift
  # Starting a process is thirty times slower in an emulated machine, other system calls five times; and it has no time
  # to spare for tests that run side by side.
  [ "$(accelerator)" = kvm ] || tolerance=8 threads=2
  printf 'export %q\n' TENURE_VM=1 TENURE_REQUIRE_ALL=1 "TENURE_TOLERANCE=${TENURE_TOLERANCE:-$tolerance}" \
    "RUST_TEST_THREADS=${RUST_TEST_THREADS:-$threads}"
  for name in "${passed_on[@]}"; do
    [ -z "${!name:-}" ] || printf 'export %q\n' "$name=${!name}"
  done
  if [ -e "$payload/bin/tenure" ]; then
    printf 'export %q\n' TENURE_BIN=/payload/bin/tenure
    echo 'ln -s /payload/bin/tenure /usr/local/bin/tenure'
  fi
  if [ -d "$payload/repository" ]; then
    printf 'mkdir -p %q && mount --bind /payload/repository %q && cd %q\n' "$repository" "$repository" "$repository"
  fi
  printf '%q ' "$@"
  echo
}

make_disks() {
  local work=$1 payload=$2
  shift 2
  {
    echo "GO $(date +%s) $(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')"
    guest_script "$payload" "$@"
  } >"$work/command"
  [ "$(stat -c %s "$work/command")" -lt 65536 ] || fail "the command is longer than 64 KiB"
  truncate -s "$command_size" "$work/command"
  attend mkfs.ext4 -q -O ^has_journal,^metadata_csum,^resize_inode -E nodiscard,lazy_itable_init=1 -i 65536 -m 0 \
    -d "$payload" "$work/payload" "$payload_size" >/dev/null
}

# Runs a command with the files of $payload in /payload, or the planned tests without one, and sets $outcome to its exit
# status.
run_machine() {
  local work=$1 payload=$2 start=$SECONDS reader
  shift 2
  [ $# -gt 0 ] || set -- bash /payload/suite "$((deadline - SECONDS - reserve))"
  make_disks "$work" "$payload" "$@"
  ln -s "$image" "$work/image"
  ln -s "$state" "$work/state"
  : >"$work/status"
  mkfifo "$work/output"
  setpriv --pdeathsig KILL tee "$work/output.log" <"$work/output" &
  reader=$!
  start_machine "$work" snapshot=on -incoming "exec:zstd -dcq state/memory.zst" </dev/null
  wait "$machine" || machine_failed "$work" "QEMU failed"
  wait "$reader" || true
  outcome=$(sed -n 's/^ended //p' "$work/status" | tr -d '\r')
  [ -n "$outcome" ] || machine_failed "$work" "the machine ended without telling how its command did"
  note "the machine ran for $((SECONDS - start)) s"
  if [ "$outcome" != 0 ] && grep -qv 'sysrq: Resetting' "$work/console"; then
    note "its console says:"
    grep -v 'sysrq: Resetting' "$work/console" | tail -n 40
  fi
}
