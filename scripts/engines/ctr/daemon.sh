# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # Single quotes hold programs for containers; variables are those of engine-test.
# What becomes of containers when containerd or the shim is killed. These checks run alone, one after another.

check_a_killed_shim_takes_its_container_along() {
  local pid
  start_box orphan
  pid=$(task_pid orphan)
  kill -KILL "$(ps -o ppid= -p "$pid" | tr -d ' ')"
  until_true 10 test ! -e "/proc/$pid"
  until_true 10 sh -c "[ -z \"\$(find /sys/fs/cgroup -type d -path '*/$parent/orphan')\" ]"
  ctr tasks delete orphan || true
  ctr containers delete orphan
}

check_containers_outlive_the_daemon() {
  local pid
  pid=$(task_pid box)
  kill -KILL "$(cat "$work/containerd.pid")"
  start_daemon
  same "$(task_pid box)" "$pid"
  is_task box RUNNING
  exits 2 execute box sh -c 'exit 2'
}
