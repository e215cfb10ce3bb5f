# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # Single quotes hold programs for containers; variables are those of engine-test.
# The managed life of a pod's containers: annotations of the pod, which are all that its author can set, name a container.
# Only Tenure's shim has it; what is said and how times are judged is in lifecycle.sh.

# Runs a pod and a container `web` in it that says what it does; prints the container's id: the pod's name, annotations of
# the pod, `--`, the container's program.
run_managed_pod() {
  local name=$1 words=() pod
  shift
  while [ "$1" != -- ]; do words+=("$1") && shift; done
  mkdir -p "$work/life/$name"
  : >"$work/life/$name/said"
  # A check ends here: `set -e` is not for commands in place of words.
  pod=$(run_pod "$name" "${words[@]}") || return
  echo "$pod" >"$work/life/$name/pod"
  run_in_pod "$pod" web mount="$work/life/$name:/data" "$@"
}

remove_managed_pod() {
  remove_pod "$(cat "$work/life/$1/pod")"
}

check_s27_in_a_pod_prestop_comes_before_sigterm() {
  local web began at
  web=$(run_managed_pod p27 org.tenure.lifecycle.web.preStop="$(handler 'sleep 3')" \
    org.tenure.lifecycle.web.terminationGracePeriodSeconds=10 -- sh -c "$obeys")
  until_true 10 has_said p27 begun
  read -r began at <<<"$(cri stop "$web" 20)"
  after "$began" "$(said p27 term)" 3
  after "$began" "$at" 4
  same "$(cri status "$web")" "EXITED 0 Completed"
  remove_managed_pod p27
}

check_s29_in_a_pod_the_grace_period_ends_a_prestop() {
  local web began at
  web=$(run_managed_pod p29 org.tenure.lifecycle.preStop="$(handler 'sleep 60')" \
    org.tenure.lifecycle.terminationGracePeriodSeconds=5 -- sh -c "$ignores")
  until_true 10 has_said p29 begun
  read -r began at <<<"$(cri stop "$web" 30)"
  after "$began" "$at" 7
  after "$began" "$(said p29 term)" 5
  same "$(cri status "$web")" "EXITED 137 Error"
  remove_managed_pod p29
}

check_a_shorter_time_of_the_kubelet_cuts_prestop_off() {
  local web began at
  web=$(run_managed_pod hurried org.tenure.lifecycle.web.preStop="$(handler 'say prestop; sleep 60')" -- sh -c "$ignores")
  until_true 10 has_said hurried begun
  read -r began at <<<"$(cri stop "$web" 2)"
  after "$began" "$at" 2
  has_said hurried prestop
  not has_said hurried term
  same "$(cri status "$web")" "EXITED 137 Error"
  remove_managed_pod hurried
}

check_annotations_name_the_container_they_are_for() {
  local web other pod
  web=$(run_managed_pod named org.tenure.lifecycle.web.preStop="$(handler 'say prestop')" -- sh -c "$obeys")
  pod=$(cat "$work/life/named/pod")
  other=$(run_in_pod "$pod" other mount="$work/life/named:/data" -- sh -c "${obeys/say begun/say other}")
  until_true 10 has_said named begun
  until_true 10 has_said named other
  cri stop "$other" 20
  not has_said named prestop
  cri stop "$web" 20
  has_said named prestop
  remove_managed_pod named
}

check_annotations_of_a_container_are_its_own() {
  local pod web
  mkdir -p "$work/life/own"
  : >"$work/life/own/said"
  pod=$(run_pod own)
  web=$(run_in_pod "$pod" web mount="$work/life/own:/data" org.tenure.lifecycle.stopSignal=SIGUSR1 -- \
    sh -c "$say"'trap "say usr1; exit 5" USR1; say begun; while :; do sleep 0.05; done')
  until_true 10 has_said own begun
  cri stop "$web" 20
  same "$(cri status "$web")" "EXITED 5 Error"
  has_said own usr1
  remove_pod "$pod"
}

check_s8_in_a_pod_a_failed_poststart_ends_the_container() {
  local web
  web=$(run_managed_pod p8 org.tenure.lifecycle.web.preStop="$(handler 'say prestop')" \
    org.tenure.lifecycle.web.postStart="$(handler 'until [ -s /data/said ]; do sleep 0.05; done; exit 1')" -- sh -c "$obeys")
  until_true 20 is_status "$web" "EXITED 0 Completed"
  same "$(cut -d' ' -f1 "$work/life/p8/said" | tr '\n' ' ')" "begun prestop term "
  remove_managed_pod p8
}

check_s45_in_a_shared_pid_namespace_no_process_remains() {
  local web began at
  web=$(run_managed_pod p45 pid=pod org.tenure.lifecycle.web.terminationGracePeriodSeconds=2 -- \
    sh -c "$say"'trap "" TERM; sleep 4545 & sleep 4545 & say begun; wait')
  until_true 10 has_said p45 begun
  read -r began at <<<"$(cri stop "$web" 30)"
  after "$began" "$at" 2
  until_true 10 gone_with_arguments 'sleep 4545'
  same "$(cri status "$web")" "EXITED 137 Error"
  remove_managed_pod p45
}

check_s46_in_a_pod_the_stop_signal_comes_once() {
  local web
  web=$(run_managed_pod p46 org.tenure.lifecycle.web.terminationGracePeriodSeconds=4 -- sh -c "$ignores")
  until_true 10 has_said p46 begun
  cri stop "$web" 30 &
  sleep 1
  cri stop "$web" 30
  wait "$!"
  same "$(cut -d' ' -f1 "$work/life/p46/said" | tr '\n' ' ')" "begun term "
  remove_managed_pod p46
}

check_stopping_a_managed_pod_kills_its_containers() {
  local web began
  web=$(run_managed_pod swift org.tenure.lifecycle.web.preStop="$(handler 'sleep 60')" -- sh -c "$ignores")
  until_true 10 has_said swift begun
  began=$(clock)
  remove_managed_pod swift
  after "$began" "$(clock)" 0 5
  exits 1 cri status "$web"
}
