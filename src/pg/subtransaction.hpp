// in_subtransaction: a piece of work inside somebody else's statement that may fail without that failing.
#pragma once

#include "pg/guard.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

// Calls `call(argument)` in a subtransaction. False when that raised an error: then what it did was rolled back, the error
// is over, and `failure` says what it was. Throws PgError for what is not the work's own: a request to cancel, a timeout,
// and what asks to retry the whole transaction (class 40: serialization failures and deadlocks).
[[nodiscard]] bool in_subtransaction(void (*call)(void*), void* argument, Failure& failure);

// The same for C++ code, which may throw.
template <typename Body>
[[nodiscard]] bool in_subtransaction(Body&& body, Failure& failure) {
  return in_subtransaction(
      [](void* b) {
        auto* const held = static_cast<std::remove_reference_t<Body>*>(b);
        guard([held] { (*held)(); });
      },
      &body, failure);
}

}  // namespace reyearn::pg
