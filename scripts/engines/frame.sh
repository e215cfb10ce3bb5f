# shellcheck shell=bash
# shellcheck disable=SC2034,SC2016,SC2154 # It shares variables with engine-test; single quotes hold programs for containers.
# Sourced by engine-test: how checks are run, counted and told.
#
# Every function of an engine's file whose name begins with check_ is one check, in the order of the file; its name is
# what the check says. A check runs in a subshell under `set -e`, and what it prints is shown only when it fails.

checks_run=0
checks_failed=0

# The longest that one command of a check may take, in seconds.
patience=${TENURE_ENGINE_PATIENCE:-60}

# Runs a command that may not hang.
limited() {
  timeout --kill-after=5 "$patience" "$@"
}

# Fails unless both words are the same.
same() {
  [ "$1" = "$2" ] || {
    printf 'got:      %s\nexpected: %s\n' "$1" "$2"
    return 1
  }
}

# Fails unless the first word holds the second.
holds() {
  case $1 in
    *"$2"*) ;;
    *)
      printf 'got:     %s\nwithout: %s\n' "$1" "$2"
      return 1
      ;;
  esac
}

# Fails if the command succeeds, which a `!` before it would not.
not() {
  if "$@"; then
    printf 'true, and should not be: %s\n' "$*"
    return 1
  fi
}

# Fails unless the command ends with the exit code named first. Its output, both channels, is passed on.
exits() {
  local expected=$1 status=0
  shift
  "$@" 2>&1 || status=$?
  [ "$status" = "$expected" ] || {
    printf 'exit code %s instead of %s: %s\n' "$status" "$expected" "$*" >&2
    return 1
  }
}

# Runs a command over and over until it succeeds, for as many seconds as are named first.
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || {
      printf 'never came true: %s\n' "$*"
      "$@" || true
      return 1
    }
    sleep 0.05
  done
}

# Runs a command on a terminal and talks to it: terminal.py tells how.
terminal() {
  limited python3 "$here/terminal.py" "$@"
}

# Whether no process here has this name.
gone() {
  ! pgrep "$1"
}

# Prints what the README has for an engine: its block of commands (sh) or what these print (text).
readme_block() {
  awk -v mark="<!-- run by scripts/engine-test $1 -->" -v open="\`\`\`$2" '
    $0 == mark { ours = 1 }
    ours && inside && /^```$/ { exit }
    ours && inside { print }
    ours && $0 == open { inside = 1 }
  ' "$repository/README.md"
}

# Does what the README says for an engine, and fails unless that prints what the README shows.
follow_readme() {
  local commands expected
  commands=$(readme_block "$1" sh)
  expected=$(readme_block "$1" text)
  holds "$commands" tenure
  same "$(eval "$commands")" "$expected"
}

# Runs one check; what it says, how it ends and how long it takes stay in files beside its log.
perform() {
  local function=$1 record=$work/checks/$1 status=0 begun=$SECONDS
  mkdir -p "$work/checks"
  # Not in a condition, where `set -e` would have no force.
  set +e
  (
    set -e
    "$function"
  ) >"$record.log" 2>&1 </dev/null
  status=$?
  set -e
  echo "$status $((SECONDS - begun))" >"$record.end"
}

# Tells how a check that has been performed ended.
report() {
  local function=$1 name status seconds slow=
  name=${function#check_}
  name=${name//_/ }
  read -r status seconds <"$work/checks/$function.end"
  checks_run=$((checks_run + 1))
  [ "$seconds" -lt 5 ] || slow=" ($seconds s)"
  if [ "$status" = 0 ]; then
    printf 'ok %s - %s%s\n' "$checks_run" "$name" "$slow"
  else
    printf 'not ok %s - %s%s\n' "$checks_run" "$name" "$slow"
    sed 's/^/#   /' "$work/checks/$function.log" | tail -n 60
    checks_failed=$((checks_failed + 1))
  fi
}

# The checks of files that were asked for, in their order.
checks_of() {
  local function
  sed -n 's/^\(check_[a-z0-9_]*\)() {$/\1/p' "$@" | while read -r function; do
    [[ ! $function =~ $wanted ]] || echo "$function"
  done
}

# Runs the checks of files one after another.
run_checks() {
  local function
  while read -r function; do
    perform "$function"
    report "$function"
  done < <(checks_of "$@")
}

# Runs the checks of files side by side, as many at a time as are named first, and tells their ends in the files' order.
run_checks_together() {
  local jobs=$1 function functions=() running=0
  shift
  mapfile -t functions < <(checks_of "$@")
  for function in "${functions[@]}"; do
    [ "$running" -lt "$jobs" ] || { wait -n && running=$((running - 1)); }
    perform "$function" &
    running=$((running + 1))
  done
  for function in "${functions[@]}"; do
    until_performed "$function"
    report "$function"
  done
}

# Waits for a check that was begun in the background.
until_performed() {
  while [ ! -s "$work/checks/$1.end" ]; do
    wait -n || sleep 0.1
  done
}

# Puts programs where containerd finds a shim by its name, and the shim for runc its runtime.
name_shim_programs() {
  ln -s "$runtime" "$work/bin/runc"
  [ ! -x "$TENURE_SHIM" ] || ln -s "$(readlink -f "$TENURE_SHIM")" "$work/bin/containerd-shim-tenure-v1"
}

# Programs for containers. A cgroup's files are named by its version.
memory_limit='cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max'
pids_limit='cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max'
cpu_quota='cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d" " -f1 /sys/fs/cgroup/cpu.max'
# Lets a child use more memory than any limit here allows; the parent lives on until that has been noticed.
eat_memory='tail /dev/zero; code=$?; sleep 0.5; exit $code'
# Shows its terminal and, over and over, its size; ends with 5 at SIGINT.
show_size='trap "exit 5" INT; tty; while :; do stty size; sleep 0.1; done'
# Ends at SIGTERM with code 7, and says when it is ready for it.
on_term='trap "echo stopping; exit 7" TERM; echo ready; while :; do sleep 0.05; done'
