# Call make from a script that make may have called. Sourced, not run.

# Use every core unless an outer make has already been told how many.
run_make() {
  local jobs=()
  [[ ${MAKEFLAGS-} == *-j* ]] || jobs=("-j$(nproc)")
  make "${jobs[@]}" "$@"
}
