#include "pg/shared_area.hpp"

#include <vector>

#include "pg/guard.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

bool is_preloaded = false;
shmem_request_hook_type next_request_hook = nullptr;
shmem_startup_hook_type next_startup_hook = nullptr;

// Those that PostgreSQL's hooks are to make room for.
std::vector<SharedArea*>& reserved() {
  static auto* const all = new std::vector<SharedArea*>;
  return *all;
}

}  // namespace

bool is_library_preloaded() { return is_preloaded; }

void SharedArea::reserve() {
  if (!process_shared_preload_libraries_in_progress) return;
  if (!is_preloaded) {
    is_preloaded = true;
    next_request_hook = shmem_request_hook;
    shmem_request_hook = [] {
      if (next_request_hook != nullptr) next_request_hook();
      for (const SharedArea* area : reserved()) RequestAddinShmemSpace(area->bytes_());
    };
    next_startup_hook = shmem_startup_hook;
    shmem_startup_hook = [] {
      if (next_startup_hook != nullptr) next_startup_hook();
      for (SharedArea* area : reserved()) area->attach();  // again after a crash, with new memory
    };
  }
  reserved().push_back(this);
}

void* SharedArea::get() {
  if (!is_tried_ && !is_preloaded) attach();
  is_tried_ = true;
  return memory_;
}

void SharedArea::attach() {
  memory_ = nullptr;
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  char why[256];
  const bool is_there = pg_attempt(
      [&] {
        bool found;
        void* const memory = ShmemInitStruct(name_, bytes_(), &found);
        if (!found) initialize_(memory);
        memory_ = memory;
      },
      why);
  if (!is_there) HOLD_INTERRUPTS();  // the error has let them go, and the release does so once more
  LWLockRelease(AddinShmemInitLock);
}

}  // namespace reyearn::pg
