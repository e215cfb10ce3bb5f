# shellcheck shell=bash disable=SC2154 # shares variables with the scripts beside it
# Sees to it that nothing outlives the script, however it ends: no process, no half-made directory. Sourced by
# scripts/vm-test. Processes die with the script even when it is killed (setpriv --pdeathsig); directories that it then
# leaves carry its process id and are removed by the next run.

directories_to_remove=()

# Runs a program that may take long. Signals and the time limit end it at once, where bash alone would wait for it.
attend() {
  setpriv --pdeathsig KILL "$@" <&0 &
  wait $!
}

remove_at_exit() {
  directories_to_remove+=("$1")
}

give_up() {
  local status=$1
  shift
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit "$status"
}

# From now on the script has so many seconds to live.
limit_time() {
  local seconds=$1
  # shellcheck disable=SC2034 # run.sh reads it
  deadline=$((SECONDS + seconds))
  # One process that waits without a child: a read that nothing answers.
  # shellcheck disable=SC2016 # expanded by the bash that is started
  setpriv --pdeathsig KILL bash -c 'exec {never}<> <(:); read -r -t "$1" -u "$never"; kill -ALRM "$PPID"' \
    watchdog "$seconds" &
  # shellcheck disable=SC2064 # the limit of now
  trap "give_up 124 'over the time limit of $seconds s'" ALRM
}

clean_up() {
  local process
  trap '' INT TERM HUP ALRM
  for process in $(jobs -pr); do
    kill -KILL "$process" 2>/dev/null || true
    wait "$process" 2>/dev/null || true
  done
  [ ${#directories_to_remove[@]} = 0 ] || rm -rf --one-file-system "${directories_to_remove[@]}"
}

set -o errtrace
trap 'printf "%s: line %s of %s failed: %s\n" "$(basename "$0")" "$LINENO" "${BASH_SOURCE[0]}" "$BASH_COMMAND" >&2' ERR
trap clean_up EXIT
trap 'give_up 130 interrupted' INT
trap 'give_up 143 "ended by SIGTERM"' TERM
trap 'give_up 129 "the terminal was closed"' HUP

# What runs that were killed have left in the cache.
remove_leftovers() {
  local directory process
  for directory in "$vm_cache"/{build,state,run}.*.*; do
    process=${directory#"$vm_cache"/*.}
    process=${process%.*}
    if [ -d "$directory" ] && ! [ -d "/proc/$process" ]; then
      rm -rf --one-file-system "$directory"
    fi
  done
}
