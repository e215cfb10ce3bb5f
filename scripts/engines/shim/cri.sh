# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # Single quotes hold programs for containers; variables are those of engine-test.
# Pods as the kubelet runs them: through the CRI, with a runtime handler for the shim.

# A client of the CRI: cri.py tells its commands.
cri() {
  limited /usr/bin/python3 "$here/cri.py" "$work/containerd.sock" "$work/pods" "$@"
}

# Runs a sandbox: its name, then more words for cri.py.
run_pod() {
  cri pod "$1" handler=tenure parent="/$parent/pods" "${@:2}"
}

# Creates and starts a container and prints its id: its pod, its name, words for cri.py, `--` and its program.
run_in_pod() {
  local made
  made=$(cri container "$1" "$2" "$image" "${@:3}") || return
  cri start "$made" || return
  echo "$made"
}

remove_pod() {
  cri stop-pod "$1" >/dev/null
  cri remove-pod "$1"
}

is_status() {
  [[ $(cri status "$1") = "$2"* ]]
}

# The lines that a container has logged, without their times: the pod's name, then its own.
log_of() {
  cut -d' ' -f2- "$work/pods/$1/$2.log"
}

log_holds() {
  log_of "$1" "$2" | grep -qF -- "$3"
}

parent_of() {
  ps -o ppid= -p "$1" | tr -d ' '
}

check_a_pods_containers_share_a_shim() {
  local pod one two shim_pid
  pod=$(run_pod sharing)
  same "$(cri pod-status "$pod")" READY
  one=$(run_in_pod "$pod" one -- sleep 1000)
  two=$(run_in_pod "$pod" two -- sleep 1000)
  same "$(cri status "$one")" "RUNNING 0 "
  shim_pid=$(parent_of "$(cri pid "$one")")
  holds "$(cat "/proc/$shim_pid/comm")" "${shim_program:0:15}"
  same "$(parent_of "$(cri pid "$two")")" "$shim_pid"
  same "$(exits 5 cri exec "$two" 0 sh -c 'hostname >/dev/null; echo out; exit 5')" out
  remove_pod "$pod"
  until_true 10 test ! -e "/proc/$shim_pid"
}

check_exec_sync_passes_output_and_exit_code_on() {
  local pod box
  pod=$(run_pod executing)
  box=$(run_in_pod "$pod" box -- sleep 1000)
  same "$(cri exec "$box" 0 seq 50000 | sha256sum)" "$(seq 50000 | sha256sum)"
  same "$(cri exec "$box" 0 sh -c 'echo err >&2' 2>&1 >/dev/null)" err
  holds "$(exits 1 cri exec "$box" 1 sleep 3579)" DEADLINE_EXCEEDED
  exits 1 cri exec "$box" 0 no-such-program
  # The process whose time was up is gone.
  until_true 10 gone_with_arguments 'sleep 3579'
  remove_pod "$pod"
}

check_ends_of_containers_have_codes_and_reasons() {
  local pod good failed hungry missing
  pod=$(run_pod ending)
  good=$(run_in_pod "$pod" good -- true)
  failed=$(run_in_pod "$pod" failed -- sh -c 'exit 3')
  hungry=$(run_in_pod "$pod" hungry memory=16777216 -- sh -c "$eat_memory")
  missing=$(cri container "$pod" missing "$image" -- no-such-program)
  holds "$(exits 1 cri start "$missing")" no-such-program
  until_true 10 is_status "$good" "EXITED 0 Completed"
  until_true 10 is_status "$failed" "EXITED 3 Error"
  until_true 10 is_status "$missing" "EXITED 128 StartError"
  until_true 10 is_status "$hungry" "EXITED 137"
  loses_events || is_status "$hungry" "EXITED 137 OOMKilled"
  same "$(cri pod-status "$pod")" READY
  cri remove "$good"
  exits 1 cri status "$good"
  remove_pod "$pod"
}

check_logs_are_written_as_the_kubelet_reads_them() {
  local pod box
  pod=$(run_pod logging)
  box=$(run_in_pod "$pod" talking -- sh -c 'echo first; echo second >&2; exec sleep 1000')
  until_true 10 log_holds logging talking "stdout F first"
  until_true 10 log_holds logging talking "stderr F second"
  grep -qE '^[0-9-]{10}T[0-9:.]+(Z|[+-][0-9:]+) stdout F first$' "$work/pods/logging/talking.log"
  mv "$work/pods/logging/talking.log" "$work/pods/logging/old.log"
  cri reopen-log "$box"
  cri exec "$box" 0 sh -c 'echo later >/proc/1/fd/1'
  until_true 10 log_holds logging talking "stdout F later"
  remove_pod "$pod"
}

check_stop_waits_for_the_program_and_then_kills_it() {
  local pod willing stubborn began at
  pod=$(run_pod stopping)
  willing=$(run_in_pod "$pod" willing -- sh -c "$on_term")
  stubborn=$(run_in_pod "$pod" stubborn -- sh -c 'trap "" TERM; echo ready; while :; do sleep 0.1; done')
  until_true 10 log_holds stopping willing ready
  until_true 10 log_holds stopping stubborn ready
  read -r began at <<<"$(cri stop "$willing" 30)"
  after "$began" "$at" 0
  same "$(cri status "$willing")" "EXITED 7 Error"
  read -r began at <<<"$(cri stop "$stubborn" 2)"
  after "$began" "$at" 2
  same "$(cri status "$stubborn")" "EXITED 137 Error"
  # A container that has ended is stopped once more without a word.
  cri stop "$stubborn" 2
  remove_pod "$pod"
}

check_stats_and_limits_of_a_container() {
  local pod box group
  pod=$(run_pod measured)
  box=$(run_in_pod "$pod" box memory=67108864 -- sleep 1000)
  [ "$(cri memory "$box")" -gt 0 ]
  cri limit "$box" 100663296
  # Other cgroups come and go.
  group=$(find /sys/fs/cgroup -path "*/$parent/pods/$box/memory.limit_in_bytes" -o -path "*/$parent/pods/$box/memory.max" \
    2>/dev/null || true)
  same "$(cat "$group")" 100663296
  remove_pod "$pod"
}

check_containers_of_a_pod_see_each_other_if_they_are_to() {
  local pod box
  pod=$(run_pod seeing pid=pod)
  run_in_pod "$pod" other -- sleep 1357
  box=$(run_in_pod "$pod" box -- sleep 1000)
  until_true 10 sh -c "[ -n \"\$(pgrep -f 'sleep 1357')\" ]"
  holds "$(cri exec "$box" 0 ps)" "sleep 1357"
  remove_pod "$pod"
  until_true 10 gone_with_arguments 'sleep 1357'
}

gone_with_arguments() {
  ! pgrep -f "^$1"
}

check_stopping_a_pod_stops_its_containers() {
  local pod box
  pod=$(run_pod whole)
  box=$(run_in_pod "$pod" box -- sh -c 'sleep 2468 & sleep 2468')
  cri stop-pod "$pod"
  same "$(cri pod-status "$pod")" NOTREADY
  until_true 10 is_status "$box" "EXITED 137"
  until_true 10 gone_with_arguments 'sleep 2468'
  cri remove-pod "$pod"
  same "$(find /sys/fs/cgroup -type d -path "*/$parent/pods/$box")" ""
}

check_a_pods_end_without_its_sandbox_is_noticed() {
  local pod box
  pod=$(run_pod bereft)
  box=$(run_in_pod "$pod" box -- sleep 1000)
  kill -KILL "$(cri pid "$box")"
  until_true 10 is_status "$box" "EXITED 137"
  same "$(cri pod-status "$pod")" READY
  kill -KILL "$(ctr --namespace k8s.io tasks list | awk -v name="$pod" '$1 == name { print $2 }')"
  until_true 10 sh -c "[ \"\$(/usr/bin/python3 '$here/cri.py' '$work/containerd.sock' '$work/pods' pod-status '$pod')\" = NOTREADY ]"
  remove_pod "$pod"
}
