# shellcheck shell=bash
# Sourced by engine-test: an image without a registry, a tar file that is an OCI layout and what `docker save` writes.

# The name that engines give the image.
image=localhost/box:latest

# Puts a file into the layout as a blob and prints its digest.
add_blob() {
  local layout=$1 file=$2 digest
  digest=$(sha256sum "$file" | cut -d' ' -f1)
  mv "$file" "$layout/blobs/sha256/$digest"
  printf '%s' "$digest"
}

# The root file system of the image: busybox under all its names, two users, and files that tests look at.
make_rootfs() {
  local rootfs=$1 name
  mkdir -p "$rootfs"/{bin,dev,etc,proc,sys,tmp,root,home,data}
  chmod 1777 "$rootfs/tmp"
  cp /bin/busybox "$rootfs/bin/busybox"
  while read -r name; do
    [ "$name" = busybox ] || ln -s busybox "$rootfs/bin/$name"
  done < <(/bin/busybox --list)
  printf 'root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000:guest:/data:/bin/sh\n' >"$rootfs/etc/passwd"
  printf 'root:x:0:\nguest:x:1000:\nextra:x:2000:guest\n' >"$rootfs/etc/group"
  printf '#!/bin/sh\ntrap "exit 0" TERM\nsleep 1000 &\nwait\n' >"$rootfs/bin/pause"
  chmod 0755 "$rootfs/bin/pause"
  printf 'not a program\n' >"$rootfs/data/plain"
  chmod 0644 "$rootfs/data/plain"
}

# Writes the image to the file named first, with a folder named second to work in.
make_image() {
  local file=$1 layout=$2/layout layer config manifest size architecture
  architecture=$(dpkg --print-architecture)
  mkdir -p "$layout/blobs/sha256"
  make_rootfs "$2/rootfs"
  tar --create --file "$2/layer.tar" --directory "$2/rootfs" --owner=0 --group=0 --numeric-owner .
  layer=$(add_blob "$layout" "$2/layer.tar")
  cat >"$2/config.json" <<JSON
{"architecture":"$architecture","os":"linux","created":"2026-01-01T00:00:00Z",
 "config":{"Env":["PATH=/bin","FROM_IMAGE=yes"],"Cmd":["/bin/pause"],"WorkingDir":"/"},
 "rootfs":{"type":"layers","diff_ids":["sha256:$layer"]},
 "history":[{"created":"2026-01-01T00:00:00Z","created_by":"engine-test"}]}
JSON
  size=$(stat -c %s "$2/config.json")
  config=$(add_blob "$layout" "$2/config.json")
  cat >"$2/manifest.json" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
 "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config","size":$size},
 "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:$layer",
            "size":$(stat -c %s "$layout/blobs/sha256/$layer")}]}
JSON
  size=$(stat -c %s "$2/manifest.json")
  manifest=$(add_blob "$layout" "$2/manifest.json")
  printf '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
  cat >"$layout/index.json" <<JSON
{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",
 "digest":"sha256:$manifest","size":$size,"platform":{"architecture":"$architecture","os":"linux"},
 "annotations":{"io.containerd.image.name":"$image","org.opencontainers.image.ref.name":"latest"}}]}
JSON
  printf '[{"Config":"blobs/sha256/%s","RepoTags":["%s"],"Layers":["blobs/sha256/%s"]}]' \
    "$config" "$image" "$layer" >"$layout/manifest.json"
  tar --create --file "$file" --directory "$layout" .
}
