# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034,SC2154 # Single quotes hold programs for containers; variables are shared with engine-test.
# The managed life that annotations ask for: what its checks share, and what only clients of containerd can ask for. The
# scenarios of lifecycle-semantics are in scenarios.sh. Only Tenure's shim has it. Times are never too early, and late by
# no more than what a busy machine needs.

# Programs say words with the time since the machine's start, in a file that is read here.
say='say() { read -r up rest </proc/uptime; echo "$1 $up" >>/data/said; }; '
# Waits for signals, at no cost.
waits='while :; do sleep 1 & wait $!; done'
# Says when SIGTERM comes and ends with 0 a second later.
obeys=$say'trap "say term; sleep 1; exit 0" TERM; say begun; '$waits
# Says when SIGTERM comes and goes on.
ignores=$say'trap "say term" TERM; say begun; '$waits

# When a container, named first, said a word for the first time.
said() {
  awk -v word="$2" '$1 == word { print $2; exit }' "$work/life/$1/said"
}

has_said() {
  [ -n "$(said "$1" "$2")" ]
}

# All words that a container said, in their order.
words_of() {
  cut -d' ' -f1 "$work/life/$1/said" | paste -sd' '
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

# Where a container says its words.
make_life() {
  mkdir -p "$work/life/$1"
  : >"$work/life/$1/said"
}

# A scenario is led through one of two: `ctr`, containerd's own interface, or `pod`, the CRI as the kubelet uses it.
through=ctr

# Makes a container under a managed life: its name, SETTING=VALUE..., `--`, its program. What is made is the task, or the
# container of a pod.
create_managed() {
  make_life "$1"
  "create_managed_by_$through" "$@"
}

# Annotations of other kinds that a check's containers are to have.
annotations=()

create_managed_by_ctr() {
  local name=$1 words=("${annotations[@]}")
  shift
  while [ "$1" != -- ]; do words+=("org.tenure.lifecycle.$1") && shift; done
  client clone box "$name" "$work/image/rootfs" mount="$work/life/$name:/data" "${words[@]}" "$@" + create "$name" >/dev/null
}

# Starts what create_managed has made.
start_created() {
  "start_created_by_$through" "$@"
}

start_created_by_ctr() {
  client start "$1" >/dev/null
}

start_managed() {
  create_managed "$@"
  start_created "$1"
}

# Whether a container is in a state, such as RUNNING.
is_state() {
  "is_state_by_$through" "$@"
}

is_state_by_ctr() {
  same "$(client state "$1")" "$2"
}

# These wait for the end of a container, remove it, and print its exit status, when that came, and when the wait began, or
# what is done first: nothing, a stop, another stop a second later, or SIGKILL.
end_of() {
  "end_by_$through" "$1"
}

stop_of() {
  "stop_by_$through" "$1"
}

stop_twice() {
  "stop_twice_by_$through" "$1"
}

kill_of() {
  "kill_by_$through" "$1"
}

end_by_ctr() {
  local name=$1 began status at
  shift
  { read -r began && read -r status && read -r at; } <<<"$(client clock - + "$@" wait "$name" + clock -)"
  echo "$status $at $began"
  client delete "$name" + forget "$name" >/dev/null
}

stop_by_ctr() {
  end_by_ctr "$1" kill "$1" TERM +
}

stop_twice_by_ctr() {
  end_by_ctr "$1" kill "$1" TERM + sleep 1 + kill "$1" TERM +
}

kill_by_ctr() {
  end_by_ctr "$1" kill "$1" KILL +
}

check_sigkill_waits_for_no_prestop() {
  local began status at
  start_managed at-once preStop="$(handler 'say prestop; sleep 60')" -- sh -c "$ignores"
  until_true 20 has_said at-once begun
  # The request itself does not wait for the handler.
  { read -r began && read -r at; } <<<"$(client clock - + kill at-once TERM + clock -)"
  after "$began" "$at" 0
  until_true 20 has_said at-once prestop
  read -r status at began <<<"$(kill_of at-once)"
  same "$status" 137
  after "$began" "$at" 0
  not has_said at-once term
}

check_other_signals_pass_at_once() {
  start_managed passing preStop="$(handler 'sleep 60')" -- \
    sh -c "$say"'trap "say usr1" USR1; say begun; '"$waits"
  until_true 20 has_said passing begun
  client kill passing USR1
  until_true 20 has_said passing usr1
  kill_of passing
}

check_the_signal_that_is_named_asks_for_a_stop_too() {
  local began status at
  start_managed quitting stopSignal=SIGQUIT terminationGracePeriodSeconds=3 preStop="$(handler 'say prestop')" -- \
    sh -c "$say"'trap "say quit; exit 4" QUIT; say begun; '"$waits"
  until_true 20 has_said quitting begun
  read -r status at began <<<"$(end_by_ctr quitting kill quitting QUIT +)"
  same "$status" 4
  same "$(words_of quitting)" "begun prestop quit"
}

# Kubernetes sends an image's own stop signal, and tells no shim which that is.
check_any_signal_asks_a_container_of_kubernetes_to_stop() {
  local began status at annotations=(io.kubernetes.cri.container-type=container)
  start_managed imaged terminationGracePeriodSeconds=3 preStop="$(handler 'say prestop')" -- \
    sh -c "$say"'trap "say quit; exit 4" QUIT; say begun; '"$waits"
  until_true 20 has_said imaged begun
  read -r status at began <<<"$(end_by_ctr imaged kill imaged QUIT +)"
  same "$status" 4
  same "$(words_of imaged)" "begun prestop quit"
}

check_annotations_that_are_wrong_are_told() {
  holds "$(exits 1 create_managed wrong preStop='{"tcpSocket":{"port":1}}' -- sleep 1000)" org.tenure.lifecycle.preStop
  holds "$(exits 1 client create wrong)" org.tenure.lifecycle.preStop
  until_true 10 nothing_left_of wrong
  client forget wrong
}
