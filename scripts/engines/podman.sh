# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # Single quotes hold programs for containers; variables are those of engine-test.
# Sourced by engine-test: podman, with cgroupfs and without networks.

podman_program=$(command -v podman)
podman_command=("$podman_program" --root "$work/storage" --runroot "$work/run" --tmpdir "$work/tmp"
  --network-config-dir "$work/networks" --storage-driver overlay --cgroup-manager cgroupfs --log-level error
  --runtime "$runtime")

# Every call of podman here, bounded in time.
podman() {
  limited "${podman_command[@]}" "$@"
}

# Containers are made with these, so that every cgroup can be found.
run_command=("${podman_command[@]}" run --cgroup-parent "/$parent")

podman_run() {
  limited "${run_command[@]}" "$@"
}

podman_create() {
  podman create --cgroup-parent "/$parent" "$@"
}

# Runs a container that is removed at its end.
run() {
  podman_run --rm "$@"
}

# What the inspection of a container says.
inspect() {
  podman inspect --format "$2" "$1"
}

is_status() {
  [ "$(inspect "$1" '{{.State.Status}}')" = "$2" ]
}

# Starts a container in the background that stays until it is removed, named first; options may follow.
start_box() {
  podman_run -d --name "$@" "$image" sleep 1000 >/dev/null
}

# Removes a container whatever it does. Now and then podman is in its own way, when it also cleans up after an exec, and
# fails to remove a mount point that is busy (so with every runtime).
remove() {
  podman rm --force --ignore --time 0 "$@" || podman rm --force --ignore --time 0 "$@"
}

remove_pod() {
  podman pod rm --force --ignore --time 0 "$1" || podman pod rm --force --ignore --time 0 "$1"
}

start_engine() {
  mkdir -p "$work/networks" "$work/shared"
  # The limits are those of a machine whose root may not raise any.
  cat >"$work/containers.conf" <<TOML
[containers]
netns = "none"
default_ulimits = ["nofile=1024:1024", "nproc=2000:2000"]
log_driver = "k8s-file"
[engine]
events_logger = "file"
infra_image = "$image"
TOML
  # Without systemd there are no timers for health checks; these are run by hand.
  export CONTAINERS_CONF=$work/containers.conf DISABLE_HC_SYSTEMD=true
  podman load --quiet --input "$work/image.tar" >/dev/null
  start_box box --memory 64m
}

run_engine_checks() {
  run_checks "$here/podman.sh"
}

stop_engine() {
  podman rm --all --force --time 0 >/dev/null 2>&1 || true
}

check_podman_names_the_runtime() {
  same "$(inspect box '{{.OCIRuntime}}')" "$runtime"
  holds "$(podman info --format '{{.Host.OCIRuntime.Version}}')" version
}

check_create_makes_a_container_that_start_runs() {
  podman_create --name created "$image" echo hello
  same "$(inspect created '{{.State.Status}}')" created
  same "$(podman start --attach created)" hello
  same "$(inspect created '{{.State.Status}} {{.State.ExitCode}}')" "exited 0"
  podman rm created
}

check_init_creates_a_container_without_starting_it() {
  podman_create --name initialized "$image" echo hello
  podman init initialized
  same "$(inspect initialized '{{.State.Status}}')" initialized
  podman rm initialized
}

check_run_passes_the_exit_code_on() {
  exits 0 run "$image" true
  exits 3 run "$image" sh -c 'exit 3'
  exits 255 run "$image" sh -c 'exit 255'
}

check_run_of_a_missing_program_is_127() {
  exits 127 run "$image" no-such-program
  exits 127 run "$image" /no/such/program
}

check_run_of_what_is_no_program_is_126() {
  exits 126 run "$image" /data/plain
  exits 126 run "$image" /data
}

check_run_gives_the_environment_and_the_working_directory() {
  printf 'FROM_FILE=lines\n' >"$work/env"
  same "$(run -e GIVEN='two words' --env-file "$work/env" --workdir /data "$image" \
    sh -c 'echo "$FROM_IMAGE $GIVEN $FROM_FILE $(pwd)"')" "yes two words lines /data"
}

check_run_as_another_user() {
  same "$(run --user guest --group-add 2000 "$image" sh -c 'id -u; id -g; id -G; echo $HOME')" \
    $'1000\n1000\n1000 2000\n/data'
  same "$(run --user 1234:5678 "$image" sh -c 'echo $(id -u) $(id -g)')" "1234 5678"
}

check_volumes_are_writable_or_not() {
  echo outside >"$work/shared/in"
  run -v "$work/shared:/mine" "$image" sh -c 'cat /mine/in; echo inside >/mine/out'
  same "$(cat "$work/shared/out")" inside
  holds "$(exits 1 run -v "$work/shared:/mine:ro" "$image" sh -c 'echo >/mine/more')" "Read-only file system"
}

check_a_named_volume_outlives_its_container() {
  run -v kept:/kept "$image" sh -c 'echo still here >/kept/file'
  same "$(run -v kept:/kept "$image" cat /kept/file)" "still here"
  podman volume rm kept
}

check_a_single_file_can_be_mounted() {
  echo one >"$work/shared/file"
  same "$(run -v "$work/shared/file:/etc/one:ro" "$image" cat /etc/one)" one
}

check_mounts_appear_in_a_container_that_shares_them() {
  mount --bind "$work/shared" "$work/shared"
  mount --make-shared "$work/shared"
  mkdir -p "$work/shared/later"
  start_box propagated -v "$work/shared:/mine:rslave"
  mount -t tmpfs later "$work/shared/later"
  touch "$work/shared/later/file"
  podman exec propagated test -e /mine/later/file
  umount "$work/shared/later"
  umount "$work/shared"
  remove propagated
}

check_a_read_only_root_has_writable_tmp() {
  run --read-only "$image" sh -c '! echo >/data/new 2>/dev/null && echo >/tmp/new && echo >/run/new'
}

check_tmpfs_has_its_size_and_options() {
  holds "$(run --tmpfs /scratch:size=1m,mode=1770,noexec "$image" sh -c \
    'grep " /scratch " /proc/mounts; stat -c %a /scratch; df -k /scratch | tail -n 1')" noexec
  same "$(run --tmpfs /scratch:size=1m,mode=1770 "$image" stat -c %a /scratch)" 1770
  exits 1 run --tmpfs /scratch:size=1m "$image" dd if=/dev/zero of=/scratch/file bs=64k count=32
}

check_a_tmpfs_takes_over_what_is_beneath() {
  same "$(run --mount type=tmpfs,destination=/data,tmpcopyup "$image" cat /data/plain)" "not a program"
  exits 1 run --mount type=tmpfs,destination=/data,notmpcopyup "$image" cat /data/plain
}

check_shared_memory_has_its_size() {
  holds "$(run --shm-size 3m "$image" df -k /dev/shm)" 3072
}

check_capabilities_are_what_was_asked_for() {
  local show='grep -E "^Cap(Eff|Bnd)" /proc/self/status | cut -f2'
  same "$(run --cap-drop ALL "$image" sh -c "$show")" $'0000000000000000\n0000000000000000'
  same "$(run --cap-drop ALL --cap-add NET_ADMIN,CHOWN "$image" sh -c "$show")" $'0000000000001001\n0000000000001001'
  same "$(run --cap-drop ALL --cap-add CHOWN --user guest "$image" sh -c "$show")" $'0000000000000001\n0000000000000001'
}

check_a_privileged_container_has_all_capabilities_and_devices() {
  same "$(run --privileged "$image" sh -c 'grep ^CapEff /proc/self/status | cut -f2')" \
    "$(sed -n 's/^CapBnd:\t//p' /proc/self/status)"
  run --privileged "$image" sh -c 'mount -t tmpfs none /tmp && [ -e /dev/kmsg ]'
}

check_no_new_privileges_reaches_the_process() {
  holds "$(run --security-opt no-new-privileges "$image" grep NoNewPrivs /proc/self/status)" 1
  holds "$(run "$image" grep NoNewPrivs /proc/self/status)" 0
}

check_limits_of_the_process_are_set() {
  same "$(run --ulimit nofile=512:600 --ulimit nproc=2000:2000 --ulimit core=0 "$image" sh -c 'ulimit -n; ulimit -Hn; ulimit -c')" $'512\n600\n0'
}

check_hostname_and_hosts_are_set() {
  same "$(run --hostname inner --add-host other:10.1.2.3 "$image" sh -c 'hostname; grep -c "10.1.2.3.*other" /etc/hosts')" \
    $'inner\n1'
}

check_cgroup_limits_are_seen_inside() {
  same "$(run --memory 64m "$image" sh -c "$memory_limit")" 67108864
  same "$(run --pids-limit 37 "$image" sh -c "$pids_limit")" 37
  same "$(run --cpus 0.5 "$image" sh -c "$cpu_quota")" 50000
}

check_processors_and_their_shares_are_set() {
  local cpus shares
  cpus='cat /sys/fs/cgroup/cpuset/cpuset.cpus 2>/dev/null || cat /sys/fs/cgroup/cpuset.cpus'
  same "$(run --cpuset-cpus 0 "$image" sh -c "$cpus; nproc")" $'0\n1'
  shares='cat /sys/fs/cgroup/cpu/cpu.shares 2>/dev/null || cat /sys/fs/cgroup/cpu.weight'
  [ "$(run --cpu-shares 2048 "$image" sh -c "$shares")" != "$(run --cpu-shares 512 "$image" sh -c "$shares")" ]
}

check_a_cgroup_namespace_hides_where_it_is() {
  same "$(run --cgroupns private "$image" sh -c 'cut -d: -f3 /proc/self/cgroup | sort -u')" /
  same "$(run --cgroupns private --memory 64m "$image" sh -c "$memory_limit")" 67108864
  exits 1 run --cgroupns private --memory 64m "$image" sh -c 'echo 1 >/sys/fs/cgroup/memory/memory.limit_in_bytes'
}

check_the_pids_limit_holds() {
  holds "$(exits 0 run --pids-limit 5 "$image" sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 2 & done; :')" "can't fork"
}

check_the_default_seccomp_profile_is_in_force() {
  holds "$(run "$image" grep '^Seccomp:' /proc/self/status)" 2
  # The kernel itself would allow the first, to say that the file is none to swap to.
  holds "$(exits 1 run --cap-add SYS_ADMIN "$image" swapon /data/plain)" "Operation not permitted"
  holds "$(run --security-opt seccomp=unconfined "$image" grep '^Seccomp:' /proc/self/status)" 0
}

check_a_seccomp_profile_of_ones_own_is_in_force() {
  cat >"$work/profile.json" <<'JSON'
{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}
JSON
  holds "$(exits 1 run --security-opt "seccomp=$work/profile.json" "$image" mkdir /data/new)" "No space left on device"
}

check_kernel_files_are_masked_or_read_only() {
  run "$image" sh -c '[ "$(head -c 1 /proc/kcore | wc -c)" = 0 ] && ! echo 1 >/proc/sys/kernel/panic && [ -z "$(ls /sys/firmware)" ]'
}

check_masks_can_be_lifted() {
  run --security-opt unmask=ALL "$image" sh -c '[ -n "$(ls /sys/firmware)" ]'
  holds "$(exits 1 run --security-opt mask=/data "$image" cat /data/plain)" "can't open"
}

check_umask_and_oom_score_are_set() {
  same "$(run --umask 0077 --oom-score-adj 700 "$image" sh -c 'umask; cat /proc/self/oom_score_adj')" $'0077\n700'
}

check_sysctls_are_set_in_the_container() {
  same "$(run --sysctl net.ipv4.ip_unprivileged_port_start=80 --sysctl kernel.msgmax=9000 "$image" \
    cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax)" $'80\n9000'
}

check_devices_are_given_and_others_refused() {
  run --device /dev/zero:/dev/mine "$image" sh -c '[ "$(head -c 3 /dev/mine | wc -c)" = 3 ]'
  exits 1 run --cap-add MKNOD "$image" sh -c 'mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg'
}

check_namespaces_of_the_host_can_be_kept() {
  same "$(run --pid host --ipc host --uts host --network host "$image" sh -c \
    'for kind in pid ipc uts net; do readlink /proc/self/ns/$kind; done')" \
    "$(for kind in pid ipc uts net; do readlink /proc/self/ns/$kind; done)"
}

check_namespaces_of_another_container_can_be_joined() {
  local pid
  pid=$(inspect box '{{.State.Pid}}')
  same "$(run --pid container:box --network container:box "$image" sh -c 'readlink /proc/self/ns/pid; readlink /proc/self/ns/net')" \
    "$(readlink "/proc/$pid/ns/pid" "/proc/$pid/ns/net")"
}

check_a_user_namespace_maps_ids() {
  same "$(run --uidmap 0:100000:5000 --gidmap 0:100000:5000 "$image" sh -c 'id -u; awk "{print \$1, \$2, \$3}" /proc/self/uid_map')" \
    $'0\n0 100000 5000'
}

check_exec_into_a_user_namespace_stays_in_it() {
  local pid
  start_box mapped --uidmap 0:100000:5000 --gidmap 0:100000:5000
  pid=$(inspect mapped '{{.State.Pid}}')
  same "$(podman exec mapped readlink /proc/self/ns/user)" "$(readlink "/proc/$pid/ns/user")"
  podman exec -d mapped sleep 994
  until_true 10 runs_as 100000 'sleep 994'
  remove mapped
}

runs_as() {
  pgrep --uid "$1" --full --exact "$2"
}

check_init_reaps_as_process_1() {
  holds "$(run --init "$image" cat /proc/1/cmdline | tr '\0' ' ')" init
  exits 4 run --init "$image" sh -c 'exit 4'
}

check_rm_leaves_no_container() {
  run --name passing "$image" true
  exits 1 podman container exists passing
}

check_run_detached_goes_on_alone() {
  local id
  id=$(podman_run -d --name detached "$image" sh -c "$on_term")
  same "$(inspect detached '{{.Id}} {{.State.Status}}')" "$id running"
  until_true 10 sh -c "[ \"\$('$podman_program' ${podman_command[*]:1} logs detached)\" = ready ]"
  remove detached
}

check_standard_input_reaches_the_program() {
  same "$(printf 'one\ntwo\n' | run -i "$image" sort -r)" $'two\none'
}

check_no_byte_of_long_output_is_lost() {
  same "$(run "$image" seq 200000 | sha256sum)" "$(seq 200000 | sha256sum)"
}

check_standard_error_is_apart() {
  same "$(run "$image" sh -c 'echo out; echo err >&2' 2>/dev/null)" out
  same "$(run "$image" sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err
}

check_extra_descriptors_are_passed() {
  same "$(run --preserve-fds 1 "$image" cat /proc/self/fd/3 3<<<through)" through
}

check_socket_activation_is_passed() {
  same "$(LISTEN_FDS=1 LISTEN_PID=$BASHPID run "$image" sh -c 'echo $LISTEN_FDS; cat <&3' 3<<<through)" $'1\nthrough'
}

check_readiness_is_told_from_inside() {
  # A program that tells it is not at hand; that its socket is there and is a socket can be seen.
  NOTIFY_SOCKET=$work/notify run --sdnotify container "$image" sh -c '[ -S "$NOTIFY_SOCKET" ]'
}

check_run_on_a_terminal() {
  local output
  output=$(terminal 33 101 expect=ready send='stty size; tty' expect=dev/pts send='exit 5' -- \
    "${run_command[@]}" --rm -it "$image" sh -c 'echo ready; exec sh') && return 1
  holds "$output" "33 101"
  holds "$output" /dev/pts/0
  exits 5 terminal 24 80 expect=# send='exit 5' -- "${run_command[@]}" --rm -it "$image" sh >/dev/null
}

check_a_terminal_that_changes_its_size_and_interrupts() {
  exits 5 terminal 24 80 expect='24 80' size=40x120 expect='40 120' raw='\x03' -- \
    "${run_command[@]}" --rm -it "$image" sh -c "$show_size"
}

check_detach_from_a_terminal_and_attach_again() {
  terminal 24 80 expect=ready raw='\x10\x11' -- "${run_command[@]}" -it --name attached "$image" sh -c 'echo ready; exec sh'
  is_status attached running
  # What podman itself says of the end may come too late for the exit code.
  terminal 24 80 send='echo again' expect=again send='exit 6' -- "${podman_command[@]}" attach attached || true
  until_true 10 is_status attached exited
  same "$(inspect attached '{{.State.ExitCode}}')" 6
  podman rm attached
}

check_exec_passes_the_exit_code_on() {
  same "$(podman exec box echo inside)" inside
  exits 8 podman exec box sh -c 'exit 8'
}

check_exec_of_a_missing_program_is_127() {
  exits 127 podman exec box no-such-program
  exits 127 podman exec box /no/such/program
}

check_exec_of_what_is_no_program_is_126() {
  exits 126 podman exec box /data/plain
}

check_exec_has_its_own_user_environment_and_directory() {
  same "$(podman exec --user guest --env GIVEN=here --workdir /data box sh -c 'echo $(id -u) $GIVEN $FROM_IMAGE $(pwd)')" \
    "1000 here yes /data"
}

check_exec_is_in_the_containers_namespaces_and_cgroups() {
  local pid
  pid=$(inspect box '{{.State.Pid}}')
  same "$(podman exec box sh -c 'cd /proc/self/ns; for kind in ipc mnt net pid uts; do readlink $kind; done')" \
    "$(cd "/proc/$pid/ns" && readlink ipc mnt net pid uts)"
  same "$(podman exec box sort /proc/self/cgroup)" "$(podman exec box sort /proc/1/cgroup)"
}

check_exec_keeps_to_seccomp_and_capabilities() {
  local show='grep -E "^(Cap...|Seccomp):" /proc/self/status'
  same "$(podman exec box sh -c "$show")" "$(run "$image" sh -c "$show")"
}

check_exec_reads_standard_input() {
  same "$(printf 'b\na\n' | podman exec -i box sort)" $'a\nb'
}

check_exec_on_a_terminal() {
  local output
  output=$(exits 5 terminal 31 99 expect='31 99' size=44x111 expect='44 111' raw='\x03' -- \
    "${podman_command[@]}" exec -it box sh -c "$show_size")
  holds "$output" /dev/pts/
}

check_exec_detached_goes_on_alone() {
  podman exec -d box sh -c 'sleep 0.2; echo done >/tmp/detached'
  until_true 10 podman exec box test -s /tmp/detached
}

check_many_execs_at_once() {
  local number pids=()
  for number in 1 2 3 4 5 6 7 8; do
    exits "$number" podman exec box sh -c "exit $number" &
    pids+=($!)
  done
  for number in "${pids[@]}"; do wait "$number"; done
}

check_logs_tell_what_was_written() {
  podman_run --name logged "$image" sh -c 'echo first; echo second >&2; sleep 0.2; echo third'
  same "$(podman logs logged 2>/dev/null)" $'first\nthird'
  same "$(podman logs --tail 1 logged)" third
  same "$(podman start --attach logged >/dev/null 2>&1; podman logs logged 2>&1 | wc -l)" 6
  podman rm logged
}

check_ps_shows_what_runs_and_what_ended() {
  podman_run --name ended "$image" sh -c 'exit 3' || true
  holds "$(podman ps --format '{{.Names}} {{.Status}}')" "box Up"
  holds "$(podman ps --all --format '{{.Names}} {{.Status}}')" "ended Exited (3)"
  podman rm ended
}

check_wait_gives_the_exit_code() {
  podman_run -d --name waited "$image" sh -c 'sleep 0.3; exit 11'
  same "$(podman wait waited)" 11
  podman rm waited
}

check_stop_lets_the_program_end_by_itself() {
  podman_run -d --name stopped "$image" sh -c "$on_term"
  until_true 10 logs_hold stopped ready
  podman stop --time 20 stopped
  same "$(inspect stopped '{{.State.ExitCode}}')" 7
  holds "$(podman logs stopped)" stopping
  podman rm stopped
}

check_stop_kills_after_the_grace_period() {
  podman_run -d --name stubborn "$image" sh -c 'trap "" TERM; echo ready; while :; do sleep 0.1; done'
  until_true 10 logs_hold stubborn ready
  local begun=$SECONDS
  podman stop --time 1 stubborn
  same "$(inspect stubborn '{{.State.ExitCode}}')" 137
  [ $((SECONDS - begun)) -le 8 ]
  podman rm stubborn
}

check_stop_sends_the_containers_own_signal() {
  podman_run -d --name signalled --stop-signal USR1 "$image" \
    sh -c 'trap "exit 21" USR1; echo ready; while :; do sleep 0.05; done'
  until_true 10 logs_hold signalled ready
  podman stop --time 20 signalled
  same "$(inspect signalled '{{.State.ExitCode}}')" 21
  podman rm signalled
}

check_kill_sends_signals() {
  podman_run -d --name killed "$image" sh -c 'trap "echo USR2 came" USR2; echo ready; while :; do sleep 0.05; done'
  until_true 10 logs_hold killed ready
  podman kill --signal USR2 killed
  until_true 10 logs_hold killed "USR2 came"
  podman kill --signal 0 killed || true
  is_status killed running
  podman kill killed
  same "$(podman wait killed)" 137
  podman rm killed
}

check_kill_of_what_has_ended_is_refused() {
  podman_run --name dead "$image" true
  exits 125 podman kill dead
  podman rm dead
}

check_pause_freezes_and_unpause_goes_on() {
  local before
  podman_run -d --name paused "$image" sh -c 'while :; do echo tick; sleep 0.05; done'
  until_true 10 logs_hold paused tick
  podman pause paused
  same "$(inspect paused '{{.State.Status}}')" paused
  before=$(podman logs paused | wc -l)
  sleep 0.3
  same "$(podman logs paused | wc -l)" "$before"
  exits 255 podman exec paused true
  podman unpause paused
  same "$(inspect paused '{{.State.Status}}')" running
  until_true 10 more_lines_than paused "$before"
  remove paused
}

check_a_paused_container_can_be_removed() {
  start_box frozen
  podman pause frozen
  remove frozen
  exits 1 podman container exists frozen
}

check_update_changes_limits() {
  start_box updated --memory 64m --cpus 1
  podman update --memory 96m --memory-swap 96m --cpus 0.25 updated
  same "$(podman exec updated sh -c "$memory_limit")" 100663296
  same "$(podman exec updated sh -c "$cpu_quota")" 25000
  remove updated
}

check_top_lists_the_processes() {
  podman exec -d box sleep 998
  holds "$(podman top box)" "sleep 1000"
  until_true 10 top_holds box "sleep 998"
}

check_stats_tell_memory_and_pids() {
  same "$(podman stats --no-stream --format '{{.Name}} {{.PIDs}}' box | cut -d' ' -f1)" box
  [ "$(podman stats --no-stream --format '{{.PIDs}}' box)" -ge 1 ]
  holds "$(podman stats --no-stream --format '{{.MemUsage}}' box)" "67.11MB"
}

check_events_tell_the_life() {
  run --name eventful "$image" true
  holds "$(podman events --stream=false --filter container=eventful --format '{{.Status}}' | tr '\n' ' ')" \
    "create init start attach died remove"
}

check_out_of_memory_is_told() {
  exits 137 podman_run --name hungry --memory 16m --memory-swap 16m "$image" sh -c "$eat_memory"
  # conmon notes it in a file in the folder that podman was started in, and Debian 12's podman looks elsewhere.
  [ "$(inspect hungry '{{.State.OOMKilled}}')" = true ] || [ -e oom ]
  podman rm hungry
}

check_a_pod_shares_its_namespaces() {
  new_pod sharing
  podman run -d --pod sharing --name sharing-one "$image" sleep 1000
  podman run -d --pod sharing --name sharing-two "$image" sleep 1000
  local show='cd /proc/self/ns; for kind in ipc net uts; do readlink $kind; done'
  same "$(podman exec sharing-one sh -c "$show")" "$(podman exec sharing-two sh -c "$show")"
  [ "$(podman exec sharing-one readlink /proc/self/ns/pid)" != "$(podman exec sharing-two readlink /proc/self/ns/pid)" ]
  same "$(podman exec sharing-one hostname)" sharing
  remove_pod sharing
}

check_a_pod_can_share_its_processes() {
  new_pod processes --share pid,ipc,net,uts
  podman run -d --pod processes --name processes-one "$image" sleep 995
  holds "$(run --pod processes "$image" ps)" "sleep 995"
  remove_pod processes
}

check_a_pod_starts_stops_pauses_and_goes() {
  new_pod living
  podman create --pod living --name living-one "$image" sleep 1000
  podman pod start living
  is_status living-one running
  podman pod pause living
  is_status living-one paused
  podman pod unpause living
  podman pod stop --time 0 living
  is_status living-one exited
  podman pod restart living
  is_status living-one running
  remove_pod living
  exits 1 podman container exists living-one
}

check_a_health_check_runs_in_the_container() {
  start_box healthy --health-cmd 'test ! -e /tmp/ill' --health-interval disable --health-retries 1
  podman healthcheck run healthy
  same "$(inspect healthy '{{.State.Health.Status}}')" healthy
  podman exec healthy touch /tmp/ill
  exits 1 podman healthcheck run healthy
  same "$(inspect healthy '{{.State.Health.Status}}')" unhealthy
  remove healthy
}

check_restart_starts_the_same_container_anew() {
  local before
  start_box again
  podman exec again touch /data/kept
  before=$(inspect again '{{.State.Pid}}')
  podman restart --time 0 again
  [ "$(inspect again '{{.State.Pid}}')" != "$before" ]
  podman exec again test -e /data/kept
  remove again
}

check_the_restart_policy_restarts_what_failed() {
  podman_run -d --name failing --restart on-failure:2 "$image" sh -c 'echo run; exit 1'
  until_true 20 log_lines_are failing 3
  until_true 10 is_status failing exited
  same "$(inspect failing '{{.RestartCount}}')" 2
  podman rm failing
}

check_a_checkpoint_is_refused_and_harms_nothing() {
  command -v criu >/dev/null && return
  start_box kept-running
  exits 125 podman container checkpoint kept-running
  is_status kept-running running
  podman exec kept-running true
  remove kept-running
}

check_a_killed_init_is_noticed() {
  start_box murdered
  kill -KILL "$(inspect murdered '{{.State.Pid}}')"
  same "$(podman wait murdered)" 137
  podman rm murdered
}

check_a_time_limit_ends_a_container() {
  exits 255 podman_run --rm --timeout 1 "$image" sleep 1000
}

check_an_image_is_built_in_containers() {
  printf 'FROM %s\nRUN echo made >/data/made && id -u >/data/who\nUSER guest\nRUN id -u >/tmp/who\n' "$image" \
    >"$work/Containerfile"
  podman build --quiet --network none --file "$work/Containerfile" --tag built "$work/shared"
  same "$(run built cat /data/made /data/who /tmp/who)" $'made\n0\n1000'
  printf 'FROM %s\nRUN exit 3\n' "$image" >"$work/Containerfile"
  holds "$(exits 3 podman build --quiet --network none --file "$work/Containerfile" "$work/shared")" "exit status 3"
}

check_a_kubernetes_manifest_is_played() {
  cat >"$work/pod.yaml" <<YAML
apiVersion: v1
kind: Pod
metadata: {name: played}
spec:
  containers:
  - {name: writer, image: $image, imagePullPolicy: Never, command: [sh, -c, "echo written >/shared/file; exec pause"],
     volumeMounts: [{name: shared, mountPath: /shared}], resources: {limits: {memory: 64Mi}}}
  - {name: reader, image: $image, imagePullPolicy: Never, command: [pause],
     volumeMounts: [{name: shared, mountPath: /shared, readOnly: true}]}
  volumes: [{name: shared, emptyDir: {}}]
YAML
  podman play kube "$work/pod.yaml"
  until_true 20 podman exec played-reader grep -q written /shared/file
  exits 1 podman exec played-reader touch /shared/more
  podman play kube --down "$work/pod.yaml" || remove_pod played
}

check_files_are_copied_in_and_out() {
  echo carried >"$work/shared/carried"
  podman cp "$work/shared/carried" box:/data/carried
  same "$(podman exec box cat /data/carried)" carried
  podman cp box:/data/plain "$work/shared/back"
  same "$(cat "$work/shared/back")" "not a program"
}

check_hooks_are_run_with_the_state() {
  mkdir "$work/hooks"
  for stage in prestart createRuntime createContainer startContainer poststart poststop; do
    [ "$stage" = startContainer ] && continue
    printf '#!/bin/sh\n{ cat; echo; } >%s/shared/hook-%s\n' "$work" "$stage" >"$work/hooks/$stage.sh"
    chmod +x "$work/hooks/$stage.sh"
    printf '{"version":"1.0.0","hook":{"path":"%s"},"when":{"always":true},"stages":["%s"]}' \
      "$work/hooks/$stage.sh" "$stage" >"$work/hooks/$stage.json"
  done
  limited "${podman_command[@]}" --hooks-dir "$work/hooks" run --cgroup-parent "/$parent" --rm "$image" true
  for stage in prestart createRuntime createContainer poststart poststop; do
    holds "$(cat "$work/shared/hook-$stage")" '"ociVersion"'
  done
}

check_rm_force_ends_what_runs() {
  local pid
  start_box removed
  pid=$(inspect removed '{{.State.Pid}}')
  remove removed
  [ ! -e "/proc/$pid" ]
}

check_many_containers_at_once() {
  local number pids=()
  for number in 1 2 3 4 5 6 7 8; do
    exits "$number" run "$image" sh -c "sleep 0.2; exit $number" &
    pids+=($!)
  done
  for number in "${pids[@]}"; do wait "$number"; done
}

check_the_readme_tells_how() {
  local before
  before=$(find /sys/fs/cgroup -maxdepth 2 -name libpod_parent)
  podman tag "$image" busybox
  follow_readme podman
  # As nobody asked for another parent cgroup, podman has made its own.
  [ -n "$before" ] || until_true 10 own_cgroups_removed
}

own_cgroups_removed() {
  find /sys/fs/cgroup -depth -type d -path '*/libpod_parent*' -exec rmdir {} + 2>/dev/null
  [ -z "$(find /sys/fs/cgroup -maxdepth 2 -name libpod_parent)" ]
}

check_nothing_is_left_of_removed_containers() {
  remove --all
  same "$(podman ps --all --quiet)" ""
  until_true 10 gone conmon
  same "$(find /run -path '*libpod*' -name state.json; find /sys/fs/cgroup -type d -path "*/$parent/*" -name 'libpod-*')" ""
}

top_holds() {
  holds "$(podman top "$1" pid user args)" "$2"
}

logs_hold() {
  holds "$(podman logs "$1" 2>&1)" "$2"
}

more_lines_than() {
  [ "$(podman logs "$1" | wc -l)" -gt "$2" ]
}

log_lines_are() {
  [ "$(podman logs "$1" | wc -l)" = "$2" ]
}

# Makes a pod whose first container is one of the image's, named first; options may follow.
new_pod() {
  podman pod create --name "$1" --cgroup-parent "/$parent" "${@:2}"
}
