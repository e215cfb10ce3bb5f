# shellcheck shell=bash disable=SC2154 # shares variables with the scripts beside it
# Starts the machine, and saves its state once it has booted. Sourced by scripts/vm-test.
#
# A state belongs to an image and to everything that QEMU was told: disk.qcow2 (what booting wrote, over root.ext4),
# memory.zst, and tsc-khz, the frequency by which its clock goes. Every run resumes it, which takes a second, and throws away what it writes.

vm_memory=2048
vm_processors=2
# Virtual: a saved machine knows the size of its disks.
payload_size=8G
command_size=64K

# kvm where it runs stock kernels. Paravirtual KVM offers the device and creates machines, yet starts only kernels that
# were built for it, so the device alone proves nothing.
accelerator() {
  if [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo && [ ! -d /sys/module/kvm_pvm ]; then
    echo kvm
  else
    echo tcg
  fi
}

# What the states of an image are told apart by.
state_key() {
  {
    qemu-system-x86_64 --version | head -n 1
    accelerator
    if [ "$(accelerator)" = kvm ]; then grep -m 1 'model name' /proc/cpuinfo; fi
    cat "$repository/scripts/vm/boot.sh"
  } | sha256sum | cut -c1-12
}

# An emulated machine's time stamp counter is the host's. A kernel that has to find out its frequency on a busy host
# can be wrong by several times, and its clock with it, so it is told.
measure_tsc() {
  cc -O1 -o "$run_directory/tsc" "$repository/scripts/vm/tsc.c"
  tsc_khz=$("$run_directory/tsc")
}

# Whether there is a saved state whose clock is right on this host, to half a percent.
state_fits() {
  local saved
  [ -e "$state/memory.zst" ] || return 1
  saved=$(cat "$state/tsc-khz")
  [ "$(accelerator)" = kvm ] || [ $(((saved - tsc_khz) * 200 / tsc_khz)) = 0 ]
}

# Sets $image and $state for a Debian release and makes what is not there. Holds a shared lock on them from then on.
use_machine() {
  local suite=$1
  image=$(image_directory "$suite")
  state=$image/state-$(state_key)
  measure_tsc
  exec {image_lock}>"$image.lock"
  attend flock -s "$image_lock"
  if ! [ -e "$image/about" ] || ! state_fits; then
    attend flock "$image_lock"
    [ -e "$image/about" ] || build_image "$suite"
    state_fits || save_state
    attend flock -s "$image_lock"
    remove_old_images "$suite"
  fi
  note "machine: $(cat "$image/about"), $(accelerator), $vm_processors processors, $vm_memory MiB"
}

# Starts QEMU in the background, in the directory $work, and sets $machine to its process. $work holds the disks
# `command` and `payload`, the directories `image` and `state`, and gets `console`, `status`, `qemu.log` and, unless it
# is there as a fifo, `output`. Names are relative, for QEMU's options know no quoting. What follows goes to QEMU as is.
start_machine() {
  local work=$1 disk=$2 name cpu=max,la57=off accelerate=tcg,thread=multi,tb-size=512 arguments=()
  shift 2
  if [ "$(accelerator)" = kvm ]; then
    cpu=host accelerate=kvm
  fi
  # shellcheck disable=SC2054 # commas of QEMU's own
  arguments=(
    -M q35,usb=off,smbus=off,sata=off,vmport=off -accel "$accelerate" -cpu "$cpu"
    -smp "$vm_processors" -m "$vm_memory" -nodefaults -no-user-config -display none -nic none -no-reboot
    -kernel image/vmlinux -initrd image/initrd -append "$(kernel_command_line)"
    -chardev file,id=console,path=console -serial chardev:console
    -device virtio-serial-pci -device virtio-rng-pci
  )
  for name in output status; do
    arguments+=(-chardev "file,id=$name,path=$name" -device "virtserialport,chardev=$name,name=$name")
  done
  # shellcheck disable=SC2054 # commas of QEMU's own
  arguments+=(
    -drive "if=none,id=root,file=state/disk.qcow2,format=qcow2,cache=unsafe,$disk" -device virtio-blk-pci,drive=root
    -drive if=none,id=command,file=command,format=raw,readonly=on -device virtio-blk-pci,drive=command
    -drive if=none,id=payload,file=payload,format=raw,cache=unsafe -device virtio-blk-pci,drive=payload
  )
  # What QEMU writes for a snapshot goes to TMPDIR.
  env -C "$work" TMPDIR="$work" setpriv --pdeathsig KILL \
    qemu-system-x86_64 "${arguments[@]}" "$@" <&0 >"$work/qemu.log" 2>&1 &
  machine=$!
}

kernel_command_line() {
  echo console=ttyS0 quiet panic=-1 mitigations=off nokaslr audit=0 rcupdate.rcu_expedited=1 random.trust_cpu=on \
    tsc=reliable "tsc_early_khz=$tsc_khz" no_timer_check systemd.show_status=no systemd.getty_auto=no
}

# Boots the image until the agent waits for a command, and saves the machine.
save_state() {
  local work start=$SECONDS guest_seconds
  step "Booting the machine once, to save its state"
  work=$(mktemp -d "$vm_cache/state.$$.XXXXXX")
  remove_at_exit "$work"
  truncate -s "$command_size" "$work/command"
  truncate -s "$payload_size" "$work/payload"
  : >"$work/status"
  mkdir "$work/state"
  echo "$tsc_khz" >"$work/state/tsc-khz"
  ln -s "$image" "$work/image"
  ln -s "$image/root.ext4" "$work/root.ext4"
  # The state's directory will stand beside root.ext4.
  qemu-img create -q -u -f qcow2 -b ../root.ext4 -F raw "$work/state/disk.qcow2" 4G
  mkfifo "$work/monitor"
  exec {monitor}<>"$work/monitor"
  start_machine "$work" snapshot=off -monitor stdio <"$work/monitor"
  until grep -q waits "$work/status"; do
    kill -0 "$machine" 2>/dev/null || machine_failed "$work" "the machine ended while it booted"
    [ $((SECONDS - start)) -lt 300 ] || machine_failed "$work" "the machine has not booted within 300 s"
    attend sleep 0.2
  done
  guest_seconds=$(sed -n 's/^waits \([0-9]*\).*/\1/p' "$work/status")
  note "booted ($((SECONDS - start)) s)"
  [ "$guest_seconds" -le $(((SECONDS - start) * 5 / 4 + 2)) ] ||
    machine_failed "$work" "the machine's clock is wrong: it takes its boot to have lasted $guest_seconds s"
  # Stopping it before saving would make it wake up stopped.
  printf 'migrate "exec:zstd -q -3 -T0 -f -o state/memory.zst"\nquit\n' >&"$monitor"
  wait "$machine" || machine_failed "$work" "the machine's state could not be saved"
  exec {monitor}>&-
  [ -s "$work/state/memory.zst" ] || machine_failed "$work" "the machine's state could not be saved"
  rm -rf --one-file-system "$image"/state-*
  mv "$work/state" "$state"
  rm -rf --one-file-system "$work"
  note "state is saved, $(du -sh "$state" | cut -f1) ($((SECONDS - start)) s)"
}

# Tells what the machine and QEMU said last, and gives up.
machine_failed() {
  local work=$1 reason=$2
  tail -n 25 "$work/console" "$work/qemu.log" >&2 || true
  give_up 125 "$reason; above is the end of its console and of what QEMU said"
}
