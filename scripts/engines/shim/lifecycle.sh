# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # Single quotes hold programs for containers; variables are those of engine-test.
# The managed life that annotations ask for: scenarios of lifecycle-semantics, with containerd where the kubelet is there.
# Only Tenure's shim has it. Times are never too early, and late by no more than what a busy machine needs.

# Programs say words with the time since the machine's start, in a file that is read here.
say='say() { read -r up rest </proc/uptime; echo "$1 $up" >>/data/said; }; '
# Says when SIGTERM comes and ends with 0 a second later.
obeys=$say'trap "say term; sleep 1; exit 0" TERM; say begun; while :; do sleep 0.05; done'
# Says when SIGTERM comes and goes on.
ignores=$say'trap "say term" TERM; say begun; while :; do sleep 0.05; done'

# When a container, named first, said a word for the first time.
said() {
  awk -v word="$2" '$1 == word { print $2; exit }' "$work/life/$1/said"
}

has_said() {
  [ -n "$(said "$1" "$2")" ]
}

# A text as it stands in JSON.
escaped() {
  local text=${1//\\/\\\\}
  printf '%s' "${text//\"/\\\"}"
}

# A handler that runs a script with the words above.
handler() {
  printf '{"exec":{"command":["sh","-c","%s"]}}' "$(escaped "$say$1")"
}

# Makes and creates the task of a container under a managed life: its name, SETTING=VALUE..., `--`, its program.
create_managed() {
  local name=$1 words=()
  shift
  while [ "$1" != -- ]; do words+=("org.tenure.lifecycle.$1") && shift; done
  mkdir -p "$work/life/$name"
  : >"$work/life/$name/said"
  client clone box "$name" "$work/image/rootfs" mount="$work/life/$name:/data" "${words[@]}" "$@" + create "$name" >/dev/null
}

# The same, started.
start_managed() {
  create_managed "$@"
  client start "$1" >/dev/null
}

# Waits for the end of a container, removes it, and prints its exit status, when that came, and when the wait, or what is
# done first, began.
end_of() {
  local name=$1 began status at
  shift
  { read -r began && read -r status && read -r at; } <<<"$(client clock - + "$@" wait "$name" + clock -)"
  echo "$status $at $began"
  client delete "$name" + forget "$name" >/dev/null
}

stop_of() {
  end_of "$1" kill "$1" TERM +
}

check_s1_the_entrypoint_runs_beside_poststart() {
  start_managed s1 postStart="$(handler 'say hook; until [ -e /data/go ]; do sleep 0.05; done; say over')" -- sh -c "$ignores"
  # Neither the start nor the program waits for the handler.
  same "$(client state s1)" RUNNING
  until_true 10 has_said s1 begun
  until_true 10 has_said s1 hook
  touch "$work/life/s1/go"
  until_true 10 has_said s1 over
  same "$(client state s1)" RUNNING
  not has_said s1 term
  end_of s1 kill s1 KILL +
}

check_s5_a_failed_poststart_stops_with_sigterm() {
  local status
  start_managed s5 postStart="$(handler 'until [ -s /data/said ]; do sleep 0.05; done; exit 1')" -- sh -c "$obeys"
  read -r status _ <<<"$(end_of s5)"
  same "$status" 0
  has_said s5 term
}

check_s6_a_failed_poststart_kills_after_the_grace_period() {
  local status at
  start_managed s6 terminationGracePeriodSeconds=4 \
    postStart="$(handler 'until [ -s /data/said ]; do sleep 0.05; done; exit 1')" -- sh -c "$ignores"
  read -r status at <<<"$(end_of s6)"
  same "$status" 137
  after "$(said s6 term)" "$at" 4
}

check_s8_a_failed_poststart_runs_prestop_before_sigterm() {
  start_managed s8 preStop="$(handler 'say prestop')" \
    postStart="$(handler 'until [ -s /data/said ]; do sleep 0.05; done; exit 1')" -- sh -c "$obeys"
  end_of s8
  same "$(cut -d' ' -f1 "$work/life/s8/said" | tr '\n' ' ')" "begun prestop term "
}

# Has a server answer in the network of a container, named first, from its port 8080: with a status. It ends with it.
answer_with() {
  local pid
  pid=$(client pids "$1")
  nsenter --net="/proc/$pid/ns/net" /bin/busybox ip link set lo up
  nsenter --net="/proc/$pid/ns/net" /usr/bin/python3 -c '
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.path, flush=True)
        self.send_error(int(sys.argv[1]))
    def log_message(self, *words):
        pass
http.server.HTTPServer(("127.0.0.1", 8080), Answer).serve_forever()
' "$2" >"$work/life/$1/requests" &
  until_true 10 grep -q '0100007F:1F90 ' "/proc/$pid/net/tcp"
}

check_s11_an_answer_of_500_is_success() {
  create_managed s11 postStart='{"httpGet":{"host":"127.0.0.1","port":8080,"path":"/hook"}}' -- sh -c "$obeys"
  answer_with s11 500
  client start s11
  until_true 10 grep -qx /hook "$work/life/s11/requests"
  sleep 1
  same "$(client state s11)" RUNNING
  not has_said s11 term
  same "$(cat "$work/life/s11/requests")" /hook
  kill "$!"
  end_of s11 kill s11 KILL +
}

check_s12_a_closed_port_is_failure() {
  local began
  create_managed s12 postStart='{"httpGet":{"host":"127.0.0.1","port":8080}}' -- \
    sh -c "$say"'trap "say term; exit 6" TERM; say begun; while :; do sleep 0.05; done'
  client start s12
  # It may come before the program has set its trap, which process 1 then does not notice.
  read -r status at began <<<"$(end_of s12)"
  after "$began" "$at" 0 31
  [ "$status" = 6 ] || [ "$status" = 137 ]
}

check_s25_a_stop_ends_a_hanging_poststart() {
  local began status at
  start_managed s25 terminationGracePeriodSeconds=3 postStart="$(handler 'say hook; while :; do sleep 1; done')" -- \
    sh -c "$ignores"
  until_true 10 has_said s25 begun
  until_true 10 has_said s25 hook
  read -r status at began <<<"$(stop_of s25)"
  same "$status" 137
  after "$began" "$(said s25 term)" 0
  after "$began" "$at" 3 5
}

check_s27_prestop_comes_before_sigterm() {
  local began status at
  start_managed s27 terminationGracePeriodSeconds=10 preStop="$(handler 'sleep 3')" -- sh -c "$obeys"
  until_true 10 has_said s27 begun
  read -r status at began <<<"$(stop_of s27)"
  same "$status" 0
  after "$began" "$(said s27 term)" 3
  after "$began" "$at" 4
}

check_s28_the_grace_period_begins_before_prestop() {
  local began status at
  start_managed s28 terminationGracePeriodSeconds=10 preStop="$(handler 'sleep 3')" -- sh -c "$ignores"
  until_true 10 has_said s28 begun
  read -r status at began <<<"$(stop_of s28)"
  same "$status" 137
  after "$began" "$(said s28 term)" 3
  after "$began" "$at" 10
}

check_s29_a_prestop_that_takes_too_long_leaves_two_seconds() {
  local began status at
  start_managed s29 terminationGracePeriodSeconds=5 preStop="$(handler 'sleep 60')" -- sh -c "$ignores"
  until_true 10 has_said s29 begun
  read -r status at began <<<"$(stop_of s29)"
  same "$status" 137
  after "$began" "$(said s29 term)" 5
  after "$began" "$at" 7
}

check_s30_the_grace_period_is_thirty_seconds_unless_told() {
  local began status at
  start_managed s30 preStop="$(handler 'while :; do sleep 1; done')" -- sh -c "$ignores"
  until_true 10 has_said s30 begun
  read -r status at began <<<"$(stop_of s30)"
  same "$status" 137
  after "$began" "$at" 32
}

check_s31_a_failed_prestop_holds_nothing_up() {
  local began status at
  start_managed s31 preStop="$(handler 'exit 1')" -- sh -c "$obeys"
  until_true 10 has_said s31 begun
  read -r status at began <<<"$(stop_of s31)"
  same "$status" 0
  after "$began" "$(said s31 term)" 0
  after "$began" "$at" 1
}

check_s34_a_crash_runs_no_prestop() {
  local status
  start_managed s34 preStop="$(handler 'say prestop')" -- sh -c "$say"'say begun; sleep 0.5; exit 2'
  read -r status _ <<<"$(end_of s34)"
  same "$status" 2
  not has_said s34 prestop
}

check_s42_a_stop_signal_of_its_own() {
  local began status at
  start_managed s42 stopSignal=SIGQUIT terminationGracePeriodSeconds=3 preStop="$(handler 'say prestop')" -- \
    sh -c "$say"'trap "say quit" QUIT; trap "say term" TERM; say begun; while :; do sleep 0.05; done'
  until_true 10 has_said s42 begun
  read -r status at began <<<"$(stop_of s42)"
  same "$status" 137
  same "$(cut -d' ' -f1 "$work/life/s42/said" | tr '\n' ' ')" "begun prestop quit "
  after "$began" "$at" 3
}

check_s43_a_shell_without_traps_rides_out_the_grace_period() {
  local began status at
  start_managed s43 terminationGracePeriodSeconds=3 -- sh -c 'sleep 100; true'
  read -r status at began <<<"$(stop_of s43)"
  same "$status" 137
  after "$began" "$at" 3
}

check_s44_no_child_outlives_its_container() {
  start_managed s44 terminationGracePeriodSeconds=2 -- sh -c "$say"'trap "" TERM; sleep 4444 & sleep 4444 & say begun; wait'
  until_true 10 has_said s44 begun
  stop_of s44
  until_true 10 gone_with_arguments 'sleep 4444'
}

check_s46_the_stop_signal_comes_once() {
  local began status at
  start_managed s46 terminationGracePeriodSeconds=4 -- sh -c "$ignores"
  until_true 10 has_said s46 begun
  read -r status at began <<<"$(end_of s46 kill s46 TERM + sleep 1 + kill s46 TERM +)"
  same "$status" 137
  same "$(cut -d' ' -f1 "$work/life/s46/said" | tr '\n' ' ')" "begun term "
  after "$began" "$at" 4
}

check_sigkill_waits_for_no_prestop() {
  local began status at
  start_managed at-once preStop="$(handler 'say prestop; sleep 60')" -- sh -c "$ignores"
  until_true 10 has_said at-once begun
  # The request itself does not wait for the handler.
  { read -r began && read -r at; } <<<"$(client clock - + kill at-once TERM + clock -)"
  after "$began" "$at" 0
  until_true 10 has_said at-once prestop
  read -r status at began <<<"$(end_of at-once kill at-once KILL +)"
  same "$status" 137
  after "$began" "$at" 0
  not has_said at-once term
}

check_other_signals_pass_at_once() {
  start_managed passing preStop="$(handler 'sleep 60')" -- \
    sh -c "$say"'trap "say usr1" USR1; say begun; while :; do sleep 0.05; done'
  until_true 10 has_said passing begun
  client kill passing USR1
  until_true 10 has_said passing usr1
  end_of passing kill passing KILL +
}

check_annotations_that_are_wrong_are_told() {
  holds "$(exits 1 create_managed wrong preStop='{"tcpSocket":{"port":1}}' -- sleep 1000)" org.tenure.lifecycle.preStop
  holds "$(exits 1 client create wrong)" org.tenure.lifecycle.preStop
  until_true 10 nothing_left_of wrong
  client forget wrong
}
