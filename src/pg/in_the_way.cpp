#include "pg/in_the_way.hpp"

#include <algorithm>
#include <span>

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

constexpr LOCKMASK kOwnDatabase = LOCKBIT_ON(ShareLock) | LOCKBIT_ON(ShareRowExclusiveLock) |
                                  LOCKBIT_ON(ExclusiveLock) | LOCKBIT_ON(AccessExclusiveLock);

bool is_of_database(const LOCKTAG& tag) {
  return tag.locktag_type == LOCKTAG_OBJECT && tag.locktag_field1 == InvalidOid &&
         tag.locktag_field2 == DatabaseRelationId && tag.locktag_field3 == MyDatabaseId;
}

// Whoever takes the database for himself holds its lock already while he waits for connections to end.
bool takes_database(const LockInstanceData& lock) {
  return is_of_database(lock.locktag) && ((lock.holdMask & kOwnDatabase) != 0 || lock.waitLockMode >= ShareLock);
}

bool conflicts(LOCKMODE wanted, LOCKMASK held) {
  for (LOCKMODE mode = AccessShareLock; mode <= AccessExclusiveLock; ++mode) {
    if ((held & LOCKBIT_ON(mode)) != 0 && DoLockModesConflict(wanted, mode)) return true;
  }
  return false;
}

bool waits_for_me(const LockInstanceData& waiting, std::span<const LockInstanceData> locks) {
  return std::any_of(locks.begin(), locks.end(), [&](const LockInstanceData& lock) {
    return lock.pid == MyProcPid && memcmp(&lock.locktag, &waiting.locktag, sizeof lock.locktag) == 0 &&
           conflicts(waiting.waitLockMode, lock.holdMask);
  });
}

}  // namespace

Waiting who_waits() {
  const LockData* const data = GetLockStatusData();
  const std::span<const LockInstanceData> locks(data->locks, static_cast<std::size_t>(data->nelements));
  Waiting waiting = Waiting::kNobody;
  for (const LockInstanceData& lock : locks) {
    if (lock.pid == MyProcPid) continue;
    if (takes_database(lock)) {
      waiting = Waiting::kForDatabase;
      break;
    }
    if (lock.waitLockMode != NoLock && waits_for_me(lock, locks)) waiting = Waiting::kForLock;
  }
  pfree(data->locks);
  pfree(const_cast<LockData*>(data));
  return waiting;
}

}  // namespace reyearn::pg
