// What happens when a transaction ends: the one place that registers callbacks with PostgreSQL, so that their order can
// be read.
#pragma once

namespace reyearn::pg {

// Once, from _PG_init.
void watch_transactions();

}  // namespace reyearn::pg
