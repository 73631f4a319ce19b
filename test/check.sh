#!/usr/bin/env bash
# make check: install what is missing, build, install Reyearn, run every kind of test, add up.
# make check-KIND: one kind only: unit, unit-asan, regress, isolation or tap.
set -u
cd "$(dirname "$0")/.." || exit
if [[ ! ${MAKELEVEL-} ]]; then    # make knows which tests there are and which PostgreSQL they use
  (($#)) && exec make "${@/#/check-}"
  exec make check
fi
exec 2>&1    # CI shows standard output only
umask 022    # what gets installed is for everybody
source test/lib/privilege.sh
source test/lib/make.sh
source test/lib/stage.sh
source test/lib/count.sh
source test/lib/kinds.sh

rows=() total_passed=0 total_failed=0 total_skipped=0
add_row() {
  rows+=("$(printf '%-10s %8d %8d %8d' "$1" "$passed" "$failed" "$skipped")")
  ((total_passed += passed, total_failed += failed, total_skipped += skipped))
}

run_kind() {
  local output=build/check/$1    # logs and results, kept for the developer
  rm -rf "$output" && mkdir -p "$output"
  passed=0 failed=0 skipped=0
  printf '\n== %s\n' "$1"
  "check_${1//-/_}" "$output"
  if ((passed + failed + skipped == 0)); then
    echo 'No test was run.'
    failed=1
  fi
  add_row "$1"
}

kinds=("$@")
if (($# == 0)); then
  kinds=(unit unit-asan regress isolation tap)
  if ! test/deps.sh check; then
    passed=0 failed=1 skipped=0
    add_row deps
  fi
fi
for kind in "${kinds[@]}"; do
  run_kind "$kind"
done

printf '\n%-10s %8s %8s %8s\n' kind passed failed skipped
printf '%s\n' "${rows[@]}"
printf '\n%d min %d s\n' $((SECONDS / 60)) $((SECONDS % 60))
printf '%d passed, %d failed, %d skipped\n' "$total_passed" "$total_failed" "$total_skipped"
((total_failed == 0))
