// SQL entry points for texts and labels: reyearn.content_hash, reyearn.find_observation, reyearn.parse_label,
// reyearn.find_class, reyearn.lock_taxonomy.
#include "core/label.hpp"
#include "pg/catalog.hpp"
#include "pg/datum.hpp"
#include "pg/guard.hpp"
#include "pg/locks.hpp"
#include "pg/tenants.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

extern "C" {

PG_FUNCTION_INFO_V1(reyearn_content_hash);
PGDLLEXPORT Datum reyearn_content_hash(PG_FUNCTION_ARGS) { return content_hash(PG_GETARG_DATUM(0)); }

// By what is committed now and not by the snapshot of the transaction: another session's observation of the same text
// is found under REPEATABLE READ too.
PG_FUNCTION_INFO_V1(reyearn_find_observation);
PGDLLEXPORT Datum reyearn_find_observation(PG_FUNCTION_ARGS) {
  check_may_read("observations");
  const std::optional<std::int64_t> id = find_observation(current_tenant(), content_hash(PG_GETARG_DATUM(0)), nullptr);
  if (!id) PG_RETURN_NULL();
  PG_RETURN_INT64(*id);
}

PG_FUNCTION_INFO_V1(reyearn_parse_label);
PGDLLEXPORT Datum reyearn_parse_label(PG_FUNCTION_ARGS) {
  const std::string_view label = text_view(PG_GETARG_DATUM(0));
  guard([&] { check_label(label); });
  return ltree_datum(label);
}

// Of the caller's tenant.
PG_FUNCTION_INFO_V1(reyearn_find_class);
PGDLLEXPORT Datum reyearn_find_class(PG_FUNCTION_ARGS) {
  check_may_read("classes");
  PreventCommandIfReadOnly("reyearn.find_class()");
  const std::optional<std::int64_t> id = lock_class(current_tenant(), PG_GETARG_DATUM(0));
  if (!id) PG_RETURN_NULL();
  PG_RETURN_INT64(*id);
}

PG_FUNCTION_INFO_V1(reyearn_lock_taxonomy);
PGDLLEXPORT Datum reyearn_lock_taxonomy(PG_FUNCTION_ARGS) {
  lock_taxonomy(current_tenant(), PG_GETARG_BOOL(0));
  PG_RETURN_VOID();
}

}  // extern "C"

}  // namespace reyearn::pg
