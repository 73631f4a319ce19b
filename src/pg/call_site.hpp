// call_site<T>: a C++ object that one place in a statement keeps between calls of a SQL function. It is made at the
// first call and deleted with the memory context of the call site, so its destructor must not raise errors.
#pragma once

#include <memory>

#include "pg/guard.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

template <typename T>
T& call_site(FunctionCallInfo fcinfo) {
  FmgrInfo* function = fcinfo->flinfo;
  if (function->fn_extra != nullptr) return *static_cast<T*>(function->fn_extra);
  auto site = std::make_unique<T>();
  pg_call([&] {
    auto* callback =
        static_cast<MemoryContextCallback*>(MemoryContextAllocZero(function->fn_mcxt, sizeof(MemoryContextCallback)));
    callback->func = [](void* argument) { delete static_cast<T*>(argument); };
    callback->arg = site.get();
    MemoryContextRegisterResetCallback(function->fn_mcxt, callback);
  });
  function->fn_extra = site.release();
  return *static_cast<T*>(function->fn_extra);
}

}  // namespace reyearn::pg
