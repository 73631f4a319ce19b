# Count tests in what the test programs print. Sourced, not run. Each sets passed, failed and skipped. A test that
# was to run and left no result counts as failed, and so does a program that fails although its tests look well.

# count_gtest LOG STATUS
count_gtest() {
  local planned
  planned=$(sed -nE 's/^\[=+\] Running ([0-9]+) tests? .*/\1/p' "$1")
  passed=$(grep -cE '^\[ +OK \]' "$1")
  skipped=$(grep -cE '^\[ +SKIPPED \].*\([0-9]+ ms\)$' "$1")
  failed=$((${planned:-0} - passed - skipped))
  at_least_one_if "$2"
}

# count_regress LOG STATUS PLANNED: "test NAME ... ok" up to PostgreSQL 15, "ok 1 - NAME" from 16 on.
count_regress() {
  passed=$(grep -cE '^(test )? *[^ ]+ +\.\.\. ok |^ok [0-9]+' "$1")
  skipped=0
  failed=$(($3 - passed))
  at_least_one_if "$2"
}

# count_tap DIRECTORY LOG STATUS: the TAP of each script, as saved by PERL_TEST_HARNESS_DUMP_TAP, and prove's summary.
count_tap() {
  local lines died
  lines=$(find "$1" -type f -exec cat {} +)
  skipped=$(grep -ciE '^ok.*# *skip|^not ok.*# *todo|^1\.\.0' <<<"$lines")
  passed=$(($(grep -c '^ok' <<<"$lines") - $(grep -ciE '^ok.*# *skip' <<<"$lines")))
  failed=$(($(grep -c '^not ok' <<<"$lines") - $(grep -ciE '^not ok.*# *todo' <<<"$lines")))
  # Scripts that failed although no test of theirs did: they died, or ran fewer tests than planned.
  died=$(awk '/\(Wstat: .* Failed: 0\)$/ { suspect = 1 }
              /^  (Non-zero|Parse errors)/ { died += suspect; suspect = 0 }
              END { print died + 0 }' "$2")
  failed=$((failed + died))
  at_least_one_if "$3"
}

at_least_one_if() {
  (($1 == 0 || failed > 0)) || failed=1
}
