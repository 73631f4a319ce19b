// SharedArea: a piece of the server's main shared memory, the same for all its processes, found by its name. When the
// library is preloaded room for it is reserved; else it has to fit, with whatever other libraries want, into the 100 kB
// that PostgreSQL leaves free.
#pragma once

#include "pg/postgres.hpp"

namespace reyearn::pg {

bool is_library_preloaded();

class SharedArea {
 public:
  // What it takes, and how it begins; both are asked once a server start. The layout should be part of the name: a
  // server may still have the area of the library that was there before an update.
  SharedArea(const char* name, Size (*bytes)(), void (*initialize)(void*))
      : name_(name), bytes_(bytes), initialize_(initialize) {}

  // From _PG_init.
  void reserve();

  // Found, or made, at the first call; nullptr when there is no room, which is not tried again. May raise PostgreSQL
  // errors at the first call.
  void* get();

 private:
  void attach();

  const char* name_;
  Size (*bytes_)();
  void (*initialize_)(void*);
  void* memory_ = nullptr;
  bool is_tried_ = false;
};

// A lightweight lock, for as long as this lives.
class LightLock {
 public:
  LightLock(LWLock& lock, LWLockMode mode) : lock_(&lock) { LWLockAcquire(lock_, mode); }
  ~LightLock() { LWLockRelease(lock_); }
  LightLock(const LightLock&) = delete;

 private:
  LWLock* lock_;
};

}  // namespace reyearn::pg
