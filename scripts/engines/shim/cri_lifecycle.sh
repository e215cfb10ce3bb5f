# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034,SC2154 # Single quotes hold programs for containers; variables are shared with engine-test.
# The managed life of a pod's containers: annotations of the pod, which are all that its author can set, name a container.
# First how scenarios.sh is led through the CRI, then what is about pods. What is said and how times are judged is in
# lifecycle.sh.

# Longer than what a container may take to stop, in seconds: after that containerd sends SIGKILL.
unhurried=50

# Runs a pod and makes a container `web` in it that says what it does, with annotations of the pod for the container:
# create_managed tells the words.
create_managed_by_pod() {
  local name=$1 words=()
  shift
  while [ "$1" != -- ]; do words+=("org.tenure.lifecycle.web.$1") && shift; done
  run_pod "$name" "${words[@]}" >"$work/life/$name/pod"
  add_web "$name" "$@"
}

# Makes a container in a pod: its name, which says what it does, words for cri.py, `--`, its program.
add_web() {
  cri container "$(pod_of "$1")" web "$image" mount="$work/life/$1:/data" "${@:2}" >"$work/life/$1/web"
}

pod_of() {
  cat "$work/life/$1/pod"
}

web_of() {
  cat "$work/life/$1/web"
}

start_created_by_pod() {
  cri start "$(web_of "$1")"
}

is_state_by_pod() {
  holds " $(cri status "$(web_of "$1")")" " $2 "
}

end_by_pod() {
  ended_pod "$1" "$(cri wait "$(web_of "$1")")"
}

stop_by_pod() {
  ended_pod "$1" "$(cri stop "$(web_of "$1")" "$unhurried")"
}

kill_by_pod() {
  ended_pod "$1" "$(cri stop "$(web_of "$1")" 0)"
}

# The kubelet may ask again before the first stop is over.
stop_twice_by_pod() {
  local web
  web=$(web_of "$1")
  cri stop "$web" "$unhurried" >"$work/life/$1/stopped" &
  sleep 1
  cri stop "$web" "$unhurried" >/dev/null
  wait "$!"
  ended_pod "$1" "$(cat "$work/life/$1/stopped")"
}

# Prints how a pod's container ended, with the times when a wait for that began and ended, and removes the pod.
ended_pod() {
  local state status reason began at
  read -r state status reason <<<"$(cri status "$(web_of "$1")")"
  read -r began at <<<"$2"
  # Anything else is no exit status.
  case $state-$status-$reason in
    EXITED-0-Completed | EXITED-*-Error) ;;
    *) status=$state-$status-$reason ;;
  esac
  echo "$status $at $began"
  remove_pod "$(pod_of "$1")"
}

check_annotations_of_a_pod_without_a_name_are_for_its_containers() {
  make_life unnamed
  run_pod unnamed org.tenure.lifecycle.preStop="$(handler 'say prestop')" \
    org.tenure.lifecycle.terminationGracePeriodSeconds=3 >"$work/life/unnamed/pod"
  add_web unnamed -- sh -c "$ignores"
  start_created_by_pod unnamed
  until_true 20 has_said unnamed begun
  read -r status at began <<<"$(stop_by_pod unnamed)"
  same "$status" 137
  after "$began" "$at" 3
  same "$(words_of unnamed)" "begun prestop term"
}

check_a_shorter_time_of_the_kubelet_cuts_prestop_off() {
  local through=pod began at
  start_managed hurried preStop="$(handler 'say prestop; sleep 60')" -- sh -c "$ignores"
  until_true 20 has_said hurried begun
  read -r began at <<<"$(cri stop "$(web_of hurried)" 5)"
  after "$began" "$at" 5
  same "$(words_of hurried)" "begun prestop"
  same "$(cri status "$(web_of hurried)")" "EXITED 137 Error"
  remove_pod "$(pod_of hurried)"
}

check_annotations_name_the_container_they_are_for() {
  local through=pod other
  start_managed named preStop="$(handler 'say prestop')" -- sh -c "$obeys"
  other=$(run_in_pod "$(pod_of named)" other mount="$work/life/named:/data" -- sh -c "${obeys/say begun/say other}")
  until_true 20 has_said named begun
  until_true 20 has_said named other
  cri stop "$other" "$unhurried"
  not has_said named prestop
  cri stop "$(web_of named)" "$unhurried"
  has_said named prestop
  remove_pod "$(pod_of named)"
}

check_annotations_of_a_container_are_its_own() {
  make_life own
  run_pod own >"$work/life/own/pod"
  add_web own org.tenure.lifecycle.stopSignal=SIGUSR1 -- \
    sh -c "$say"'trap "say usr1; exit 5" USR1; say begun; '"$waits"
  start_created_by_pod own
  until_true 20 has_said own begun
  cri stop "$(web_of own)" "$unhurried"
  same "$(cri status "$(web_of own)")" "EXITED 5 Error"
  has_said own usr1
  remove_pod "$(pod_of own)"
}

check_s45_in_a_shared_pid_namespace_no_process_remains() {
  local status at began
  make_life s45
  run_pod s45 pid=pod org.tenure.lifecycle.web.terminationGracePeriodSeconds=2 >"$work/life/s45/pod"
  add_web s45 -- sh -c "$say"'trap "" TERM; sleep 4545 & sleep 4545 & say begun; wait'
  start_created_by_pod s45
  until_true 20 has_said s45 begun
  read -r began at <<<"$(cri stop "$(web_of s45)" "$unhurried")"
  after "$began" "$at" 2
  # Not the pod's end, which would take them too.
  until_true 20 gone_with_arguments 'sleep 4545'
  same "$(cri status "$(web_of s45)")" "EXITED 137 Error"
  remove_pod "$(pod_of s45)"
}

check_stopping_a_managed_pod_kills_its_containers() {
  local through=pod began
  start_managed swift preStop="$(handler 'sleep 60')" -- sh -c "$ignores"
  until_true 20 has_said swift begun
  began=$(clock)
  remove_pod "$(pod_of swift)"
  after "$began" "$(clock)" 0 5
  exits 1 cri status "$(web_of swift)"
}
