// Module magic and _PG_init: settings, shared memory, the launcher and callbacks, nothing else.
#include "pg/background.hpp"
#include "pg/label_notes.hpp"
#include "pg/launcher.hpp"
#include "pg/registry.hpp"
#include "pg/settings.hpp"
#include "pg/tenants.hpp"
#include "pg/transaction_end.hpp"

#include "pg/postgres.hpp"

extern "C" {
PG_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
}

void _PG_init(void) {
  reyearn::pg::define_settings();
  reyearn::pg::Registry::reserve();
  reyearn::pg::Background::reserve();
  reyearn::pg::register_launcher();
  reyearn::pg::watch_transactions();
  reyearn::pg::watch_tenants();
  reyearn::pg::watch_labelled_statements();
}
