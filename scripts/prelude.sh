# shellcheck shell=bash
# Sourced by every script here: where things are, and how progress is told.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target_directory=${CARGO_TARGET_DIR:-$repository/target}
# Where scripts/build leaves the binary, for whatever profile it was built with.
export TENURE_BIN=${TENURE_BIN:-$target_directory/tenure}

# rustup puts cargo here and tells only login shells.
if ! command -v cargo >/dev/null 2>&1 && [ -x "$HOME/.cargo/bin/cargo" ]; then
  PATH=$HOME/.cargo/bin:$PATH
fi

step() {
  printf '\n==> %s\n' "$*"
}

note() {
  printf '    %s\n' "$*"
}

fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# libseccomp is linked statically, into tests as into releases.
link_seccomp_statically() {
  export LIBSECCOMP_LINK_TYPE=static
  LIBSECCOMP_LIB_PATH=${LIBSECCOMP_LIB_PATH:-$(pkg-config --variable=libdir libseccomp)}
  export LIBSECCOMP_LIB_PATH
}

host_triple() {
  rustc -vV | sed -n 's/^host: //p'
}
