# One function for each kind of test: check_KIND OUTPUT_DIRECTORY runs it, shows what went wrong, and sets passed,
# failed and skipped. Sourced, not run.

check_unit() { run_gtest build/plain/unit unit "$1"; }
check_unit_asan() { run_gtest build/asan/unit unit-asan "$1"; }

# run_gtest BINARY GOAL OUTPUT
run_gtest() {
  if ! run_make "$1"; then
    failed=1
    return
  fi
  run_logged "$3/output.log" make -s "$2"
  count_gtest "$3/output.log" $?
  if ((failed)); then
    # All but what went well; "RUN" stays where a test did not come to its end.
    awk '/^\[ +RUN/ { run = $0 "\n"; next } /^\[ +OK/ { run = ""; next } { printf "%s%s\n", run, $0; run = "" }
         END { printf "%s", run }' "$3/output.log" | tail -n 200
  else
    grep -E '^\[=+\] [0-9]+ tests? .* ran' "$3/output.log"
  fi
}

# The lists come from make, one word a test.
# shellcheck disable=SC2086
check_regress() { run_pg_regress regress/pg_regress contrib_regression "$1" . ${REGRESS-}; }
# shellcheck disable=SC2086
check_isolation() { run_pg_regress isolation/pg_isolation_regress isolation_regression "$1" test ${ISOLATION-}; }

# run_pg_regress PROGRAM DATABASE OUTPUT INPUT_DIRECTORY TEST...; the database is the one make installcheck uses
run_pg_regress() {
  local program=$1 database=$2 output=$3 input=$4 tests=("${@:5}")
  ((${#tests[@]})) && ready_to_serve || return
  local test results=$stage/$database
  for test in "${tests[@]}"; do    # pg_regress stops for good at a test without expected output
    [[ -e $stage/$input/expected/$test.out ]] || : >"$stage/$input/expected/$test.out"
  done
  run_staged "$output/output.log" "$(pgxs_tests)/$program" --inputdir="$input" --outputdir="$results" \
    --bindir="$(pg_bin)" --temp-instance="$results.server" --temp-config=test/reyearn.conf \
    --no-locale --encoding=UTF8 --dbname="$database" "${tests[@]}"
  count_regress "$output/output.log" $? ${#tests[@]}
  keep "$output" "$results"/{results,regression.diffs,log}
  ((failed)) && show_tail "$results"/{regression.diffs,log/postmaster.log}
}

check_tap() {
  ready_to_serve && run_make unchecked && cp build/unchecked/reyearn.so "$stage/unchecked.so" || return
  local scripts results=$stage/tap
  # shellcheck disable=SC2086  # patterns, from the root of the repository
  scripts=$(cd "$stage" && shopt -s nullglob && echo ${PROVE_TESTS-})
  [[ $scripts ]] || return
  # TESTDIR is what PostgreSQL 15 calls the other two. Without LANG the clusters would be SQL_ASCII.
  # shellcheck disable=SC2086
  run_staged "$1/output.log" env -u LC_ALL -u LC_CTYPE -u LC_COLLATE LANG=C.UTF-8 PATH="$(pg_bin):$PATH" \
    PERL5LIB="$(pgxs_tests)/perl" PG_REGRESS="$(pgxs_tests)/regress/pg_regress" TESTDIR="$results" \
    TESTDATADIR="$results/tmp_check" TESTLOGDIR="$results/tmp_check/log" REYEARN_PYTHON="$(find_python)" \
    REYEARN_UNCHECKED="$stage/unchecked.so" \
    PERL_TEST_HARNESS_DUMP_TAP="$results/tap" prove -j2 --timer ${PROVE_FLAGS-} $scripts
  count_tap "$results/tap" "$1/output.log" $?
  keep "$1" "$results"/tmp_check/log
  local script
  while ((failed)) && read -r script; do
    show_tail "$results/tmp_check/log"/{regress_log_"$script","$script"_*.log}
  done < <(sed -nE 's|^([^ ]*/)?([^/ ]+)\.pl +\(Wstat: .*|\2|p' "$1/output.log")
}

pg_bin() { "$PG_CONFIG" --bindir; }
pgxs_tests() { echo "$(dirname "$("$PG_CONFIG" --pgxs)")/../test"; }
