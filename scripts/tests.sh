# shellcheck shell=bash disable=SC2154 # shares variables with prelude.sh
# Builds the tests of all crates once, for this host and for the virtual machine, and runs them. Sourced by scripts/test
# and scripts/vm-test.

# Prints `package/TARGET<TAB>executable<TAB>directory` for each test executable: TARGET is `lib`, `bin:NAME`, or the NAME
# of a file in tests/. $1 is the cargo profile. They are static, as the machine has not this host's libraries, and built
# for the whole workspace at once: with another choice of packages, cargo would build the dependencies for other features.
build_tests() {
  local artifacts status=0
  artifacts=$(mktemp)
  cargo_test --profile "$1" --no-run --message-format=json-render-diagnostics >"$artifacts" || status=$?
  jq -r 'select(.reason == "compiler-artifact" and .profile.test and .executable != null)
    | (.package_id | capture("/(?<folder>[^/#]+)#((?<name>[^@]+)@)?[^@]*$")) as $package
    | (if .target.kind[0] == "test" then .target.name
       elif .target.kind[0] == "bin" then "bin:" + .target.name
       else "lib" end) as $target
    | [($package.name // $package.folder) + "/" + $target, .executable, (.manifest_path | rtrimstr("/Cargo.toml"))]
    | @tsv' "$artifacts" || status=$?
  rm -f "$artifacts"
  return "$status"
}

# cargo test of everything, as build_tests builds it. To a fixed address: a position-independent program that is static
# relocates itself 140000 times whenever it starts, which takes an emulated processor a second, and the tests of
# containers start themselves hundreds of times.
cargo_test() {
  link_seccomp_statically
  RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static -C relocation-model=static" \
    cargo test --locked --workspace --target "$(host_triple)" "$@"
}

# Runs test executables, $1 of them at a time with $2 tests each, in the order in which standard input names them: lines
# `NAME<TAB>EXECUTABLE<TAB>DIRECTORY[<TAB>VARIABLE=VALUE...]`. What they print comes when they end. Adds the names of
# those that fail to $failed.
run_tests() {
  local lanes=$1 threads=$2 name executable directory environment running=0 outputs
  local -A names=() starts=()
  outputs=$(mktemp -d)
  while IFS=$'\t' read -r name executable directory environment; do
    [ "$running" -lt "$lanes" ] || end_one
    # bash has what runs in the background ignore SIGINT, which tests would hand on. The redirection is the child's
    # doing: its process id names the file.
    # shellcheck disable=SC2086 # words
    env --default-signal=INT,QUIT -C "$directory" CARGO_MANIFEST_DIR="$directory" CARGO_PKG_NAME="${name%%/*}" \
      $environment "$executable" --test-threads="$threads" </dev/null >"$outputs/$BASHPID" 2>&1 &
    names[$!]="${environment:+$environment }$name" starts[$!]=$SECONDS
    running=$((running + 1))
  done
  while [ "$running" -gt 0 ]; do
    end_one
  done
  rm -rf "$outputs"
}

# Waits for one of the executables that run, and prints what it has printed.
end_one() {
  local process status=0
  wait -n -p process "${!names[@]}" || status=$?
  printf '\n     Ran %s (%s s)\n' "${names[$process]}" "$((SECONDS - starts[$process]))"
  cat "$outputs/$process"
  [ "$status" = 0 ] || failed+=("${names[$process]}")
  unset "names[$process]"
  running=$((running - 1))
}
