#include "pg/subtransaction.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

bool is_of_the_whole(int sqlstate) {
  return sqlstate == ERRCODE_QUERY_CANCELED || sqlstate == ERRCODE_LOCK_NOT_AVAILABLE ||
         ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_TRANSACTION_ROLLBACK;
}

}  // namespace

// As PL/pgSQL's blocks with EXCEPTION do.
bool in_subtransaction(void (*call)(void*), void* argument, Failure& failure) {
  struct Work {
    void (*call)(void*);
    void* argument;
    MemoryContext context;
  } work{call, argument, CurrentMemoryContext};
  const ResourceOwner owner = CurrentResourceOwner;
  pg_call([] { BeginInternalSubTransaction(nullptr); });
  const bool is_done = pg_try(
      [](void* w) {
        const auto* const todo = static_cast<Work*>(w);
        MemoryContextSwitchTo(todo->context);
        todo->call(todo->argument);
        ReleaseCurrentSubTransaction();
      },
      &work);
  if (!is_done && is_of_the_whole(geterrcode())) throw PgError{};  // the transaction's end ends the subtransaction
  pg_call([&] {
    MemoryContextSwitchTo(work.context);
    if (!is_done) {
      ErrorData* const error = CopyErrorData();
      failure.set(*error);
      FreeErrorData(error);
      FlushErrorState();
      RollbackAndReleaseCurrentSubTransaction();
    }
    MemoryContextSwitchTo(work.context);
    CurrentResourceOwner = owner;
  });
  return is_done;
}

}  // namespace reyearn::pg
