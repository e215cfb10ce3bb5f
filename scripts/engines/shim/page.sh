# shellcheck shell=bash
# shellcheck disable=SC2154 # Variables are those of engine-test.
# What the shim's page tells its users: its blocks of commands are run as they stand there, and the daemons here have its
# blocks of configuration.

page=$repository/crates/containerd-shim-tenure-v1/README.md

# Prints a block of the page: its language, and which of those in that language. Fails if there is none.
page_block() {
  awk -v open="\`\`\`$1" -v wanted="$2" '
    inside && /^```$/ { exit }
    inside { print }
    $0 == open && ++seen == wanted { inside = 1 }
    END { exit !inside }
  ' "$page"
}

# Puts the type of the shim that is tested in place of Tenure's.
for_tested_shim() {
  sed "s/io\.containerd\.tenure\.v1/$shim_runtime/"
}

# Whether the page's shim is tested: the program of the runtime under another name.
is_installed_by_page() {
  [ "$shim_runtime" = io.containerd.tenure.v1 ] && [ "$(readlink -f "$TENURE_SHIM")" = "$runtime" ]
}

# Installs the programs as the page says, into a folder that only this engine sees; what is there otherwise is there too.
# The shim is then found by nothing else.
install_by_page() {
  mkdir -p "$work/local" "$work/source/target"
  mount --bind /usr/local/bin "$work/local"
  mount -t tmpfs -o mode=0755 tmpfs /usr/local/bin
  find "$work/local" -mindepth 1 -maxdepth 1 -exec ln -s -t /usr/local/bin {} +
  rm -f "$work/bin/tenure" /usr/local/bin/{tenure,containerd-shim-tenure-v1}
  ln -s "$runtime" "$work/source/target/tenure"
  (
    cd "$work/source"
    set -e
    eval "$(page_block sh 1)"
  )
  PATH=$PATH:/usr/local/bin
  ln -s /usr/local/bin/tenure "$work/bin/runc"
}

check_the_pages_programs_are_what_containerd_runs() {
  is_installed_by_page || return 0
  holds "$(tenure --version)" tenure
  same "$(readlink -f "$(command -v containerd-shim-tenure-v1)")" /usr/local/bin/tenure
  [ "/proc/$(parent_of "$(task_pid box)")/exe" -ef /usr/local/bin/tenure ]
}

check_the_page_has_no_other_commands() {
  same "$(grep -c '^```sh$' "$page")" 3
  same "$(grep -c '^```toml$' "$page")" 2
  same "$(grep -c '^```json$' "$page")" 1
}

# What the page's first container says. ctr gives up the streams of a program that has ended before it has opened them all.
page_says_hello() {
  local said
  said=$(eval "$(page_block sh 2)" 2>>"$work/hello.errors") || echo "exit code $?" >>"$work/hello.errors"
  [ "$said" = hello ]
}

check_the_page_runs_a_container() {
  until_true 60 page_says_hello || { cat "$work/hello.errors" && return 1; }
}

check_the_page_runs_a_managed_life() {
  local began
  began=$(clock)
  eval "$(page_block sh 3)"
  until_true 20 is_task web STOPPED
  # preStop and the program take the grace period, and the start a moment.
  after "$began" "$(clock)" 5 10
  ctr task delete web
  ctr container delete web
}

check_the_pages_runtime_class_has_the_daemons_handler() {
  holds "$(page_block yaml 1)" "handler: tenure"
}
