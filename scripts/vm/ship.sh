# shellcheck shell=bash disable=SC2154 # shares variables with the scripts beside it
# Selects the tests of a set, and puts what they need in the payload. Sourced by scripts/vm-test.
#
# A set is a file of lines `[VARIABLE=VALUE...] EXECUTABLE [ARGUMENT...]`. EXECUTABLE is `package/lib`, `package/NAME`
# for tests/NAME.rs, `package/bin:NAME`, or `platform` for the tests of the machine itself; it may hold * and ?. The arguments choose among
# the executable's tests, as with cargo test: words that names contain, --skip WORD; for platform, the runtimes to try.

# Writes the selected tests into $payload: plan (one line for each executable: name, number, directory, environment),
# and for each number N the program N.run and the names N.tests.
select_tests() {
  local executables=$1 pattern arguments name executable directory environment tests count=0 total=0 matches
  while read -r pattern arguments; do
    matches=0 environment=''
    while [[ $pattern == *=* ]]; do
      environment+="$pattern "
      read -r pattern arguments <<<"$arguments"
    done
    while IFS=$'\t' read -r name executable directory; do
      # shellcheck disable=SC2053 # a pattern
      [[ $name == $pattern ]] || continue
      matches=1
      # shellcheck disable=SC2086 # words
      list_tests "$name" "$executable" $arguments >"$payload/$count.tests"
      tests=$(wc -l <"$payload/$count.tests")
      [ "$tests" -gt 0 ] || continue
      ln -L "$executable" "$payload/$count.run" 2>/dev/null || cp "$executable" "$payload/$count.run"
      printf '%s\t%s\t%s\t%s\n' "$name" "$count" "$directory" "$environment" >>"$payload/plan"
      note "$environment$name: $tests tests"
      count=$((count + 1)) total=$((total + tests))
    done <"$executables"
    [ "$matches" = 1 ] || fail "$(basename "$set_file") names $pattern, and there is no such test executable"
  done < <(sed '/^ *\(#\|$\)/d' "$set_file")
  [ "$total" -gt 0 ] || give_up 2 "no test matches${only:+ $only}"
  note "$total tests in $count executables"
}

# The names of an executable's tests, one a line, that --only lets pass.
list_tests() {
  local name=$1 executable=$2 list
  shift 2
  list=$(TENURE_VM=1 "$executable" --list --format terse "$@") || fail "$executable could not list its tests"
  sed -n 's/: test$//p' <<<"$list" | while read -r test; do
    [[ "$name::$test" != *"$only"* ]] || echo "$test"
  done
}

# Fills $payload with the selected tests, unless $command is to be run, and with what tests and commands need.
ship() {
  cp "$guest_files/suite" "$payload/"
  if [ ${#command[@]} = 0 ]; then
    printf 'platform\t%s\t/payload\n' "$guest_files/platform" >"$run_directory/executables"
    step "Building the tests"
    build_tests "$profile" >>"$run_directory/executables"
    step "Selecting tests of the set $(basename "$set_file")"
    select_tests "$run_directory/executables"
  fi
  if [ -n "$binary" ] || needs_product; then
    ship_product
  fi
  ship_sources
}

# Whether the selected tests run the product.
needs_product() {
  [ -e "$payload/plan" ] || return 1
  grep -q '^tenure-integration/' "$payload/plan" || grep -q '^tenure::' "$payload"/*.tests
}

# The product, and the root file systems of the sample bundles.
ship_product() {
  local product=$binary
  if [ -z "$product" ]; then
    attend "$repository/scripts/build" --profile fast
    product=$target_directory/tenure
  fi
  # ldd calls one that is position-independent "statically linked", and one that is not no dynamic executable.
  ! ldd "$product" 2>/dev/null | grep -q '=>\|/ld-' || fail "$product is not a static executable"
  mkdir "$payload/bin"
  cp "$product" "$payload/bin/tenure"
  attend "$repository/scripts/build-bundles"
}

# The source tree, which tests find where they were built.
ship_sources() {
  mkdir "$payload/repository"
  tar -C "$repository" --exclude=./target --exclude=./.git --exclude="${target_directory/#$repository/.}" -cf - . |
    tar -C "$payload/repository" -xf -
}
