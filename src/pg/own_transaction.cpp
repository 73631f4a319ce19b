#include "pg/own_transaction.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

void clip(char* into, std::size_t size, const char* text) {
  if (text == nullptr) text = "";
  const int bytes = pg_mbcliplen(text, static_cast<int>(strlen(text)), static_cast<int>(size) - 1);
  memcpy(into, text, static_cast<std::size_t>(bytes));
  into[bytes] = '\0';
}

}  // namespace

// As PostgreSQL's own main loop does after an error.
bool in_own_transaction(void (*call)(void*), void* argument, Trouble& trouble) {
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
  trouble.sqlstate = error->sqlerrcode;
  clip(trouble.message, sizeof trouble.message, error->message);
  clip(trouble.detail, sizeof trouble.detail, error->detail);
  clip(trouble.hint, sizeof trouble.hint, error->hint);
  FreeErrorData(error);
  AbortCurrentTransaction();
  FlushErrorState();
  RESUME_INTERRUPTS();
  return false;
}

}  // namespace reyearn::pg
