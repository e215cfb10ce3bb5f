# shellcheck shell=bash disable=SC2154 # shares variables with the scripts beside it
# Builds the machine's disk, kernel and initramfs from Debian packages. Sourced by scripts/vm-test.
#
# An image is a directory of the cache, named after the Debian release and a hash of everything that decides what is
# in it: root.ext4 (never written again), vmlinux, initrd, about, and the saved states that boot.sh adds. It is built
# elsewhere and renamed into place, so that one that is there is whole. Users hold a shared lock on NAME.lock.

# shellcheck source=scripts/archive.sh
source "$repository/scripts/archive.sh"

vm_cache=${XDG_CACHE_HOME:-$HOME/.cache}/tenure/vm
guest_files=$repository/scripts/vm/guest

image_packages=(systemd systemd-sysv dbus dbus-user-session libpam-systemd kmod busybox-static procps iproute2 iptables
  uidmap crun runc python3)
boot_modules=(virtio_pci virtio_blk virtio_console ext4)
guest_modules=(overlay fuse loop)

# One line for each thing needed: the Debian package, then a command that succeeds once it is there.
vm_requirements() {
  cat <<'LIST'
qemu-system-x86 command -v qemu-system-x86_64
gcc command -v cc
libc6-dev test -e /usr/include/stdlib.h
qemu-utils command -v qemu-img
mmdebstrap command -v mmdebstrap
debian-archive-keyring test -e /usr/share/keyrings/debian-archive-keyring.gpg
cpio command -v cpio
e2fsprogs command -v mkfs.ext4
kmod command -v depmod
lz4 command -v lz4
xz-utils command -v xz
zstd command -v zstd
jq command -v jq
LIST
}

missing_vm_packages() {
  local package check
  while read -r package check; do
    eval "$check" >/dev/null 2>&1 || echo "$package"
  done < <(vm_requirements)
}

# Twice, because what is installed can take away what was there: qemu-system-x86 a qemu-utils of another release.
install_vm_packages() {
  local missing round
  for round in 1 2; do
    mapfile -t missing < <(missing_vm_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null 2>&1 ||
      fail "this is not a Debian system; please install what these Debian packages hold, then start again: ${missing[*]}"
    step "Installing ${missing[*]}"
    [ "$round" = 2 ] || attend env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 update
    attend env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
      install --no-install-recommends "${missing[@]}" >/dev/null
  done
  mapfile -t missing < <(missing_vm_packages)
  [ ${#missing[@]} = 0 ] || fail "still missing after installation: ${missing[*]}"
}

sources_list() {
  local suite=$1 debian security
  debian=$(archive debian)
  security=$(archive security)
  printf 'deb %s main\n' "$debian $suite" "$debian $suite-updates" "$security $suite-security"
}

image_directory() {
  local suite=$1 key
  key=$(cat "$repository/scripts/vm/image.sh" \
    "$guest_files"/{agent,agent.service,agent.target,fetch-kernel,masked-units} | sha256sum | cut -c1-12)
  echo "$vm_cache/$suite-$key"
}

# Images that other versions of the scripts have built, unless a run is using one.
remove_old_images() {
  local suite=$1 lock old
  for lock in "$vm_cache/$suite"-*.lock; do
    old=${lock%.lock}
    [ "$old" != "$image" ] || continue
    if flock -n "$lock" rm -rf --one-file-system "$old"; then
      rm -f "$lock"
    fi
  done
}

build_image() {
  local suite=$1 work root start=$SECONDS
  step "Building the image of Debian $suite"
  work=$(mktemp -d "$vm_cache/build.$$.XXXXXX")
  remove_at_exit "$work"
  root=$work/root
  fetch_root "$suite" "$work"
  note "packages and kernel are fetched and unpacked ($((SECONDS - start)) s)"
  install_kernel "$work"
  write_initramfs "$work"
  write_guest_files "$root"
  attend mkfs.ext4 -q -O ^has_journal,^metadata_csum -E lazy_itable_init=1,nodiscard -m 0 -L tenure-root \
    -d "$root" "$work/root.ext4" 4G >/dev/null
  rm -rf --one-file-system "$root" "$work/initramfs" "$work/mmdebstrap.log"
  echo "Debian $suite, kernel $(cat "$work/kernel-version")" >"$work/about"
  rm -rf --one-file-system "$image"
  mv "$work" "$image"
  note "image is built: $(cat "$image/about"), $(du -sh "$image" | cut -f1) ($((SECONDS - start)) s)"
}

# mmdebstrap works in namespaces of its own: neither a mount nor a process outlives it, however it ends.
fetch_root() {
  local suite=$1 work=$2 packages
  packages=$(IFS=, && echo "${image_packages[*]}")
  sources_list "$suite" >"$work/sources.list"
  mkdir "$work/tmp"
  if ! TMPDIR=$work/tmp attend unshare --mount --propagation private --pid --kill-child --mount-proc -- \
    mmdebstrap --mode=root --variant=minbase --quiet \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt=force-unsafe-io \
    --include="$packages" --customize-hook="$guest_files/fetch-kernel" \
    "$suite" "$work/root" "$work/sources.list" >"$work/mmdebstrap.log" 2>&1; then
    tail -n 20 "$work/mmdebstrap.log" >&2
    fail "mmdebstrap could not build Debian $suite; above is the end of what it said"
  fi
  rm -rf --one-file-system "$work/tmp" "$work/sources.list"
}

# Takes the kernel to $work/vmlinux and its modules into the root, uncompressed, as xz is slow in an emulated machine.
install_kernel() {
  local work=$1 root=$1/root kernel=$1/root/var/tmp/kernel version modules
  version=$(basename "$kernel"/boot/vmlinuz-*)
  version=${version#vmlinuz-}
  modules=$kernel/usr/lib/modules/$version
  [ -d "$modules" ] || modules=$kernel/lib/modules/$version
  mkdir -p "$root/usr/lib/modules"
  mv "$modules" "$root/usr/lib/modules/"
  extract_vmlinux "$kernel/boot/vmlinuz-$version" "$work/vmlinux" ||
    fail "there is no kernel in vmlinuz-$version that could be unpacked"
  rm -rf --one-file-system "$kernel" "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
  find "$root/usr/lib/modules/$version" -name '*.ko.xz' -print0 | xargs -0r -P 2 -n 50 xz -d
  depmod -b "$root" "$version"
  echo "$version" >"$work/kernel-version"
}

# The ELF file inside a bzImage. QEMU starts it by its PVH note, which spares the machine its firmware and, when
# emulated, seconds of decompression.
extract_vmlinux() {
  local compressed=$1 target=$2 entry magic offset
  local kinds=('\x28\xB5\x2F\xFD zstd -dcq' '\xFD7zXZ\x00 xz -dc --single-stream' '\x1F\x8B\x08 gzip -dc'
    '\x02\x21\x4C\x18 lz4 -dcq')
  for entry in "${kinds[@]}"; do
    magic=${entry%% *}
    while read -r offset; do
      # Every decompressor complains of what follows its data, so the result is judged, not the exit status.
      # shellcheck disable=SC2086 # a command with its options
      tail -c +$((offset + 1)) "$compressed" | ${entry#* } >"$target" 2>/dev/null || true
      [ "$(head -c 4 "$target" | tail -c 3)" != ELF ] || return 0
    done < <(LC_ALL=C grep -aboP "$magic" "$compressed" | cut -d: -f1 | head -n 20 || true)
  done
  return 1
}

# An initramfs that loads what the root disk needs and goes there.
write_initramfs() {
  local work=$1 root=$1/root tree=$1/initramfs version module kind path order=()
  version=$(cat "$work/kernel-version")
  mkdir -p "$tree"/{bin,dev,root,modules}
  cp "$root/bin/busybox" "$tree/bin/busybox"
  for module in "${boot_modules[@]}"; do
    # A module that is built into this kernel has nothing to show.
    while read -r kind path _; do
      if [ "$kind" = insmod ] && [ ! -e "$tree/modules/${path##*/}" ]; then
        cp "$path" "$tree/modules/"
        order+=("${path##*/}")
      fi
    done < <(modprobe -d "$root" -S "$version" --show-depends "$module" 2>/dev/null || true)
  done
  {
    echo '#!/bin/busybox sh'
    echo '/bin/busybox mount -t devtmpfs dev /dev'
    printf '/bin/busybox insmod /modules/%s\n' "${order[@]}"
    # shellcheck disable=SC2016 # expanded by the shell of the initramfs
    echo 'n=0; while [ ! -b /dev/vda ] && [ $n -lt 200 ]; do /bin/busybox usleep 50000; n=$((n+1)); done'
    echo '/bin/busybox mount -t ext4 -o rw,noatime /dev/vda /root'
    echo '/bin/busybox mount -o move /dev /root/dev'
    echo 'exec /bin/busybox switch_root /root /lib/systemd/systemd'
  } >"$tree/init"
  chmod 755 "$tree/init"
  (cd "$tree" && find . | cpio -o -H newc --quiet) >"$work/initrd"
}

# The agent instead of log-ins and housekeeping, each of which costs an emulated machine time at boot.
write_guest_files() {
  local root=$1 unit generator system=$1/etc/systemd/system
  rm -f "$root/etc/machine-id"
  echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
  echo tenure-vm >"$root/etc/hostname"
  printf '127.0.0.1 localhost tenure-vm\n::1 localhost\n' >"$root/etc/hosts"
  printf '%s\n' "${guest_modules[@]}" >"$root/etc/modules-load.d/tenure.conf"
  mkdir -p "$root/payload" "$root/usr/local/sbin" "$root/etc/systemd"/{journald.conf.d,system-generators}
  printf '[Journal]\nStorage=volatile\n' >"$root/etc/systemd/journald.conf.d/tenure.conf"
  while read -r unit; do
    ln -sf /dev/null "$system/$unit"
  done <"$guest_files/masked-units"
  for generator in "$root"/usr/lib/systemd/system-generators/*; do
    ln -sf /dev/null "$root/etc/systemd/system-generators/${generator##*/}"
  done
  # logind comes when PAM or D-Bus asks for it, not at boot.
  rm -f "$root/usr/lib/systemd/system/multi-user.target.wants/systemd-logind.service" \
    "$root/lib/systemd/system/multi-user.target.wants/systemd-logind.service"
  install -m 755 "$guest_files/agent" "$root/usr/local/sbin/agent"
  install -m 644 "$guest_files/agent.service" "$guest_files/agent.target" "$system/"
  mkdir -p "$system/agent.target.wants"
  ln -sf ../agent.service "$system/agent.target.wants/agent.service"
  ln -sf agent.target "$system/default.target"
  grep -q '^tester:' "$root/etc/passwd" || chroot "$root" useradd -m -u 1000 -s /bin/bash tester
}
