#include "pg/own_transaction.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

// As PostgreSQL's own main loop does after an error.
bool in_own_transaction(void (*call)(void*), void* argument, Failure& failure) {
  struct Work {
    void (*call)(void*);
    void* argument;
  } work{call, argument};
  const bool is_done = pg_try(
      [](void* w) {
        const auto* const todo = static_cast<Work*>(w);
        SetCurrentStatementStartTimestamp();  // or now() would be the process's beginning for ever
        StartTransactionCommand();
        PushActiveSnapshot(GetTransactionSnapshot());
        todo->call(todo->argument);
        PopActiveSnapshot();
        CommitTransactionCommand();
      },
      &work);
  if (is_done) return true;
  HOLD_INTERRUPTS();
  QueryCancelPending = false;
  ErrorData* const error = CopyErrorData();
  failure.set(*error);
  FreeErrorData(error);
  AbortCurrentTransaction();
  FlushErrorState();
  RESUME_INTERRUPTS();
  return false;
}

}  // namespace reyearn::pg
