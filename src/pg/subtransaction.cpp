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
  pg_call([&] {
    MemoryContextSwitchTo(work.context);
    ErrorData* error = nullptr;
    if (!is_done) {
      error = CopyErrorData();
      FlushErrorState();
      RollbackAndReleaseCurrentSubTransaction();
    }
    MemoryContextSwitchTo(work.context);
    CurrentResourceOwner = owner;
    if (error == nullptr) return;
    if (is_of_the_whole(error->sqlerrcode)) ReThrowError(error);
    failure.set(*error);
    FreeErrorData(error);
  });
  return is_done;
}

}  // namespace reyearn::pg
