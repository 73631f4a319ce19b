# A private directory below /tmp where the tests' servers live and which their user can read, wherever the
# repository lies. Sourced, not run. Nothing outlives the script: no process, no server, no directory.

stage=
ready=    # whether the stage can be used: 0, or the failure's status; empty when not tried yet
child=    # leader of the process group that runs just now

# What every kind of test with a server needs first: Reyearn installed, the stage open. Done once.
ready_to_serve() {
  if [[ ! $ready ]]; then
    test/install.sh && open_stage
    ready=$?
  fi
  if ((ready)); then
    echo 'Not run: Reyearn could not be built and installed.'
    failed=1
  fi
  return "$ready"
}

# Copy what the tests read into the stage.
open_stage() {
  stage=$(mktemp -d /tmp/reyearn-check.XXXXXX) && mkdir "$stage/expected" && mkdir -p "$stage/test/expected" || return
  cp -R sql test docs README.md "$stage/" && keep "$stage" expected || return
  export REYEARN_SAMPLES=$stage/test/data
  if [[ ${REYEARN_DATA-} ]] && ! "${tester[@]}" test -r "$REYEARN_DATA/."; then
    cp -RL "$REYEARN_DATA" "$stage/data" || return
    REYEARN_DATA=$stage/data
  fi
  ((EUID != 0)) || chown -R postgres: "$stage"
}

# Run a command as the tests' user in the stage; what it prints is shown and kept.
run_staged() {
  run_logged -v "$1" env -C "$stage" HOME="$stage" "${tester[@]}" "${@:2}"
}

# run_logged [-v] LOG COMMAND...: in a process group of its own, so that close_stage can end all of it. With -v
# the log is also shown as it grows.
run_logged() {
  local viewer="" status
  [[ $1 == -v ]] && viewer=yes && shift
  : >"$1"
  setsid "${@:2}" >"$1" 2>&1 </dev/null &
  child=$!
  if [[ $viewer ]]; then
    tail -n +1 -s 0.2 -f --pid="$child" "$1" &
    viewer=$!
  fi
  wait "$child"
  status=$?
  child=
  [[ ! $viewer ]] || wait "$viewer"
  return "$status"
}

# keep DIRECTORY FILE...: copy those of the files that exist.
keep() {
  local file
  for file in "${@:2}"; do
    [[ ! -e $file ]] || cp -R "$file" "$1/"
  done
}

show_tail() {
  local file
  for file; do
    [[ -s $file ]] && printf '\n-- end of %s\n' "${file#"$stage/"}" && tail -n 200 "$file"
  done
}

close_stage() {
  [[ ! $child ]] || kill -TERM -- "-$child" 2>/dev/null
  [[ $stage ]] || return
  local pidfile
  find "$stage" -name postmaster.pid | while read -r pidfile; do
    (cd / && "${tester[@]}" "$("$PG_CONFIG" --bindir)/pg_ctl" -s -m immediate stop -D "$(dirname "$pidfile")")
  done
  rm -rf "$stage"
}
trap close_stage EXIT
trap 'exit 130' INT TERM HUP
