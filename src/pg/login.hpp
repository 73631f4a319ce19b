#pragma once

#include "pg/postgres.hpp"

namespace reyearn::pg {
struct Login {
  int tenant_id;
  TimestampTz expires;
};
inline const Login* current_login() { return nullptr; }
inline unsigned login_generation() { return 0; }
}  // namespace reyearn::pg
