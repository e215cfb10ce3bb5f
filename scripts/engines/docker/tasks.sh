# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # Single quotes hold programs for containers; variables are those of engine-test.
# Docker's containers, whatever runs them. Checks may run side by side.

check_create_makes_a_container_that_start_runs() {
  docker create --name created "$image" echo hello
  same "$(docker start --attach created)" hello
  same "$(inspect created '{{.State.Status}} {{.State.ExitCode}}')" "exited 0"
  docker rm created
}

check_run_passes_the_exit_code_on() {
  exits 0 run "$image" true
  exits 3 run "$image" sh -c 'exit 3'
}

check_run_of_a_missing_program_is_127() {
  exits 127 run "$image" no-such-program
  exits 127 run "$image" /no/such/program
}

check_run_of_what_is_no_program_is_126() {
  exits 126 run "$image" /data/plain
}

check_run_gives_environment_directory_and_user() {
  same "$(run -e GIVEN='two words' --workdir /data --user guest --group-add 2000 --hostname inner "$image" \
    sh -c 'echo "$FROM_IMAGE $GIVEN $(pwd) $(id -u) $(id -G) $(hostname)"')" "yes two words /data 1000 1000 2000 inner"
}

check_volumes_are_writable_or_not() {
  run -v "$work/shared:/mine" "$image" sh -c 'echo inside >/mine/out'
  same "$(cat "$work/shared/out")" inside
  holds "$(exits 1 run -v "$work/shared:/mine:ro" "$image" sh -c 'echo >/mine/more')" "Read-only file system"
  run -v kept:/kept "$image" sh -c 'echo still here >/kept/file'
  same "$(run -v kept:/kept "$image" cat /kept/file)" "still here"
}

check_read_only_root_and_tmpfs() {
  same "$(run --read-only --tmpfs /scratch:size=1m,mode=1770 "$image" sh -c \
    '! echo >/data/new 2>/dev/null && echo >/scratch/new && stat -c %a /scratch')" 1770
}

check_capabilities_are_what_was_asked_for() {
  local show='grep -E "^Cap(Eff|Bnd)" /proc/self/status | cut -f2'
  same "$(run --cap-drop ALL --cap-add NET_ADMIN --cap-add CHOWN "$image" sh -c "$show")" $'0000000000001001\n0000000000001001'
}

check_limits_are_seen_inside() {
  same "$(run --memory 64m --pids-limit 37 --cpus 0.5 --ulimit nofile=512:600 "$image" \
    sh -c "$memory_limit; $pids_limit; $cpu_quota; ulimit -n; ulimit -Hn")" $'67108864\n37\n50000\n512\n600'
}

check_the_default_seccomp_profile_is_in_force() {
  holds "$(run "$image" grep '^Seccomp:' /proc/self/status)" 2
  holds "$(exits 1 run "$image" unshare --user true)" "Operation not permitted"
  holds "$(run --security-opt seccomp=unconfined "$image" grep '^Seccomp:' /proc/self/status)" 0
}

check_namespaces_of_the_host_and_of_others_are_joined() {
  local show='for kind in pid ipc net; do readlink /proc/self/ns/$kind; done' pid
  same "$(run --pid host --ipc host --network host "$image" sh -c "$show")" "$(sh -c "$show")"
  docker run -d --name shared --ipc shareable "$image" sleep 1000
  pid=$(inspect shared '{{.State.Pid}}')
  same "$(run --pid container:shared --ipc container:shared --network container:shared "$image" sh -c "$show")" \
    "$(cd "/proc/$pid/ns" && readlink pid ipc net)"
  docker rm --force shared
}

check_init_reaps_as_process_1() {
  holds "$(run --init "$image" cat /proc/1/cmdline | tr '\0' ' ')" init
  exits 4 run --init "$image" sh -c 'exit 4'
}

check_standard_streams_lose_nothing() {
  same "$(printf 'one\ntwo\n' | run -i "$image" sort -r)" $'two\none'
  same "$(run "$image" seq 200000 | sha256sum)" "$(seq 200000 | sha256sum)"
  same "$(run --network none "$image" sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err
}

check_run_on_a_terminal_that_changes_its_size() {
  local output
  output=$(exits 5 terminal 24 80 expect='24 80' size=40x120 expect='40 120' raw='\x03' -- \
    "${docker_command[@]}" run --rm -it "$image" sh -c "$show_size")
  holds "$output" /dev/pts/0
}

check_detach_from_a_terminal_and_attach_again() {
  terminal 24 80 expect=ready raw='\x10\x11' -- "${docker_command[@]}" run -it --name attached "$image" sh -c 'echo ready; exec sh'
  is_status attached running
  exits 6 terminal 24 80 send='echo again' expect=again send='exit 6' -- "${docker_command[@]}" attach attached
  docker rm attached
}

check_exec_passes_the_exit_code_on() {
  same "$(docker exec box echo inside)" inside
  exits 8 docker exec box sh -c 'exit 8'
  same "$(printf 'b\na\n' | docker exec -i box sort)" $'a\nb'
}

check_exec_that_cannot_start_says_why() {
  holds "$(exits 126 docker exec box no-such-program)" "no-such-program"
  exits 126 docker exec box /data/plain
}

check_exec_has_its_own_user_environment_and_directory() {
  same "$(docker exec --user guest --env GIVEN=here --workdir /data box sh -c 'echo $(id -u) $GIVEN $FROM_IMAGE $(pwd)')" \
    "1000 here yes /data"
}

check_exec_is_in_the_containers_namespaces_and_cgroups() {
  local pid
  pid=$(inspect box '{{.State.Pid}}')
  same "$(docker exec box sh -c 'cd /proc/self/ns; for kind in ipc mnt net pid uts; do readlink $kind; done')" \
    "$(cd "/proc/$pid/ns" && readlink ipc mnt net pid uts)"
  same "$(docker exec box sort /proc/self/cgroup)" "$(docker exec box sort /proc/1/cgroup)"
}

check_exec_on_a_terminal() {
  local output
  output=$(exits 5 terminal 31 99 expect='31 99' size=44x111 expect='44 111' raw='\x03' -- \
    "${docker_command[@]}" exec -it box sh -c "$show_size")
  holds "$output" /dev/pts/
}

check_exec_detached_goes_on_alone() {
  docker exec -d box sh -c 'sleep 0.2; echo done >/tmp/detached'
  until_true 10 docker exec box test -s /tmp/detached
}

check_logs_and_ps_tell_what_happened() {
  docker run --name ended "$image" sh -c 'echo first; echo second >&2; exit 3' || true
  same "$(docker logs ended 2>/dev/null)" first
  same "$(docker logs ended 2>&1 >/dev/null)" second
  holds "$(docker ps --all --format '{{.Names}} {{.Status}}')" "ended Exited (3)"
  docker rm ended
}

check_stop_lets_the_program_end_by_itself() {
  docker run -d --name stopped "$image" sh -c "$on_term"
  until_true 10 logs_hold stopped ready
  docker stop --time 20 stopped
  same "$(inspect stopped '{{.State.ExitCode}}')" 7
  docker rm stopped
}

check_stop_kills_after_the_grace_period() {
  docker run -d --name stubborn "$image" sh -c 'trap "" TERM; echo ready; while :; do sleep 0.1; done'
  until_true 10 logs_hold stubborn ready
  docker stop --time 1 stubborn
  same "$(inspect stubborn '{{.State.ExitCode}}')" 137
  docker rm stubborn
}

check_kill_sends_signals() {
  docker run -d --name killed "$image" sh -c 'trap "echo USR2 came" USR2; echo ready; while :; do sleep 0.05; done'
  until_true 10 logs_hold killed ready
  docker kill --signal USR2 killed
  until_true 10 logs_hold killed "USR2 came"
  docker kill killed
  same "$(docker wait killed)" 137
  docker rm killed
}

check_pause_freezes_and_unpause_goes_on() {
  local before
  docker run -d --name paused "$image" sh -c 'while :; do echo tick; sleep 0.05; done'
  until_true 10 logs_hold paused tick
  docker pause paused
  is_status paused paused
  sleep 0.2
  before=$(docker logs paused | wc -l)
  sleep 0.3
  same "$(docker logs paused | wc -l)" "$before"
  holds "$(exits 1 docker exec paused true)" "is paused"
  docker unpause paused
  is_status paused running
  docker exec paused true
  docker rm --force paused
}

check_a_paused_container_can_be_removed() {
  start_box frozen
  docker pause frozen
  docker rm --force frozen
  same "$(docker ps --all --quiet --filter name=frozen)" ""
}

check_update_changes_limits() {
  start_box updated --memory 64m --cpus 1 --pids-limit 100
  docker update --memory 96m --memory-swap 96m --cpus 0.25 --pids-limit 44 updated
  same "$(docker exec updated sh -c "$memory_limit; $cpu_quota; $pids_limit")" $'100663296\n25000\n44'
  docker rm --force updated
}

check_top_and_stats_look_inside() {
  holds "$(docker top box)" "sleep 1000"
  [ "$(docker stats --no-stream --format '{{.PIDs}}' box)" -ge 1 ]
}

check_events_tell_of_too_little_memory() {
  docker run --name hungry --memory 16m --memory-swap 16m "$image" sh -c "$eat_memory" || true
  same "$(inspect hungry '{{.State.OOMKilled}} {{.State.ExitCode}}')" "true 137"
  holds "$(docker events --since 1m --until "$(($(date +%s) + 1))" --filter container=hungry --format '{{.Status}}' | tr '\n' ' ')" \
    "start oom die"
  docker rm hungry
}

check_a_health_check_runs_in_the_container() {
  start_box healthy --health-cmd 'test ! -e /tmp/ill' --health-interval 1s --health-retries 1
  until_true 20 is_health healthy healthy
  docker exec healthy touch /tmp/ill
  until_true 20 is_health healthy unhealthy
  docker rm --force healthy
}

is_health() {
  [ "$(inspect "$1" '{{.State.Health.Status}}')" = "$2" ]
}

check_restart_starts_the_same_container_anew() {
  local before
  start_box again
  docker exec again touch /data/kept
  before=$(inspect again '{{.State.Pid}}')
  docker restart --time 0 again
  [ "$(inspect again '{{.State.Pid}}')" != "$before" ]
  docker exec again test -e /data/kept
  docker rm --force again
}

check_the_restart_policy_restarts_what_failed() {
  docker run -d --name failing --restart on-failure:2 "$image" sh -c 'echo run; exit 1'
  until_true 20 has_restarted failing 2
  until_true 20 is_status failing exited
  # The last line may come after the end.
  until_true 10 has_logged failing $'run\nrun\nrun'
  docker rm failing
}

has_logged() {
  same "$(docker logs "$1")" "$2"
}

has_restarted() {
  [ "$(inspect "$1" '{{.RestartCount}}')" = "$2" ]
}

check_a_checkpoint_is_refused_and_harms_nothing() {
  command -v criu >/dev/null && return
  exits 1 docker checkpoint create box first
  is_status box running
  docker exec box true
}

check_a_killed_init_is_noticed() {
  start_box murdered
  kill -KILL "$(inspect murdered '{{.State.Pid}}')"
  same "$(docker wait murdered)" 137
  docker rm murdered
}

check_files_are_copied_in_and_out() {
  echo carried >"$work/shared/carried"
  docker cp "$work/shared/carried" box:/data/carried
  same "$(docker exec box cat /data/carried)" carried
  docker cp box:/data/plain "$work/shared/back"
  same "$(cat "$work/shared/back")" "not a program"
}

check_an_image_is_built_in_containers() {
  printf 'FROM %s\nRUN echo made >/data/made\nUSER guest\nRUN id -u >/tmp/who\n' "$image" >"$work/Dockerfile"
  DOCKER_BUILDKIT=0 docker build --quiet --network none --tag built - <"$work/Dockerfile"
  same "$(run built cat /data/made /tmp/who)" $'made\n1000'
  printf 'FROM %s\nRUN exit 3\n' "$image" >"$work/Dockerfile"
  DOCKER_BUILDKIT=0 exits 3 docker build --network none - <"$work/Dockerfile"
}

check_many_containers_at_once() {
  local number pids=()
  for number in 1 2 3 4 5 6 7 8; do
    exits "$number" run "$image" sh -c "sleep 0.2; exit $number" &
    pids+=($!)
  done
  for number in "${pids[@]}"; do wait "$number"; done
}
