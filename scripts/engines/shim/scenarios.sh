# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034,SC2154 # Single quotes hold programs for containers; variables are shared with engine-test.
# Scenarios of lifecycle-semantics for a managed life, with containerd where the kubelet is there. Each is led through
# containerd's own interface and through the CRI (in_pods writes the second check), with what lifecycle.sh and
# cri_lifecycle.sh give for that.

# Prints a file's checks once more, led through the CRI: check_s1_... becomes check_s1_in_a_pod_...
in_pods() {
  sed -n 's/^check_\(s[0-9]*\)_\([a-z0-9_]*\)() {$/check_\1_in_a_pod_\2() {\n  through=pod\n  check_\1_\2\n}/p' "$1"
}

# A name for a scenario's container, which is led through both at once.
named() {
  echo "$1-$through"
}

check_s1_the_entrypoint_runs_beside_poststart() {
  local name
  name=$(named s1)
  start_managed "$name" postStart="$(handler 'say hook; until [ -e /data/go ]; do sleep 0.1; done; say over')" -- \
    sh -c "$ignores"
  # Neither the start nor the program waits for the handler.
  is_state "$name" RUNNING
  until_true 20 has_said "$name" begun
  until_true 20 has_said "$name" hook
  not has_said "$name" over
  touch "$work/life/$name/go"
  until_true 20 has_said "$name" over
  is_state "$name" RUNNING
  not has_said "$name" term
  kill_of "$name"
}

# A handler that fails once the program is ready for signals.
fails_when_begun='until [ -s /data/said ]; do sleep 0.1; done; exit 1'

check_s5_a_failed_poststart_stops_with_sigterm() {
  local name status
  name=$(named s5)
  start_managed "$name" postStart="$(handler "$fails_when_begun")" -- sh -c "$obeys"
  read -r status _ <<<"$(end_of "$name")"
  same "$status" 0
  has_said "$name" term
}

check_s6_a_failed_poststart_kills_after_the_grace_period() {
  local name status at
  name=$(named s6)
  start_managed "$name" terminationGracePeriodSeconds=4 postStart="$(handler "$fails_when_begun")" -- sh -c "$ignores"
  read -r status at _ <<<"$(end_of "$name")"
  same "$status" 137
  after "$(said "$name" term)" "$at" 4
}

check_s8_a_failed_poststart_runs_prestop_before_sigterm() {
  local name status
  name=$(named s8)
  start_managed "$name" preStop="$(handler 'say prestop')" postStart="$(handler "$fails_when_begun")" -- sh -c "$obeys"
  read -r status _ <<<"$(end_of "$name")"
  same "$status" 0
  same "$(words_of "$name")" "begun prestop term"
}

# Has a server answer in the network of a container, named first, from its port 8080: with a status. Pods are in the
# network of the checks, which is nobody else's. It ends with a container, or the check ends it.
answer_with() {
  local process=self enter=()
  if [ "$through" = ctr ]; then
    process=$(client pids "$1")
    enter=(nsenter --net="/proc/$process/ns/net")
    "${enter[@]}" /bin/busybox ip link set lo up
  fi
  "${enter[@]}" /usr/bin/python3 -c '
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.path, flush=True)
        self.send_error(int(sys.argv[1]))
    def log_message(self, *words):
        pass
http.server.HTTPServer(("127.0.0.1", 8080), Answer).serve_forever()
' "$2" >"$work/life/$1/requests" &
  until_true 20 grep -q '0100007F:1F90 ' "/proc/$process/net/tcp"
}

check_s11_an_answer_of_500_is_success() {
  local name
  name=$(named s11)
  create_managed "$name" postStart='{"httpGet":{"host":"127.0.0.1","port":8080,"path":"/hook"}}' -- sh -c "$obeys"
  answer_with "$name" 500
  start_created "$name"
  until_true 20 grep -qx /hook "$work/life/$name/requests"
  sleep 1
  is_state "$name" RUNNING
  not has_said "$name" term
  same "$(cat "$work/life/$name/requests")" /hook
  kill "$!"
  kill_of "$name"
}

check_s12_a_closed_port_is_failure() {
  local name status at began
  name=$(named s12)
  start_managed "$name" postStart='{"httpGet":{"host":"127.0.0.1","port":9}}' -- \
    sh -c "$say"'trap "say term; exit 6" TERM; say begun; '"$waits"
  # It may come before the program has set its trap, which process 1 then does not notice.
  read -r status at began <<<"$(end_of "$name")"
  after "$began" "$at" 0 31
  [ "$status" = 6 ] || [ "$status" = 137 ]
}

check_s25_a_stop_ends_a_hanging_poststart() {
  local name began status at
  name=$(named s25)
  start_managed "$name" terminationGracePeriodSeconds=3 postStart="$(handler 'say hook; while :; do sleep 1; done')" -- \
    sh -c "$ignores"
  until_true 20 has_said "$name" begun
  until_true 20 has_said "$name" hook
  read -r status at began <<<"$(stop_of "$name")"
  same "$status" 137
  after "$began" "$(said "$name" term)" 0
  after "$began" "$at" 3 5
}

check_s27_prestop_comes_before_sigterm() {
  local name began status at
  name=$(named s27)
  start_managed "$name" terminationGracePeriodSeconds=10 preStop="$(handler 'sleep 3')" -- sh -c "$obeys"
  until_true 20 has_said "$name" begun
  read -r status at began <<<"$(stop_of "$name")"
  same "$status" 0
  after "$began" "$(said "$name" term)" 3
  after "$began" "$at" 4
}

check_s28_the_grace_period_begins_before_prestop() {
  local name began status at
  name=$(named s28)
  start_managed "$name" terminationGracePeriodSeconds=10 preStop="$(handler 'sleep 3')" -- sh -c "$ignores"
  until_true 20 has_said "$name" begun
  read -r status at began <<<"$(stop_of "$name")"
  same "$status" 137
  after "$began" "$(said "$name" term)" 3
  after "$began" "$at" 10
}

check_s29_a_prestop_that_takes_too_long_leaves_two_seconds() {
  local name began status at
  name=$(named s29)
  start_managed "$name" terminationGracePeriodSeconds=5 preStop="$(handler 'sleep 60')" -- sh -c "$ignores"
  until_true 20 has_said "$name" begun
  read -r status at began <<<"$(stop_of "$name")"
  same "$status" 137
  after "$began" "$(said "$name" term)" 5
  after "$began" "$at" 7
}

check_s30_the_grace_period_is_thirty_seconds_unless_told() {
  local name began status at
  name=$(named s30)
  start_managed "$name" preStop="$(handler 'while :; do sleep 1; done')" -- sh -c "$ignores"
  until_true 20 has_said "$name" begun
  read -r status at began <<<"$(stop_of "$name")"
  same "$status" 137
  after "$began" "$at" 32
}

check_s31_a_failed_prestop_holds_nothing_up() {
  local name began status at
  name=$(named s31)
  start_managed "$name" preStop="$(handler 'exit 1')" -- sh -c "$obeys"
  until_true 20 has_said "$name" begun
  read -r status at began <<<"$(stop_of "$name")"
  same "$status" 0
  after "$began" "$(said "$name" term)" 0
  after "$began" "$at" 1
}

check_s34_a_crash_runs_no_prestop() {
  local name status
  name=$(named s34)
  start_managed "$name" preStop="$(handler 'say prestop')" -- sh -c "$say"'say begun; sleep 0.5; exit 2'
  read -r status _ <<<"$(end_of "$name")"
  same "$status" 2
  not has_said "$name" prestop
}

check_s42_a_stop_signal_of_its_own() {
  local name began status at
  name=$(named s42)
  start_managed "$name" stopSignal=SIGQUIT terminationGracePeriodSeconds=3 preStop="$(handler 'say prestop')" -- \
    sh -c "$say"'trap "say quit" QUIT; trap "say term" TERM; say begun; '"$waits"
  until_true 20 has_said "$name" begun
  read -r status at began <<<"$(stop_of "$name")"
  same "$status" 137
  same "$(words_of "$name")" "begun prestop quit"
  after "$began" "$at" 3
}

check_s43_a_shell_without_traps_rides_out_the_grace_period() {
  local name began status at
  name=$(named s43)
  start_managed "$name" terminationGracePeriodSeconds=3 -- sh -c 'sleep 100; true'
  read -r status at began <<<"$(stop_of "$name")"
  same "$status" 137
  after "$began" "$at" 3
}

check_s44_no_child_outlives_its_container() {
  local name child="sleep 4444"
  name=$(named s44)
  [ "$through" = ctr ] || child="sleep 5444"
  start_managed "$name" terminationGracePeriodSeconds=2 -- \
    sh -c "$say trap '' TERM; $child & $child & say begun; wait"
  until_true 20 has_said "$name" begun
  stop_of "$name"
  until_true 20 gone_with_arguments "$child"
}

check_s46_the_stop_signal_comes_once() {
  local name began status at
  name=$(named s46)
  start_managed "$name" terminationGracePeriodSeconds=4 -- sh -c "$ignores"
  until_true 20 has_said "$name" begun
  read -r status at began <<<"$(stop_twice "$name")"
  same "$status" 137
  same "$(words_of "$name")" "begun term"
  after "$began" "$at" 4
}
