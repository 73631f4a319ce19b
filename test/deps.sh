#!/usr/bin/env bash
# Install what is missing of what Reyearn needs, or say what it is.
#   test/deps.sh build   compiler, libraries, PostgreSQL
#   test/deps.sh check   also what the tests need
#   test/deps.sh bench   what the benchmark needs, and the libraries it compares with
# Every need is probed for instead of looked up among packages, so what was installed by other means counts too.
set -u
cd "$(dirname "$0")/.." || exit
source test/lib/privilege.sh

level=${1:-check}
PG_CONFIG=${PG_CONFIG:-pg_config}
CXX=${CXX:-g++}

has_cxx20() { echo '#include <span>' | "$CXX" -std=c++20 -x c++ -fsyntax-only - 2>/dev/null; }
has_header() {
  echo "#include <$1>" | "$CXX" -std=c++20 -x c++ -E - >/dev/null 2>&1 || [[ -e /usr/include/$1 ]]
}
# pg_config alone proves little: Debian's libpq-dev has one too, and its client package the makefiles without headers.
has_pgxs() {
  [[ -f $("$PG_CONFIG" --pgxs 2>/dev/null) && -f $("$PG_CONFIG" --includedir-server 2>/dev/null)/postgres.h ]]
}
has_server() {
  [[ -x $("$PG_CONFIG" --bindir 2>/dev/null)/initdb &&
    -f $("$PG_CONFIG" --sharedir 2>/dev/null)/extension/ltree.control ]]
}
has_perl() { command -v prove >/dev/null && perl -MTest::More -MIPC::Run -MTime::HiRes -e 1 2>/dev/null; }
has_openssl() { command -v openssl >/dev/null; }
has_sklearn() { [[ $(find_python) ]]; }
has_pgbouncer() { PATH=$PATH:/usr/sbin:/usr/local/sbin command -v pgbouncer >/dev/null; }
has_fasttext() { command -v fasttext >/dev/null; }

# Which PostgreSQL to install for: the one PG_CONFIG stands for, else a server that is there, else the system's own.
pg_major() {
  local path
  if [[ $PG_CONFIG =~ /postgresql/([0-9]+)/ ]]; then
    echo "${BASH_REMATCH[1]}"
  elif has_pgxs; then
    "$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/'
  elif path=$(printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -V | tail -n 1) && [[ -x $path ]]; then
    cut -d/ -f5 <<<"$path"
  else
    apt-cache depends postgresql 2>/dev/null | sed -nE 's/.*Depends: postgresql-([0-9]+)$/\1/p'
  fi
}

# need PACKAGE DESCRIPTION PROBE...: note what is missing.
need() {
  "${@:3}" && return
  packages+=("$1")
  missing+=("$2 (Debian: $1)")
}
survey() {
  packages=() missing=()
  local major
  major=$(pg_major)
  need g++ 'a C++20 compiler, g++ 12 or newer' has_cxx20
  need libicu-dev 'ICU with headers' has_header unicode/brkiter.h
  need libxxhash-dev 'the header xxhash.h' has_header xxhash.h
  [[ ${WITH_OPENSSL-} == 0 ]] || need libssl-dev 'OpenSSL with headers' has_header openssl/evp.h
  need "postgresql-server-dev-$major" "PostgreSQL's files for building extensions, found through PG_CONFIG" has_pgxs
  need "postgresql-$major" 'the PostgreSQL server of that PG_CONFIG, with ltree' has_server
  [[ $level != build ]] || return
  need libipc-run-perl "prove and Perl's IPC::Run" has_perl
  [[ $level == check ]] || return
  need libgtest-dev 'GoogleTest' has_header gtest/gtest.h
  need openssl 'the openssl command, which makes keys and tokens' has_openssl
}

apt_install() {
  echo "Installing: $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" >/dev/null
}

survey
if ((${#missing[@]})) && command -v apt-get >/dev/null; then
  as_root apt-get -qq update
  survey    # only now, on a bare system, does apt know which PostgreSQL it has
  apt_install "${packages[@]}"
  survey
fi
if [[ $level != build ]] && ! has_sklearn; then
  command -v apt-get >/dev/null && apt_install python3-sklearn
  has_sklearn || echo 'No Python with scikit-learn: what compares with it will be skipped.'
fi
if [[ $level == check ]] && ! has_pgbouncer; then
  command -v apt-get >/dev/null && apt_install pgbouncer
  has_pgbouncer || echo 'No pgbouncer: what tests pools of connections will be skipped.'
fi
if [[ $level == bench ]] && ! has_fasttext; then
  command -v apt-get >/dev/null && apt_install fasttext
  has_fasttext || echo 'No fastText: what compares with it will be skipped.'
fi
if ((${#missing[@]})); then
  echo 'Missing; please install:'
  printf '  %s\n' "${missing[@]}"
  exit 1
fi
