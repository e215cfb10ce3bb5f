# shellcheck shell=bash disable=SC2154 # shares variables with scripts/conformance
# Sourced by scripts/conformance: counts, tables, and the judgement.
# Reads: results, names, files, programs, repository.

differences=$repository/scripts/suites/differences.md

table_of() {
  printf '%s/%s/%s.checks' "$results" "$1" "${2//\//.}"
}

# `passed/failed/skipped` of tables of checks, with a + when one of the programs stopped early.
counts() {
  cat "$@" | awk -F '\t' '
    { n[$1]++ }
    END { printf "%d/%d/%d%s\n", n["pass"], n["fail"], n["skip"], n["stop"] ? "+" : "" }
  '
}

count_line() {
  note "$(printf '%-55s %s' "$2" "$(counts "$(table_of "$1" "$2")")")"
}

table_of_programs() {
  local program name line
  printf -v line '%-55s' ''
  for name in "${names[@]}"; do printf -v line '%s %14s' "$line" "$name"; done
  note "$line"
  for program in "${programs[@]}"; do
    printf -v line '%-55s' "$program"
    for name in "${names[@]}"; do
      printf -v line '%s %14s' "$line" "$(counts "$(table_of "$name" "$program")")"
    done
    note "$line"
  done
}

table_of_totals() {
  local suite name program tables line
  for suite in validation contest; do
    printf -v line '%-55s' "$suite"
    for name in "${names[@]}"; do
      tables=()
      for program in "${programs[@]}"; do
        [[ $program != $suite/* ]] || tables+=("$(table_of "$name" "$program")")
      done
      [ ${#tables[@]} -gt 0 ] || continue 2
      printf -v line '%s %14s' "$line" "$(counts "${tables[@]}" | tr -d +)"
    done
    note "$line"
  done
}

# The checks of a program ($3) that pass more often with a runtime ($1) than with another ($2), by name: a check that
# was never made because a program stopped did not pass.
passes_more() {
  awk -F '\t' '
    FNR == 1 { file++ }
    $1 == "pass" { n[$2] += file == 1 ? 1 : -1 }
    END { for (name in n) if (n[name] > 0) print name }
  ' <(echo; cat "$(table_of "$1" "$3")") <(echo; cat "$(table_of "$2" "$3")") | sort
}

# Runs once or twice more what differs from the baseline, and goes by the run that passes most.
retry_differences() {
  local program attempt table first
  step "Once more what differs"
  for program in "${programs[@]}"; do
    for attempt in 1 2; do
      [ -n "$(passes_more "${names[1]}" "${names[0]}" "$program")" ] || break
      table=$(table_of "${names[0]}" "$program")
      first=$(mktemp "$work/checks.XXXXXX")
      cp "$table" "$first"
      run_program "${names[0]}" "${files[0]}" "$program"
      [ "$(grep -c '^pass' "$table")" -ge "$(grep -c '^pass' "$first")" ] || cp "$first" "$table"
      note "$program, attempt $((attempt + 1)): $(counts "$table")"
    done
  done
}

# The list has rows `| program | check | reason |`; a check of * stands for all of a program.
reason_for() {
  awk -F ' *[|] *' -v program="$1" -v check="$2" '
    $2 == "`" program "`" && ($3 == "`" check "`" || $3 == "*") && $4 != "" { print $4; exit }
  ' "$differences"
}

# Every difference with its reason. Fails when one has none.
judge() {
  local program check reason unexplained=0 explained=0 better=0
  for program in "${programs[@]}"; do
    better=$((better + $(passes_more "${names[0]}" "${names[1]}" "$program" | wc -l)))
    while read -r check; do
      [ -n "$check" ] || continue
      reason=$(reason_for "$program" "$check")
      if [ -n "$reason" ]; then
        explained=$((explained + 1))
        note "$program: $check: $reason"
      else
        unexplained=$((unexplained + 1))
        note "NO REASON: $program: $check"
      fi
    done < <(passes_more "${names[1]}" "${names[0]}" "$program")
  done
  note "${names[0]} passes $better checks (by name) that ${names[1]} does not"
  note "${names[1]} passes $((explained + unexplained)) that ${names[0]} does not, $unexplained of them without a reason"
  [ "$unexplained" = 0 ]
}
