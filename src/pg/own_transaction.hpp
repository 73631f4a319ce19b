// in_own_transaction: a piece of a background process's work that may fail without ending the process.
#pragma once

#include "pg/guard.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

// What went wrong. Fixed size, clipped to whole characters.
struct Trouble {
  int sqlstate = 0;
  char message[512] = "";
  char detail[1024] = "";
  char hint[512] = "";
};

// Calls `call(argument)` with a snapshot in a transaction, and commits it. False when that raised an error: then the
// transaction was rolled back, the error is over, and `trouble` says what it was. Outside of transactions only.
[[nodiscard]] bool in_own_transaction(void (*call)(void*), void* argument, Trouble& trouble);

// The same for C++ code, which may throw.
template <typename Body>
[[nodiscard]] bool in_own_transaction(Body&& body, Trouble& trouble) {
  return in_own_transaction(
      [](void* b) {
        auto* const held = static_cast<std::remove_reference_t<Body>*>(b);
        guard([held] { (*held)(); });
      },
      &body, trouble);
}

}  // namespace reyearn::pg
