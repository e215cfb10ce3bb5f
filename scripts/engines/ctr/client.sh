# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034,SC2154 # Single quotes hold programs for containers; variables are shared with engine-test.
# Sourced by the engines that are driven by ctr: how containers are run and looked at.

# The namespace is also where the cgroups of its containers are.
ctr_command=("$(command -v ctr)" --address "$work/containerd.sock" --namespace "$parent")

# Every call of ctr here, bounded in time.
ctr() {
  limited "${ctr_command[@]}" "$@"
}

# An engine's run_command holds the words that make ctr run a container by the runtime that is tested.

# Runs a container that is removed at its end: options, then its name and its program.
run() {
  ctr "${run_command[@]}" --rm "$@"
}

# What follows a program whose output is looked at: ctr gives up the streams of a program that has ended before it has
# opened them all, which a busy machine makes likely (so with every runtime).
linger='; code=$?; sleep 0.3; exit $code'

# Starts a container in the background that stays, named last; options come before.
start_box() {
  ctr "${run_command[@]}" --detach "${@:1:$#-1}" "$image" "${!#}" sleep 1000
}

remove() {
  ctr tasks kill --signal KILL "$1" || true
  until_true 10 is_task "$1" STOPPED
  ctr tasks delete "$1" || true
  ctr containers delete "$1"
}

is_task() {
  ctr tasks list | awk -v name="$1" -v status="$2" '$1 == name && $3 == status { found = 1 } END { exit !found }'
}

task_pid() {
  ctr tasks list | awk -v name="$1" '$1 == name { print $2 }'
}

# What the cgroups of a container allow: memory, processor time in a period, processes.
limits_of() {
  local group=/sys/fs/cgroup/$parent/$1
  if [ -e "$group/memory.max" ]; then
    cat "$group/memory.max" && cut -d' ' -f1 "$group/cpu.max" && cat "$group/pids.max"
  else
    cat "/sys/fs/cgroup/memory/$parent/$1/memory.limit_in_bytes" "/sys/fs/cgroup/cpu/$parent/$1/cpu.cfs_quota_us" \
      "/sys/fs/cgroup/pids/$parent/$1/pids.max"
  fi
}

# Runs a program in a container: options, then the container and the program.
execute() {
  ctr tasks exec --exec-id "exec-$BASHPID-$RANDOM" "$@"
}

# Starts containerd and reads its events into a file from then on.
start_daemon() {
  containerd --config "$work/config.toml" >>"$work/containerd.log" 2>&1 &
  echo $! >"$work/containerd.pid"
  # Bash need not tell that checks kill it.
  disown
  until_true 30 ctr version || { tail -n 20 "$work/containerd.log"; return 1; }
  "${ctr_command[@]}" events >>"$work/events" 2>/dev/null &
}

# A client of containerd's gRPC interface, for what ctr cannot: client.py tells its commands.
client() {
  limited /usr/bin/python3 "$here/client.py" "$work/containerd.sock" "$parent" "$@"
}

stop_engine() {
  local name
  for name in $(ctr tasks list --quiet); do remove "$name" >/dev/null 2>&1 || true; done
  kill "$(cat "$work/containerd.pid")"
}

# Much work at once: load.py tells its commands. It may take longer than one request.
load() {
  timeout --kill-after=5 3600 /usr/bin/python3 "$here/load.py" "$work/containerd.sock" "$parent" "$@"
}

# Whether the events of a container, named first, hold the topic.
has_event() {
  events_of "$1" | grep -F " $2 "
}

# The events of a container.
events_of() {
  grep -F "\"$1\"" "$work/events"
}

# Whether the shim under test may lose events. The one for runc does when it ends right after the last delete, and on a
# busy machine one that tells of too little memory.
loses_events() {
  [ "${shim_runtime:-}" != io.containerd.tenure.v1 ]
}

# How late something may be, in seconds.
late=${TENURE_ENGINE_LATE:-3}

# The seconds since the machine's start.
clock() {
  cut -d' ' -f1 /proc/uptime
}

# Fails unless the second time is so many seconds after the first, named third; a fourth is the most instead.
after() {
  awk -v from="$1" -v to="$2" -v least="$3" -v most="${4:-}" -v late="$late" 'BEGIN {
    passed = to - from
    if (most == "") most = least
    if (passed < least - 0.5 || passed > most + late) { print "after " passed " s, expected " least ".." most; exit 1 }
  }'
}
