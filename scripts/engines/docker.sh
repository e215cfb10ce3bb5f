# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # Single quotes hold programs for containers; variables are those of engine-test.
# Sourced by engine-test: Docker, with a daemon of its own, without networks. Its runtime is an OCI runtime of ours, or, with
# a Docker that knows them (since 23), a shim of containerd: the one that is tested.

# shellcheck source=scripts/engines/docker/tasks.sh
source "$here/docker/tasks.sh"
# shellcheck source=scripts/engines/shim/page.sh
source "$here/shim/page.sh"
# shellcheck source=scripts/engines/docker/readme.sh
source "$here/docker/readme.sh"

docker_command=("$(command -v docker)" --host "unix://$work/docker.sock")

# Every call of docker here, bounded in time.
docker() {
  limited "${docker_command[@]}" "$@"
}

# Runs a container that is removed at its end.
run() {
  docker run --rm "$@"
}

# What the inspection of a container says.
inspect() {
  docker inspect --format "$2" "$1"
}

is_status() {
  [ "$(inspect "$1" '{{.State.Status}}')" = "$2" ]
}

logs_hold() {
  holds "$(docker logs "$1" 2>&1)" "$2"
}

# Starts a container in the background that stays until it is removed, named first; options may follow.
start_box() {
  docker run -d --name "$@" "$image" sleep 1000 >/dev/null
}

start_daemon() {
  dockerd --config-file "$work/daemon.json" >>"$work/dockerd.log" 2>&1 &
  # Bash need not tell that checks kill it.
  disown
  until_true 30 docker version
}

# What the daemon's configuration says of the runtime; of a shim what its page says. What is told in docker's own format
# may differ by version.
describe_runtime() {
  local whole
  if [ -n "${TENURE_CONTAINERD:-}" ]; then
    whole=$(page_block json 1 | for_tested_shim)
    # Without the braces.
    printf '%s' "${whole:1:-1}"
  else
    printf '"runtimes":{"tenure":{"path":"%s"}}' "$runtime"
  fi
}

# Older daemons are told to leave their own OOM score alone, which needs a capability; newer ones do.
older_settings() {
  [ -n "${TENURE_CONTAINERD:-}" ] || printf '"oom-score-adjust":0,'
}

start_engine() {
  mkdir "$work/shared"
  if [ -n "${TENURE_CONTAINERD:-}" ]; then
    if is_installed_by_page; then install_by_page; else name_shim_programs; fi
  fi
  cat >"$work/daemon.json" <<JSON
{"data-root":"$work/data","exec-root":"$work/exec","pidfile":"$work/dockerd.pid","hosts":["unix://$work/docker.sock"],
 "bridge":"none","iptables":false,"ip-forward":false,"ip-masq":false,"userland-proxy":false,"live-restore":true,
 "storage-driver":"overlay2","cgroup-parent":"/$parent",$(older_settings)"experimental":true,
 "exec-opts":["native.cgroupdriver=cgroupfs"],
 $(describe_runtime),"default-runtime":"tenure"}
JSON
  start_daemon || { tail -n 20 "$work/dockerd.log"; return 1; }
  docker load --quiet --input "$work/image.tar" >/dev/null
  start_box box
}

run_engine_checks() {
  run_checks_together 3 "$here/docker/tasks.sh"
  # Which is told for Docker as Debian's stable release has it.
  [ -n "${TENURE_CONTAINERD:-}" ] || run_checks "$here/docker/readme.sh"
  run_checks "$here/docker.sh"
}

stop_engine() {
  docker ps --all --quiet | xargs -r "${docker_command[@]}" rm --force >/dev/null 2>&1 || true
  kill "$(cat "$work/dockerd.pid")"
}

check_docker_names_the_runtime() {
  same "$(inspect box '{{.HostConfig.Runtime}}')" tenure
  # Of a shim its type is not told.
  holds "$(docker info --format '{{json .Runtimes}}')" "$([ -n "${TENURE_CONTAINERD:-}" ] && echo '"tenure":' || echo "$runtime")"
}

check_containers_outlive_the_daemon() {
  local pid
  pid=$(inspect box '{{.State.Pid}}')
  kill -KILL "$(cat "$work/dockerd.pid")"
  rm "$work/dockerd.pid"
  start_daemon
  same "$(inspect box '{{.State.Status}} {{.State.Pid}}')" "running $pid"
  exits 2 docker exec box sh -c 'exit 2'
}

check_nothing_is_left_of_removed_containers() {
  docker ps --all --quiet | xargs -r "${docker_command[@]}" rm --force
  until_true 10 gone containerd-shim
  same "$(find "$work/exec" /run -name state.json; find /sys/fs/cgroup -mindepth 1 -type d -path "*/$parent/*")" ""
}
