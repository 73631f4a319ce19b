#!/usr/bin/env bash
# Build Reyearn as oneself and install it into the PostgreSQL of PG_CONFIG, through sudo where that is needed.
set -eu
cd "$(dirname "$0")/.."
source test/lib/privilege.sh
source test/lib/make.sh

PG_CONFIG=${PG_CONFIG:-pg_config}
libraries=$("$PG_CONFIG" --pkglibdir)
scripts=$("$PG_CONFIG" --sharedir)/extension

run_make all
echo "Installing into $libraries and $scripts"
if [[ -w $libraries && -w $scripts ]]; then
  run_make -s install
else
  # sudo drops the environment.
  as_root make -s install PG_CONFIG="$PG_CONFIG" ${WITH_OPENSSL:+WITH_OPENSSL="$WITH_OPENSSL"}
fi
