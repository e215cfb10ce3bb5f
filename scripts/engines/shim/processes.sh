# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # Single quotes hold programs for containers; variables are those of engine-test.
# Tasks and their processes as containerd's own interface shows them: states, exit statuses, the order of events, refusals.

# Makes a container without a task: options of ctr, then its name, then its program.
make_container() {
  local options=()
  while [[ $1 = -* ]]; do options+=("$1" "$2") && shift 2; done
  ctr containers create "${run_command[@]:1}" "${options[@]}" -- "$image" "$@"
}

# Runs a container's program to its end, removes it, and prints its exit status.
live() {
  make_container "$@"
  client life "$1"
  ctr containers delete "$1"
}

check_a_task_is_created_then_runs_then_stops() {
  make_container stages sleep 1000
  kill -0 "$(client create stages)"
  same "$(client state stages + start stages + state stages | sed '/^[0-9]/d' | tr '\n' ' ')" "CREATED RUNNING "
  same "$(client kill stages KILL + wait stages + state stages + delete stages | tr '\n' ' ')" "137 STOPPED 137 "
  holds "$(exits 1 client state stages)" NOT_FOUND
  ctr containers delete stages
}

check_a_created_task_can_be_killed_before_it_starts() {
  make_container unborn sleep 1000
  client create unborn + kill unborn KILL + wait unborn + delete unborn
  ctr containers delete unborn
}

check_exit_statuses_arrive() {
  same "$(live exit-0 true)" 0
  same "$(live exit-1 false)" 1
  same "$(live exit-255 sh -c 'exit 255')" 255
}

check_several_clients_wait_for_the_same_exit() {
  make_container awaited sh -c 'sleep 1; exit 9'
  client create awaited
  client wait awaited awaited awaited >"$work/awaited" &
  # Who asks after the exit is told as well.
  same "$(client start awaited + wait awaited awaited + wait awaited | tail -n 2)" $'9 9\n9'
  wait "$!"
  same "$(cat "$work/awaited")" "9 9 9"
  client delete awaited
  ctr containers delete awaited
}

check_a_program_that_is_missing_is_told_and_leaves_nothing() {
  local program
  make_container nameless no-such-program
  make_container lost /no/such/program
  for program in nameless lost; do
    holds "$(exits 1 client life "$program")" "no"
    client delete "$program" || true
    holds "$(exits 1 client state "$program")" NOT_FOUND
    until_true 10 nothing_left_of "$program"
    ctr containers delete "$program"
  done
}

# Whether neither cgroup nor bundle of a container is left.
nothing_left_of() {
  [ -z "$(find /sys/fs/cgroup "$work/state" -type d -path "*/$parent/$1")" ]
}

check_impossible_requests_are_refused() {
  make_container refusing sleep 1000
  holds "$(exits 1 client start refusing)" NOT_FOUND
  client create refusing
  holds "$(exits 1 client create refusing)" ALREADY_EXISTS
  client start refusing
  exits 1 client start refusing
  exits 1 client delete refusing
  exits 1 client start refusing/none
  exits 1 client delete refusing/none
  exits 1 client kill refusing/none KILL
  same "$(client state refusing)" RUNNING
  client kill refusing KILL + wait refusing
  exits 1 client kill refusing TERM
  exits 1 client exec refusing/late true + start refusing/late
  client delete refusing
  ctr containers delete refusing
}

check_an_exec_has_a_life_of_its_own() {
  client exec box/own sh -c 'exit 6'
  exits 1 client exec box/own true
  same "$(client state box/own)" CREATED
  same "$(client start box/own + wait box/own + state box/own + delete box/own | tail -n 3)" $'6\nSTOPPED\n6'
  exits 1 client state box/own
  # The name is free again.
  same "$(client exec box/own sleep 1000 + start box/own + kill box/own KILL + wait box/own + delete box/own | tail -n 2)" \
    $'137\n137'
}

check_an_exec_that_cannot_start_can_be_deleted() {
  client exec box/impossible no-such-program
  holds "$(exits 1 client start box/impossible)" no-such-program
  client delete box/impossible
  exits 1 client state box/impossible
  is_task box RUNNING
}

check_an_exec_ends_by_the_signal_it_is_sent() {
  client exec box/signalled sh -c 'trap "exit 4" USR1; touch /tmp/ready; while :; do sleep 0.05; done' + start box/signalled
  until_true 10 execute box test -e /tmp/ready
  same "$(client kill box/signalled USR1 + wait box/signalled + delete box/signalled)" $'4\n4'
}

check_pids_are_those_of_the_cgroup() {
  local exec_pid
  exec_pid=$(client exec box/listed sleep 1000 + start box/listed)
  holds " $(client pids box) " " $(task_pid box) "
  holds " $(client pids box) " " $exec_pid "
  client kill box/listed KILL + wait box/listed + delete box/listed
}

check_events_of_an_instant_exit_come_in_order() {
  local expected='create start exit delete '
  live instant true
  ! loses_events || expected='create start exit '
  until_true 10 has_event instant "/tasks/$(echo "$expected" | awk '{ print $NF }')"
  same "$(topics_of instant | head -n "$(wc -w <<<"$expected")" | tr '\n' ' ')" "$expected"
}

check_execs_exit_before_their_container() {
  start_box company
  client exec company/one sleep 1000 + start company/one + exec company/two true + start company/two + wait company/two
  client kill company KILL + wait company + wait company/one
  until_true 10 sh -c "[ \"\$(grep -F '\"company\"' '$work/events' | grep -c ' /tasks/exit ')\" = 3 ]"
  same "$(topics_of company | tr '\n' ',')" \
    "create,start,exec-added one,exec-started one,exec-added two,exec-started two,exit two,exit one,exit,"
  client delete company/one + delete company/two + delete company
  ctr containers delete company
}
