// The border between C++ exceptions and PostgreSQL errors. No other file uses PG_TRY.
//
//   guard(body)    outermost in every entry point: runs C++ code; what it throws becomes a PostgreSQL error after the
//                  last C++ frame is gone.
//   pg_call(body)  the other way: runs PostgreSQL calls while C++ objects are alive; an error unwinds them as PgError
//                  on its way to the guard, which raises it again.
//   pg_attempt(…)  for what may fail and leaves nothing behind when it does: takes the error back.
//
// The error of a PgError stays where PostgreSQL keeps it until the guard re-throws it: nothing is copied, so nothing
// can fail on the way. Therefore nobody else may swallow a PgError, and destructors it passes must call nothing that
// can raise an error: releasing memory, lightweight locks of ours and segments is what they may do.
#pragma once

#include <exception>
#include <new>
#include <type_traits>
#include <utility>

#include "core/error.hpp"

struct ErrorData;

namespace reyearn::pg {

// A PostgreSQL error passing through C++ frames.
struct PgError {};

// What is left of an exception once its frames are gone. Fixed size: filling it can neither throw nor palloc, so
// nothing can jump out of a catch clause.
struct Failure {
  bool is_pg_error = false;
  int sqlstate = 0;  // 0: internal error
  char message[512] = "unexpected exception";
  char detail[1024] = "";
  char hint[512] = "";

  void set_pg_error() noexcept { is_pg_error = true; }
  void set(const Error& error) noexcept;
  void set_out_of_memory() noexcept;
  void set(const std::exception& error) noexcept;
  void set(const ErrorData& error) noexcept;  // one that is over; clipped to whole characters
};

// Raises the error; texts are clipped to whole characters.
[[noreturn]] void report(const Failure& failure);

template <typename Body>
auto guard(Body body) -> decltype(body()) {
  static_assert(std::is_trivially_destructible_v<Body>, "capture by reference");
  static_assert(std::is_void_v<decltype(body())> || std::is_trivially_destructible_v<decltype(body())>);
  Failure failure;
  try {
    return body();
  } catch (const PgError&) {
    failure.set_pg_error();
  } catch (const Error& error) {
    failure.set(error);
  } catch (const std::bad_alloc&) {
    failure.set_out_of_memory();
  } catch (const std::exception& error) {
    failure.set(error);
  } catch (...) {
  }
  report(failure);
}

// Calls `call(argument)`; false when it raised an error, which is then left pending. The only setjmp of the project:
// its frame has nothing to destroy.
[[nodiscard]] bool pg_try(void (*call)(void*), void* argument);

// `body` makes PostgreSQL calls only: nothing in it may throw. Its result is plain data.
template <typename Body>
auto pg_call(Body&& body) -> decltype(body()) {
  using Result = decltype(body());
  if constexpr (std::is_void_v<Result>) {
    if (!pg_try([](void* b) { (*static_cast<std::remove_reference_t<Body>*>(b))(); }, &body)) throw PgError{};
  } else {
    static_assert(std::is_trivially_copyable_v<Result>);
    struct Call {
      std::remove_reference_t<Body>* body;
      Result result;
    } call{&body, {}};
    if (!pg_try([](void* c) { static_cast<Call*>(c)->result = (*static_cast<Call*>(c)->body)(); }, &call)) {
      throw PgError{};
    }
    return call.result;
  }
}

// Calls `body`; false when it raised an error, whose message is copied, clipped, and which is over then. For a few calls
// after which PostgreSQL needs no clean-up. A request to cancel is not taken back: throws PgError.
[[nodiscard]] bool pg_attempt(void (*call)(void*), void* argument, char* message, std::size_t size);
template <typename Body, std::size_t kSize>
[[nodiscard]] bool pg_attempt(Body&& body, char (&message)[kSize]) {
  return pg_attempt([](void* b) { (*static_cast<std::remove_reference_t<Body>*>(b))(); }, &body, message, kSize);
}

// A ShouldStop for the main thread while no others run: a request to cancel or to end the backend passes through the
// core like any error of PostgreSQL.
bool check_for_interrupts();

}  // namespace reyearn::pg
