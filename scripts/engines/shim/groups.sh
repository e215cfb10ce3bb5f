# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # Single quotes hold programs for containers; variables are those of engine-test.
# Containers that share a shim, as those of a pod do: they have the same value in the annotation that names the sandbox.

# Starts a container that stays in a group: the group, then its name.
start_member() {
  start_box --annotation "io.kubernetes.cri.sandbox-id=$1" "$2"
}

# The pid of the shim behind a container, which is the parent of its first process.
shim_of() {
  ps -o ppid= -p "$(task_pid "$1")" | tr -d ' '
}

check_containers_of_a_sandbox_share_a_shim() {
  local shim_pid
  start_member together one
  start_member together two
  start_member apart three
  shim_pid=$(shim_of one)
  holds "$(cat "/proc/$shim_pid/comm")" "${shim_program:0:15}"
  same "$(shim_of two)" "$shim_pid"
  [ "$(shim_of three)" != "$shim_pid" ]
  # One that ends takes neither the shim nor the others along.
  remove one
  is_task two RUNNING
  exits 3 execute two sh -c 'exit 3'
  start_member together four
  same "$(shim_of four)" "$shim_pid"
  remove two
  remove four
  until_true 10 test ! -e "/proc/$shim_pid"
  is_task three RUNNING
  remove three
}

check_exits_of_a_sandbox_are_told_apart() {
  local number words=()
  for number in 1 2 3 4; do
    make_container --annotation io.kubernetes.cri.sandbox-id=many "member-$number" sh -c "sleep 0.3; exit $number"
    words+=(create "member-$number" +)
  done
  client "${words[@]}"
  client wait member-{1,2,3,4} >"$work/members" &
  client start member-4 + start member-2 + start member-3 + start member-1
  wait "$!"
  same "$(cat "$work/members")" "1 2 3 4"
  for number in 1 2 3 4; do
    client delete "member-$number" + forget "member-$number"
  done
}

# How many rounds the next check makes.
rounds=${TENURE_ENGINE_ROUNDS:-50}

# The memory that a process has not from files, in KiB. A child that has not run its program yet changes nothing in that,
# nor does another process of the same program.
own_memory() {
  awk '/^Anonymous:/ { print $2 }' "/proc/$1/smaps_rollup"
}

check_many_rounds_leave_nothing_and_the_shims_memory_flat() {
  local shim_pid before after open_before
  start_member rounds kept
  shim_pid=$(shim_of kept)
  make_container --annotation io.kubernetes.cri.sandbox-id=rounds round sleep 1234
  load rounds round 20
  before=$(own_memory "$shim_pid")
  open_before=$(find "/proc/$shim_pid/fd" -mindepth 1 | wc -l)
  load rounds round "$rounds"
  after=$(own_memory "$shim_pid")
  echo "$rounds rounds: $before KiB before, $after KiB after"
  until_true 10 has_no_more_open "$shim_pid" "$open_before"
  [ "$after" -lt $((before + memory_slack)) ]
  same "$(pgrep -f 'sleep 1234' || true; find /sys/fs/cgroup "$work/state" -path "*/$parent/round*")" ""
  remove kept
  client forget round
}

# Whether a process has no more descriptors than so many.
has_no_more_open() {
  [ "$(find "/proc/$1/fd" -mindepth 1 | wc -l)" -le $(($2 + descriptor_slack)) ]
}

# What a shim may have more after these rounds, in KiB and in descriptors. Go collects its garbage when it likes.
memory_slack=1024 descriptor_slack=0
! loses_events || memory_slack=8192 descriptor_slack=64

check_rounds_of_a_container_with_a_shim_of_its_own() {
  make_container alone sleep 1000
  load rounds alone "$((rounds / 5))"
  until_true 10 nothing_left_of alone
  ctr containers delete alone
}
