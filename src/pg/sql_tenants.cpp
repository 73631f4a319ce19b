// SQL entry points for tenants: reyearn.current_tenant, reyearn.usable_tenants, reyearn.sees_all_tenants,
// reyearn.acting_role, reyearn.tenant_id, the trigger on what they are decided by, and the locks that trainings take.
#include "pg/tenants.hpp"

#include "pg/datum.hpp"
#include "pg/locks.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

extern "C" {

PG_FUNCTION_INFO_V1(reyearn_current_tenant);
PGDLLEXPORT Datum reyearn_current_tenant(PG_FUNCTION_ARGS) { PG_RETURN_INT32(current_tenant()); }

PG_FUNCTION_INFO_V1(reyearn_find_current_tenant);
PGDLLEXPORT Datum reyearn_find_current_tenant(PG_FUNCTION_ARGS) {
  const std::optional<int> tenant = current_tenant_if_any();
  if (!tenant) PG_RETURN_NULL();
  PG_RETURN_INT32(*tenant);
}

PG_FUNCTION_INFO_V1(reyearn_usable_tenants);
PGDLLEXPORT Datum reyearn_usable_tenants(PG_FUNCTION_ARGS) { return usable_tenants(); }

PG_FUNCTION_INFO_V1(reyearn_sees_all_tenants);
PGDLLEXPORT Datum reyearn_sees_all_tenants(PG_FUNCTION_ARGS) { PG_RETURN_BOOL(sees_all_tenants()); }

PG_FUNCTION_INFO_V1(reyearn_acting_role);
PGDLLEXPORT Datum reyearn_acting_role(PG_FUNCTION_ARGS) {
  const Datum name = CStringGetDatum(GetUserNameFromId(acting_role(), false));
  PG_RETURN_DATUM(DirectFunctionCall1(namein, name));
}

PG_FUNCTION_INFO_V1(reyearn_tenant_id);
PGDLLEXPORT Datum reyearn_tenant_id(PG_FUNCTION_ARGS) {
  const char* const name = c_string(text_view(PG_GETARG_DATUM(0)));
  const Tenant* const tenant = find_tenant(name);
  if (tenant == nullptr)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("tenant \"%s\" does not exist", name)));
  PG_RETURN_INT32(tenant->tenant_id);
}

PG_FUNCTION_INFO_V1(reyearn_hold_off_training);
PGDLLEXPORT Datum reyearn_hold_off_training(PG_FUNCTION_ARGS) {
  if (sees_all_tenants()) hold_off_training();
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(reyearn_may_begin_training);
PGDLLEXPORT Datum reyearn_may_begin_training(PG_FUNCTION_ARGS) { PG_RETURN_BOOL(may_begin_training()); }

PG_FUNCTION_INFO_V1(reyearn_has_training_place);
PGDLLEXPORT Datum reyearn_has_training_place(PG_FUNCTION_ARGS) {
  PG_RETURN_BOOL(take_training_place(PG_GETARG_INT32(0)));
}

// On reyearn.tenants and reyearn.grants. The invalidation travels with the commit record: to other sessions, and to
// standbys.
PG_FUNCTION_INFO_V1(reyearn_tenants_changed);
PGDLLEXPORT Datum reyearn_tenants_changed(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "not called by a trigger");
  CacheInvalidateRelcache(reinterpret_cast<const TriggerData*>(fcinfo->context)->tg_relation);
  return PointerGetDatum(nullptr);
}

}  // extern "C"

}  // namespace reyearn::pg
