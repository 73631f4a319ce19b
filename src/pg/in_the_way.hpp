// Whether somebody waits for what this process holds: work that can be done later gives way.
#pragma once

#include <cstdint>

namespace reyearn::pg {

enum class Waiting : std::uint8_t {
  kNobody,
  kForLock,      // for a lock of this transaction: DDL, VACUUM FULL, a promotion, a training by hand
  kForDatabase,  // DROP, RENAME or copying of this database waits until nobody is connected to it
};

// Looks at all locks of the server. May raise PostgreSQL errors.
Waiting who_waits();

}  // namespace reyearn::pg
