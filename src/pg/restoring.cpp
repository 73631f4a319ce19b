#include "pg/restoring.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

// The roles that the session logged in with and that it has set count, not those of SECURITY DEFINER functions: what
// these write with more rights than their caller has must not go by the caller's settings.
bool is_restoring() {
  return !check_function_bodies && !row_security && superuser_arg(GetSessionUserId()) &&
         superuser_arg(GetOuterUserId());
}

extern "C" {

PG_FUNCTION_INFO_V1(reyearn_restoring);
PGDLLEXPORT Datum reyearn_restoring(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  PG_RETURN_BOOL(is_restoring());
}

}  // extern "C"

}  // namespace reyearn::pg
