// in_own_transaction: a piece of a background process's work that may fail without ending the process.
#pragma once

#include "pg/guard.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

// Calls `call(argument)` with a snapshot in a transaction, and commits it. False when that raised an error: then the
// transaction was rolled back, the error is over, and `failure` says what it was. Outside of transactions only.
[[nodiscard]] bool in_own_transaction(void (*call)(void*), void* argument, Failure& failure);

// The same for C++ code, which may throw.
template <typename Body>
[[nodiscard]] bool in_own_transaction(Body&& body, Failure& failure) {
  return in_own_transaction(
      [](void* b) {
        auto* const held = static_cast<std::remove_reference_t<Body>*>(b);
        guard([held] { (*held)(); });
      },
      &body, failure);
}

}  // namespace reyearn::pg
