// call_function: calls a function of the schema reyearn, with the rights of whoever is acting, without SPI.
//
// May raise PostgreSQL errors and holds no C++ objects: call it with none alive, or in pg_call.
#pragma once

#include <cstddef>

#include "pg/postgres.hpp"

namespace reyearn::pg {

struct Value {
  Datum datum;
  bool is_null;
};

// `is_null`: for functions that may return NULL.
template <std::size_t kCount>
Datum call_function(const char* name, const Oid (&types)[kCount], const Value (&arguments)[kCount],
                    bool* is_null = nullptr) {
  List* const path = list_make2(makeString(pstrdup("reyearn")), makeString(pstrdup(name)));
  FmgrInfo function;
  fmgr_info(LookupFuncName(path, static_cast<int>(kCount), types, false), &function);
  LOCAL_FCINFO(call, kCount);
  InitFunctionCallInfoData(*call, &function, static_cast<short>(kCount), InvalidOid, nullptr, nullptr);
  for (std::size_t i = 0; i < kCount; ++i) call->args[i] = {arguments[i].datum, arguments[i].is_null};
  const Datum result = FunctionCallInvoke(call);
  if (is_null != nullptr) *is_null = call->isnull;
  return result;
}

}  // namespace reyearn::pg
