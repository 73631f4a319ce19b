# Who runs what: installing needs root, PostgreSQL servers refuse to run as root. Sourced, not run.

# Run a command as root: directly, or through sudo.
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "This needs root, and there is no sudo: $*" >&2
    return 1
  fi
}

# A prefix that runs a command as the user the test servers run as: "postgres" for root, else oneself.
tester=()
if ((EUID == 0)); then
  tester=(runuser -u postgres --)
fi

# A Python with scikit-learn which that user can start, or nothing. Root's own (say, /root/.pyenv) may not be.
find_python() {
  # shellcheck disable=SC2016  # expanded by the inner shell
  (cd / && "${tester[@]}" bash -c '
    for python in python3 /usr/bin/python3; do
      python=$(command -v "$python") && "$python" -c "import sklearn" && echo "$python" && break
    done') 2>/dev/null
}
