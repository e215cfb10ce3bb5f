# shellcheck shell=bash disable=SC2154 # shares variables with scripts/conformance
# Sourced by scripts/conformance: the programs of both suites, and what they print as one table of checks.
# Reads: validation, contest, only, work, results, limit.
#
# A table has a line for each check: verdict (pass, fail, skip), a tab, the check's name. A program that did not come
# to its end adds `stop` and why.

# Whether --only asks for a program, or asks for none and so for all.
wanted() {
  local pattern
  [ ${#only[@]} -gt 0 ] || return 0
  for pattern in "${only[@]}"; do
    # A glob.
    # shellcheck disable=SC2053
    [[ $1 != $pattern ]] || return 0
  done
  return 1
}

# `validation/NAME` for each program of runtime-tools, `contest/GROUP` for each group of contest.
list_programs() {
  local file group
  if [ -n "$validation" ]; then
    for file in "$validation"/validation/*/*.t; do
      [ -x "$file" ] && wanted "validation/$(basename "$file" .t)" && echo "validation/$(basename "$file" .t)"
    done
  fi
  if [ -n "$contest" ]; then
    # Even its list is made from a container's bundle.
    mkdir "$work/list"
    (cd "$contest" && TMPDIR=$work/list isolated "$limit" ./contest list) | while read -r group; do
      wanted "contest/$group" && echo "contest/$group"
    done
  fi
  return 0
}

# Runs a program ($3) against a runtime ($1 its name, $2 its file) and leaves its table in the results.
run_program() {
  local name=$1 runtime=$2 program=$3 directory=$work/run code=0
  local printed=$results/$name/${program//\//.}
  mkdir -p "$directory/tmp" "$directory/root"
  cgroups_of_suites >"$work/cgroups"
  export -f prepared
  case $program in
    validation/*) (run_validation "${program#*/}") >"$printed.out" 2>"$printed.err" || code=$? ;;
    contest/*) (run_contest "${program#*/}") >"$printed.out" 2>"$printed.err" || code=$? ;;
  esac
  "checks_of_${program%%/*}" "$printed.out" "$printed.err" "$code" >"$printed.checks"
  sweep "$directory" "$runtime" "$work/cgroups"
}

# The programs of runtime-tools look for their files in the working directory, and take a runtime without options.
run_validation() {
  local wrapper=$directory/$name
  printf '#!/bin/sh\nexec %q --root %q "$@"\n' "$runtime" "$directory/root" >"$wrapper"
  chmod +x "$wrapper"
  cd "$validation" || return
  TMPDIR=$directory/tmp RUNTIME=$wrapper isolated "$limit" \
    bash -c 'prepared "$@"' bash "$name" "$validation/validation/$1/$1.t"
}

# contest's own bundle is in the working directory. RUNTIME_KIND tells it which refusals are a runtime's right.
run_contest() {
  local selected=("$1") each kind=$name code=0
  # A test of this group ends the whole process where there is cgroup v1, and the others would not be heard of.
  if [ "$1" = exec ]; then
    selected=()
    for each in preserve_fds ignore_paused cgroup no_capabilities unset_bounding_capabilities new_privileges \
      some_capabilities mount; do
      selected+=("exec::${each}_test")
    done
    selected+=(exec::capabilities_by_flag_test_case1 exec::capabilities_by_flag_test_case2)
  fi
  [ "$kind" = youki ] || kind=runc
  cd "$contest" || return
  for each in "${selected[@]}"; do
    TMPDIR=$directory/tmp RUNTIME_KIND=$kind isolated "$limit" \
      bash -c 'prepared "$@"' bash "$name" \
      "$contest/contest" run --runtime "$runtime" --runtimetest "$contest/runtimetest" -t "$each" || code=$?
  done
  return "$code"
}

# Takes out of names what differs from one run to the next.
steady_names() {
  sed -E "s/$uuid/UUID/g; s,$work/[^ )\"']*,DIRECTORY,g"
}

# TAP: the checks of the outermost level.
checks_of_validation() {
  local printed=$1 complaints=$2 code=$3
  awk '
    /^(not )?ok [0-9]+/ {
      verdict = /^not/ ? "fail" : "pass"
      text = $0
      sub(/^(not )?ok [0-9]+ *(- )?/, "", text)
      if (text ~ /# *[Ss][Kk][Ii][Pp]/) {
        verdict = "skip"
        sub(/ *# *[Ss][Kk][Ii][Pp] */, "", text)
      }
      print verdict "\t" (text == "" ? "(no name)" : text)
    }
  ' "$printed" | steady_names
  # The plan is told last, when all checks are done.
  if [ "$code" != 0 ] || ! grep -qE '^1\.\.[0-9]+' "$printed"; then
    stopped "$complaints" "$code"
  fi
}

# contest's own form: `1 / 3 : NAME : ok`.
checks_of_contest() {
  local printed=$1 complaints=$2 code=$3
  awk '
    /^[0-9]+ \/ [0-9]+ : .* : (ok|not ok|skipped)$/ {
      text = $0
      verdict = /: not ok$/ ? "fail" : /: skipped$/ ? "skip" : "pass"
      sub(/^[0-9]+ \/ [0-9]+ : /, "", text)
      sub(/ : (ok|not ok|skipped)$/, "", text)
      print verdict "\t" text
    }
  ' "$printed" | steady_names
  if [ "$code" != 0 ] || ! grep -q '^# End group' "$printed"; then
    stopped "$complaints" "$code"
  fi
}

# Why a program came to no end: the time, or the last thing that it said.
stopped() {
  if [ "$2" = 137 ]; then
    printf 'stop\tkilled after %s s\n' "$limit"
  else
    printf 'stop\t%s\n' "$(grep -vE '^ *$|^exit status|^Refer to' "$1" | tail -n 1 | tr '\t' ' ' | cut -c1-300 | steady_names)"
  fi
}
