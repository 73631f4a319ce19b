// SQL entry point of functions that write for others what they may cause and not write themselves: reyearn.NAME(...) calls
// reyearn.NAME_of(tenant_id, ...) with the caller's tenant, and with the rights of the owner of the extension. SECURITY
// DEFINER would not do: inside, nobody knows the caller.
#include "pg/acts_as.hpp"
#include "pg/catalog.hpp"
#include "pg/guard.hpp"
#include "pg/tenants.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

Oid find_target(Oid function) {
  Oid* types;
  int count;
  (void)get_func_signature(function, &types, &count);
  auto* const all = static_cast<Oid*>(palloc(sizeof(Oid) * static_cast<Size>(count + 1)));
  all[0] = INT4OID;
  for (int i = 0; i < count; ++i) all[i + 1] = types[i];
  char* const name = psprintf("%s_of", get_func_name(function));
  return LookupFuncName(list_make2(makeString(pstrdup("reyearn")), makeString(name)), count + 1, all, false);
}

// Kept for the call site.
FmgrInfo* target_of(FmgrInfo* function) {
  if (function->fn_extra == nullptr) {
    auto* const target = static_cast<FmgrInfo*>(MemoryContextAlloc(function->fn_mcxt, sizeof(FmgrInfo)));
    fmgr_info_cxt(find_target(function->fn_oid), target, function->fn_mcxt);
    function->fn_extra = target;
  }
  return static_cast<FmgrInfo*>(function->fn_extra);
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(reyearn_as_owner);
PGDLLEXPORT Datum reyearn_as_owner(PG_FUNCTION_ARGS) {
  LOCAL_FCINFO(call, FUNC_MAX_ARGS);
  InitFunctionCallInfoData(*call, target_of(fcinfo->flinfo), static_cast<short>(PG_NARGS() + 1), InvalidOid, nullptr,
                           nullptr);
  call->args[0] = {Int32GetDatum(current_tenant()), false};
  for (int i = 0; i < PG_NARGS(); ++i) call->args[i + 1] = fcinfo->args[i];
  const Oid owner = extension_owner();
  const Datum result = guard([&] {
    const ActsAs acting(owner);
    return pg_call([&] { return FunctionCallInvoke(call); });
  });
  fcinfo->isnull = call->isnull;
  return result;
}

}  // extern "C"

}  // namespace reyearn::pg
