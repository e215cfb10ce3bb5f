# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # Single quotes hold programs for containers; variables are those of engine-test.
# The life of a task as ctr sees it, whatever shim is behind it. Checks may run side by side.

check_run_passes_the_exit_code_on() {
  exits 0 run "$image" zero true
  exits 3 run "$image" three sh -c 'exit 3'
}

check_run_of_a_missing_program_says_so() {
  holds "$(exits 1 run "$image" missing no-such-program)" 'executable file not found in $PATH'
  holds "$(exits 1 run "$image" missing /no/such/program)" "no such file or directory"
}

check_run_of_what_is_no_program_says_so() {
  holds "$(exits 1 run "$image" plain /data/plain)" "permission denied"
}

check_a_failed_run_leaves_nothing() {
  exits 1 run "$image" failing no-such-program
  same "$(ctr tasks list --quiet | grep failing || true; ctr containers list --quiet | grep failing || true)" ""
  same "$(find /sys/fs/cgroup "$work/state" -type d -path "*/$parent/failing")" ""
}

check_run_gives_environment_and_directory() {
  same "$(run --env GIVEN='two words' --cwd /data "$image" given sh -c 'echo "$FROM_IMAGE $GIVEN $(pwd)"'"$linger")" \
    "yes two words /data"
}

check_mounts_and_a_read_only_root() {
  same "$(run --read-only --mount "type=bind,src=$work/shared,dst=/data,options=rbind:rw" "$image" mounted sh -c \
    'echo inside >/data/out; echo >/root/new || echo refused'"$linger" 2>/dev/null)" refused
  same "$(cat "$work/shared/out")" inside
}

check_capabilities_are_what_was_asked_for() {
  local show='grep -E "^CapEff" /proc/self/status | cut -f2'
  holds "$(run --cap-add CAP_SYS_ADMIN --cap-drop CAP_CHOWN "$image" capable sh -c "$show$linger")" a82425fa
  same "$(run --privileged "$image" privileged sh -c "$show$linger")" "$(sed -n 's/^CapBnd:\t//p' /proc/self/status)"
}

check_limits_are_set() {
  start_box --memory-limit 67108864 --cpus 0.5 bounded
  same "$(limits_of bounded | head -n 2)" $'67108864\n50000'
  remove bounded
}

check_a_seccomp_profile_is_in_force() {
  holds "$(run --seccomp "$image" filtered sh -c 'grep ^Seccomp: /proc/self/status'"$linger")" 2
  holds "$(exits 1 run --seccomp "$image" filtered sh -c 'unshare --user true'"$linger")" "Operation not permitted"
}

check_standard_streams_lose_nothing() {
  same "$(run "$image" long sh -c 'seq 200000'"$linger" | sha256sum)" "$(seq 200000 | sha256sum)"
  same "$(run "$image" errors sh -c 'echo out; echo err >&2'"$linger" 2>&1 >/dev/null)" err
}

check_run_on_a_terminal_that_changes_its_size() {
  local output
  output=$(exits 5 terminal 24 80 expect='24 80' size=40x120 expect='40 120' raw='\x03' -- \
    "${ctr_command[@]}" "${run_command[@]}" --rm --tty "$image" terminal sh -c "$show_size")
  holds "$output" /dev/pts/0
}

check_exec_passes_the_exit_code_on() {
  same "$(execute box sh -c "echo inside$linger")" inside
  exits 8 execute box sh -c 'exit 8'
  same "$(execute --user 1000:1000 --cwd /data box sh -c 'echo $(id -u) $(pwd)'"$linger")" "1000 /data"
}

check_exec_that_cannot_start_says_why() {
  holds "$(exits 1 execute box no-such-program)" 'executable file not found in $PATH'
  holds "$(exits 1 execute box /data/plain)" "permission denied"
}

check_exec_on_a_terminal() {
  local output
  output=$(exits 5 terminal 31 99 expect='31 99' size=44x111 expect='44 111' raw='\x03' -- \
    "${ctr_command[@]}" tasks exec --exec-id typed --tty box sh -c "$show_size")
  holds "$output" /dev/pts/
}

check_exec_detached_goes_on_alone() {
  execute --detach box sh -c 'sleep 0.2; echo done >/tmp/detached'
  until_true 10 execute box test -s /tmp/detached
}

check_exec_is_in_the_containers_namespaces_and_cgroups() {
  kill -0 "$(task_pid box)"
  same "$(execute box sh -c 'cd /proc/self/ns; for kind in ipc mnt net pid uts; do readlink $kind; done'"$linger")" \
    "$(cd "/proc/$(task_pid box)/ns" && readlink ipc mnt net pid uts)"
  same "$(execute box sh -c "sort /proc/self/cgroup$linger")" "$(execute box sh -c "sort /proc/1/cgroup$linger")"
}

check_many_execs_at_once() {
  local number pids=()
  for number in 1 2 3 4 5 6 7 8; do
    exits "$number" execute box sh -c "exit $number" &
    pids+=($!)
  done
  for number in "${pids[@]}"; do wait "$number"; done
}

check_tasks_are_listed_with_their_processes() {
  is_task box RUNNING
  holds "$(ctr tasks ps box)" "$(task_pid box)"
}

check_kill_sends_signals() {
  ctr "${run_command[@]}" --detach --mount "type=bind,src=$work/shared,dst=/data,options=rbind:rw" "$image" signalled \
    sh -c 'trap "exit 7" TERM; echo >/data/ready; while :; do sleep 0.05; done'
  until_true 10 test -e "$work/shared/ready"
  ctr tasks kill --signal TERM signalled
  until_true 10 is_task signalled STOPPED
  holds "$(ctr tasks delete signalled 2>&1)" "exit code 7"
  ctr containers delete signalled
}

check_kill_reaches_every_process() {
  start_box doomed
  execute --detach doomed sleep 996
  ctr tasks kill --all --signal KILL doomed
  until_true 10 is_task doomed STOPPED
  holds "$(ctr tasks delete doomed 2>&1)" "exit code 137"
  ctr containers delete doomed
}

check_a_stopped_task_can_be_started_again() {
  start_box again
  ctr tasks kill --signal KILL again
  until_true 10 is_task again STOPPED
  holds "$(ctr tasks delete again 2>&1)" "exit code 137"
  ctr tasks start --detach again
  is_task again RUNNING
  remove again
}

check_pause_freezes_and_resume_goes_on() {
  start_box paused
  ctr tasks pause paused
  is_task paused PAUSED
  exits 1 execute paused true
  ctr tasks resume paused
  is_task paused RUNNING
  execute paused true
  remove paused
}

check_metrics_tell_memory_and_processes() {
  local metrics
  metrics=$(ctr tasks metrics box)
  holds "$metrics" box
  holds "$metrics" memory
  holds "$(ctr tasks metrics --format json box)" 67108864
}

check_update_changes_limits() {
  start_box --memory-limit 67108864 updated
  client update updated \
    '{"memory":{"limit":100663296,"swap":100663296},"cpu":{"quota":25000,"period":100000},"pids":{"limit":44}}'
  same "$(limits_of updated)" $'100663296\n25000\n44'
  remove updated
}

check_events_tell_the_life() {
  run "$image" eventful true
  local topic
  for topic in create start exit delete; do
    [ "$topic" != delete ] || ! loses_events || continue
    until_true 10 has_event eventful "/tasks/$topic"
  done
}

check_events_tell_of_too_little_memory() {
  if loses_events; then
    until_true 60 is_told_of_too_little_memory
  else
    is_told_of_too_little_memory
  fi
}

is_told_of_too_little_memory() {
  exits 137 run --memory-limit 16777216 "$image" hungry sh -c "$eat_memory"
  until_true 5 has_event hungry /tasks/oom
}

check_a_checkpoint_is_refused_and_harms_nothing() {
  command -v criu >/dev/null && return
  exits 1 ctr tasks checkpoint box
  is_task box RUNNING
  execute box true
}

check_a_killed_init_is_noticed() {
  start_box murdered
  kill -KILL "$(task_pid murdered)"
  until_true 10 is_task murdered STOPPED
  holds "$(ctr tasks delete murdered 2>&1)" "exit code 137"
  ctr containers delete murdered
}

check_many_containers_at_once() {
  local number pids=()
  for number in 1 2 3 4 5 6 7 8 9 10; do
    exits "$number" run "$image" "many-$number" sh -c "sleep 0.2; exit $number" &
    pids+=($!)
  done
  for number in "${pids[@]}"; do wait "$number"; done
}
