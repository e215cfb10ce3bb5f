# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # Single quotes hold programs for containers; variables are those of engine-test.
# What becomes of containers when programs around them are killed, and when there are many. These checks run alone.

# Kills containerd and waits until it is gone; start_daemon starts it again.
kill_daemon() {
  local pid
  pid=$(cat "$work/containerd.pid")
  kill -KILL "$pid"
  until_true 10 test ! -e "/proc/$pid"
}

check_exits_while_containerd_is_gone_are_told_afterwards() {
  local await='while [ ! -e /data/go ]; do sleep 0.05; done; exit'
  ctr "${run_command[@]}" --detach --mount "type=bind,src=$work/shared,dst=/data,options=rbind:rw" "$image" absent \
    sh -c "$await 7"
  ctr "${run_command[@]}" --detach --mount "type=bind,src=$work/shared,dst=/data,options=rbind:rw" "$image" present sleep 1000
  client exec present/gone sh -c "$await 8" + start present/gone + exec present/still sleep 1000 + start present/still
  kill_daemon
  touch "$work/shared/go"
  sleep 0.5
  start_daemon
  same "$(client wait present/gone + delete present/gone)" $'8\n8'
  # Processes that live on are still known, and new ones start.
  same "$(client kill present/still KILL + wait present/still + delete present/still)" $'137\n137'
  exits 4 execute present sh -c 'exit 4'
  # Since 1.7 containerd deletes tasks that have no process left when it starts.
  if is_task absent STOPPED; then
    same "$(client wait absent + delete absent)" $'7\n7'
  fi
  until_true 10 nothing_left_of absent
  ctr containers delete absent
  remove present
}

check_what_a_killed_shim_had_is_cleaned_up() {
  local pid shim_pid
  start_box crashed
  client exec crashed/more sh -c 'trap "" TERM; sleep 1000 & wait' + start crashed/more
  pid=$(task_pid crashed)
  shim_pid=$(shim_of crashed)
  kill -KILL "$shim_pid"
  until_true 10 test ! -e "/proc/$pid"
  until_true 10 nothing_left_of crashed
  same "$(grep "/$parent/crashed/" /proc/self/mountinfo || true)" ""
  until_true 10 has_event crashed /tasks/exit
  ctr tasks delete crashed || true
  ctr containers delete crashed
  # The name can be used again at once.
  start_box crashed
  exits 0 execute crashed true
  remove crashed
}

check_a_killed_shim_of_a_sandbox_takes_all_its_containers_along() {
  local shim_pid name
  start_member fallen first
  start_member fallen second
  shim_pid=$(shim_of first)
  kill -KILL "$shim_pid"
  for name in first second; do
    until_true 10 nothing_left_of "$name"
    ctr tasks delete "$name" || true
    ctr containers delete "$name"
  done
}

check_a_fork_bomb_is_bounded() {
  start_box bomb
  client update bomb '{"pids":{"limit":40}}'
  client exec bomb/fork sh -c 'f() { f | f & }; f; sleep 1000' + start bomb/fork
  sleep 1
  same "$(client state bomb)" RUNNING
  [ "$(client pids bomb | wc -w)" -le 40 ]
  client kill bomb KILL
  same "$(client wait bomb)" 137
  client delete bomb/fork || true
  client delete bomb
  until_true 10 nothing_left_of bomb
  ctr containers delete bomb
}

# How many containers the next check runs at once.
crowd=${TENURE_ENGINE_CROWD:-50}

check_a_crowd_of_containers_at_once() {
  load crowd box "$crowd" "$work/image/rootfs"
  until_true 10 sh -c "[ -z \"\$(find /sys/fs/cgroup '$work/state' -type d -path '*/$parent/box-*')\" ]"
}
