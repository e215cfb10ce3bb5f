# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # Single quotes hold programs for containers; variables are those of engine-test.
# What goes in and out of processes: fifos, terminals, logs to files and to programs, readers that are gone.

# How many terminals a check opens; a hundred take minutes.
terminals=${TENURE_ENGINE_TERMINALS:-10}

check_terminals_lose_no_byte_of_programs_that_print_much() {
  # Piped, as seq itself would write line by line.
  load terminals box "$terminals" 4 sh -c 'seq 1000000 | cat'
}

check_terminals_lose_no_byte_of_programs_that_end_at_once() {
  load terminals box "$terminals" 8 echo told
}

check_standard_input_ends_when_it_is_closed() {
  mkfifo "$work/sort.in" "$work/sort.out"
  limited cat "$work/sort.out" >"$work/sorted" &
  client exec box/sort stdin="$work/sort.in" stdout="$work/sort.out" stderr="$work/sort.out" sort + start box/sort
  exec 7>"$work/sort.in"
  printf 'two\none\n' >&7
  sleep 0.3
  same "$(client state box/sort)" RUNNING
  # containerd's own clients close their end, then ask for it.
  exec 7>&-
  client close-stdin box/sort
  same "$(client wait box/sort + delete box/sort | tail -n 1)" 0
  wait
  same "$(cat "$work/sorted")" $'one\ntwo'
}

check_input_from_ctr_arrives_whole() {
  same "$(seq 100000 | execute box sh -c "sha256sum$linger")" "$(seq 100000 | sha256sum)"
}

check_a_log_file_gets_both_streams() {
  make_container filed sh -c 'echo out; echo err >&2; seq 10000'
  client life filed stdout="file://$work/logs/filed" stderr="file://$work/logs/filed"
  diff <(sort "$work/logs/filed") <( (echo out; echo err; seq 10000) | sort)
  ctr containers delete filed
}

check_a_log_program_gets_both_streams() {
  cat >"$work/logger" <<'SH'
#!/bin/sh
# The word of the URI comes as an argument, the streams as descriptors 3 and 4; closing 5 says that it is ready.
trap "" TERM
exec 5>&-
cat <&3 >"$2.out" &
cat <&4 >"$2.err" &
wait
echo "$CONTAINER_NAMESPACE $CONTAINER_ID" >"$2.end"
SH
  chmod 0755 "$work/logger"
  make_container logged sh -c 'echo err >&2; seq 10000'
  client life logged stdout="binary://$work/logger?to=$work/logged" stderr="binary://$work/logger?to=$work/logged"
  until_true 10 test -s "$work/logged.end"
  same "$(sha256sum <"$work/logged.out") $(cat "$work/logged.err")" "$(seq 10000 | sha256sum) err"
  same "$(cat "$work/logged.end")" "$parent logged"
  ctr containers delete logged
}

check_a_log_program_that_is_missing_is_told() {
  make_container unlogged true
  holds "$(exits 1 client life unlogged stdout="binary:///no/such/logger" stderr="binary:///no/such/logger")" logger
  client delete unlogged || true
  until_true 10 nothing_left_of unlogged
  ctr containers delete unlogged
}

check_a_reader_may_go_and_another_come() {
  mkfifo "$work/endless.out"
  make_container endless yes
  # As containerd's own clients do, the reader comes first.
  limited head -n 1 "$work/endless.out" >"$work/first" &
  client create endless stdout="$work/endless.out" stderr="$work/endless.out" + start endless
  wait "$!"
  same "$(cat "$work/first")" y
  sleep 0.3
  same "$(client state endless)" RUNNING
  # The next reader may begin inside a line.
  same "$(limited head -n 3 "$work/endless.out" | tail -n 1)" y
  # Nor does a pipe that nobody reads keep the end from being told.
  same "$(client kill endless KILL + wait endless + delete endless)" $'137\n137'
  ctr containers delete endless
}

check_a_full_disk_under_a_log_stops_nothing_else() {
  mkdir "$work/full"
  mount -t tmpfs -o size=64k tmpfs "$work/full"
  make_container full sh -c 'seq 100000; touch /tmp/gone-on; sleep 1000'
  client create full stdout="file://$work/full/log" stderr="file://$work/full/log"
  client start full
  until_true 10 sh -c "[ \"\$(df --output=avail '$work/full' | tail -n 1)\" -lt 8 ]"
  client pids full || true
  client kill full KILL || true
  client wait full + delete full
  ctr containers delete full
  umount "$work/full"
}

check_a_process_that_holds_the_streams_holds_up_no_exit() {
  mkfifo "$work/held.out"
  limited cat "$work/held.out" >"$work/held" &
  # The child lives on in the container, with the exec's standard output.
  client exec box/held stdout="$work/held.out" stderr="$work/held.out" sh -c 'sleep 5 & echo begun; exit 3' + start box/held
  same "$(client wait box/held)" 3
  client delete box/held
  wait
  same "$(cat "$work/held")" begun
}
