# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # Single quotes hold programs for containers; variables are those of engine-test.
# Sourced by engine-test: containerd and its shim for runc, io.containerd.runc.v2, through ctr.

# shellcheck source=scripts/engines/ctr/client.sh
source "$here/ctr/client.sh"
# shellcheck source=scripts/engines/ctr/tasks.sh
source "$here/ctr/tasks.sh"
# shellcheck source=scripts/engines/ctr/daemon.sh
source "$here/ctr/daemon.sh"

shim_runtime=io.containerd.runc.v2
run_command=(run --runtime "$shim_runtime" --runc-binary "$runtime")

start_engine() {
  mkdir "$work/shared"
  cat >"$work/config.toml" <<TOML
version = 2
root = "$work/root"
state = "$work/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "$work/containerd.sock"
TOML
  start_daemon
  ctr images import "$work/image.tar" >/dev/null
  start_box --memory-limit 67108864 box
}

run_engine_checks() {
  run_checks_together 3 "$here/ctr/tasks.sh"
  run_checks "$here/ctr/daemon.sh" "$here/containerd.sh"
}

check_the_readme_tells_how() {
  ctr images tag "$image" docker.io/library/busybox:latest
  # Its program is too quick for ctr now and then.
  until_true 10 follow_readme containerd
}

check_nothing_is_left_of_removed_containers() {
  remove box
  same "$(ctr containers list --quiet)" ""
  until_true 10 gone containerd-shim
  same "$(find /run/containerd/runc "$work/state" -name state.json 2>/dev/null
    find /sys/fs/cgroup -mindepth 1 -type d -path "*/$parent/*")" ""
}
