// Module magic and _PG_init: settings and callbacks, nothing else.
#include "pg/serving.hpp"
#include "pg/settings.hpp"

#include "pg/postgres.hpp"

extern "C" {
PG_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
}

void _PG_init(void) {
  reyearn::pg::define_settings();
  reyearn::pg::watch_subtransactions();
}
