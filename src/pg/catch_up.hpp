// catch_up: what a worker does for attached tables: it looks at the rows that were there, and labels those that wait.
#pragma once

#include <functional>

#include "pg/postgres.hpp"

namespace reyearn::pg {

// Does a step after the other, each in a transaction of its own, until `until` or `should_stop`. Returns when to go on:
// at once if there is more to do; 0: there is nothing. Outside of transactions only.
TimestampTz catch_up(Oid extension_owner, TimestampTz until, const std::function<bool()>& should_stop);

}  // namespace reyearn::pg
