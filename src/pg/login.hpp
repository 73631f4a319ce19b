// The login of this transaction: the tenant that a token, verified by reyearn_login(), lets it act for.
//
// It is the value of the setting reyearn.login, so PostgreSQL itself takes it back with the savepoint or the
// transaction that it was made in, and hands it to parallel workers. Nobody can set that but log_in(): its check hook
// refuses any other login, wherever it comes from.
#pragma once

#include "pg/postgres.hpp"

namespace reyearn::pg {

struct Login {
  int tenant_id;
  TimestampTz expires;  // from then on it must not be used
};

// nullptr: there is none. One that has expired is still returned. Valid until the login changes, as it may whenever SQL
// runs or a (sub)transaction ends.
const Login* current_login();

// Until the current transaction ends, or the savepoint is rolled back to. Throws PgError.
void log_in(const Login& login);

// Once, from _PG_init.
void define_login_setting();

}  // namespace reyearn::pg
