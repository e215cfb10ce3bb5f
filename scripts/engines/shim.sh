# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # Single quotes hold programs for containers; variables are those of engine-test.
# Sourced by engine-test: a shim behind containerd, through ctr, containerd's own interface, and Kubernetes' CRI.
# The checks are in the folder shim beside this file, and those of ctr/tasks.sh and ctr/daemon.sh. What the shim's own page
# tells its users to do is done here: the programs are installed so, and the daemons have its configuration.

# shellcheck source=scripts/engines/ctr/client.sh
source "$here/ctr/client.sh"
# shellcheck source=scripts/engines/ctr/tasks.sh
source "$here/ctr/tasks.sh"
# shellcheck source=scripts/engines/ctr/daemon.sh
source "$here/ctr/daemon.sh"
# shellcheck source=scripts/engines/shim/processes.sh
source "$here/shim/processes.sh"
# shellcheck source=scripts/engines/shim/streams.sh
source "$here/shim/streams.sh"
# shellcheck source=scripts/engines/shim/groups.sh
source "$here/shim/groups.sh"
# shellcheck source=scripts/engines/shim/cri.sh
source "$here/shim/cri.sh"
# shellcheck source=scripts/engines/shim/page.sh
source "$here/shim/page.sh"
# shellcheck source=scripts/engines/shim/lifecycle.sh
source "$here/shim/lifecycle.sh"
# shellcheck source=scripts/engines/shim/scenarios.sh
source "$here/shim/scenarios.sh"
# shellcheck source=scripts/engines/shim/cri_lifecycle.sh
source "$here/shim/cri_lifecycle.sh"
# shellcheck source=scripts/engines/shim/faults.sh
source "$here/shim/faults.sh"

run_command=(run --runtime "$shim_runtime")
shim_program=containerd-shim-tenure-v1
[ "$shim_runtime" != io.containerd.runc.v2 ] || shim_program=containerd-shim-runc-v2

# containerd's configuration, whose CRI part has other names since 2.0. What it says of the runtime is the page's.
write_configuration() {
  local version=2 runtimes=io.containerd.grpc.v1.cri images=io.containerd.grpc.v1.cri sandbox="sandbox_image = '$image'"
  local cni="bin_dir = '$work/cni'"
  case $(containerd --version) in
    *" 1."* | *" v1."*) ;;
    *)
      version=3 runtimes=io.containerd.cri.v1.runtime images=io.containerd.cri.v1.images.pinned_images
      sandbox="sandbox = '$image'" cni="bin_dirs = ['$work/cni']"
      ;;
  esac
  images=${images/images.pinned_images/images\'.\'pinned_images}
  cat <<TOML
version = $version
root = '$work/root'
state = '$work/state'
disabled_plugins = ['io.containerd.snapshotter.v1.btrfs', 'io.containerd.snapshotter.v1.zfs',
  'io.containerd.snapshotter.v1.devmapper', 'io.containerd.snapshotter.v1.aufs', 'io.containerd.nri.v1.nri']
[grpc]
  address = '$work/containerd.sock'
[plugins.'io.containerd.internal.v1.opt']
  path = '$work/opt'
[plugins.'$images']
  $sandbox
TOML
  [ "$version" = 2 ] || echo "[plugins.'$runtimes']"
  cat <<TOML
  restrict_oom_score_adj = true
[plugins.'$runtimes'.cni]
  $cni
  conf_dir = '$work/cni'
[plugins.'$runtimes'.containerd]
  default_runtime_name = 'tenure'
$(page_block toml $((version - 1)) | for_tested_shim)
TOML
}

start_engine() {
  mkdir "$work/shared" "$work/cni"
  in_pods "$here/shim/scenarios.sh" >"$work/scenarios_in_pods.sh"
  # shellcheck source=/dev/null
  source "$work/scenarios_in_pods.sh"
  # The network is this engine's own.
  /bin/busybox ip link set lo up
  if is_installed_by_page; then install_by_page; else name_shim_programs; fi
  write_configuration >"$work/config.toml"
  start_daemon
  note "$(containerd --version)"
  ctr images import "$work/image.tar" >/dev/null
  # The name in the README and in the shim's page.
  ctr images tag "$image" docker.io/library/busybox:latest >/dev/null
  ctr --namespace k8s.io images import "$work/image.tar" >/dev/null
  start_box --memory-limit 67108864 box
}

# What scripts/bench-shim wants in place of checks.
bench() {
  local types=("$shim_runtime")
  [ "$TENURE_BENCH_BESIDE" = "$shim_runtime" ] || types+=("$TENURE_BENCH_BESIDE")
  # The shim for runc is measured with runc.
  rm "$work/bin/runc"
  remove box
  /usr/bin/python3 "$here/shim_bench.py" "$work/containerd.sock" "$parent" "$TENURE_BENCH_ROUNDS" "$work/image/rootfs" \
    "${types[@]}"
}

run_engine_checks() {
  if [ -n "${TENURE_BENCH_ROUNDS:-}" ]; then
    bench
    return
  fi
  run_checks_together 3 "$here"/ctr/tasks.sh "$here"/shim/{processes,streams,groups,cri}.sh
  # These wait nearly all the time.
  [ "$shim_runtime" != io.containerd.tenure.v1 ] || run_checks_together 10 "$here"/shim/scenarios.sh \
    "$work/scenarios_in_pods.sh" "$here"/shim/{lifecycle,cri_lifecycle,page}.sh
  run_checks "$here/ctr/daemon.sh" "$here"/shim/faults.sh "$here/shim.sh"
}

# The topics of a container's events in their order, with the process when that is not the container's first.
topics_of() {
  sed -n "s|^.* /tasks/\([a-z-]*\) {\"container_id\":\"$1\",\(.*\)$|\1 \2|p" "$work/events" |
    sed "s|^\([a-z-]*\) .*\"\(exec_\)*id\":\"\([^\"]*\)\".*|\1 \3|; s|^\([a-z-]*\) {*\".*|\1|; s| $1$||"
}

# The sockets of shims. That for runc leaves them behind when it is killed.
shim_sockets() {
  [ "$shim_runtime" = io.containerd.runc.v2 ] || ls /run/containerd/s
}

check_the_readme_tells_how() {
  [ "$shim_runtime" = io.containerd.tenure.v1 ] || return 0
  # Its program is too quick for ctr now and then.
  until_true 60 follow_readme shim
}

# The parent of pods' cgroups may stay: it is the kubelet's.
check_nothing_is_left_of_removed_containers() {
  remove box
  same "$(ctr containers list --quiet)" ""
  until_true 10 gone "${shim_program:0:15}"
  same "$(find "$work/state/io.containerd.runtime.v2.task" -mindepth 2
    find /sys/fs/cgroup -mindepth 1 -type d -path "*/$parent/*" ! -path "*/$parent/pods"
    grep " $work/state/" /proc/self/mountinfo
    shim_sockets)" ""
}
