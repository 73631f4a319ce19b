#include "pg/locks.hpp"

#include "pg/catalog.hpp"
#include "pg/tenants.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

// What is locked; PostgreSQL's own functions use 1 and 2.
enum Kind : uint16 { kTaxonomy = 3, kTraining = 4, kTrainingPlaces = 16 };
constexpr int kMostPlaces = 0xffff - kTrainingPlaces;

LOCKTAG tag_of(int tenant_id, int kind) {
  LOCKTAG tag;
  SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, relation_oid("tenants"), static_cast<uint32>(tenant_id),
                       static_cast<uint16>(kind));
  return tag;
}

bool try_lock(const LOCKTAG& tag, LOCKMODE mode) {
  return LockAcquire(&tag, mode, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

}  // namespace

void lock_taxonomy(int tenant_id, bool exclusively) {
  const LOCKTAG tag = tag_of(tenant_id, kTaxonomy);
  (void)LockAcquire(&tag, exclusively ? ExclusiveLock : ShareLock, false, false);
}

void hold_off_training() {
  const LOCKTAG tag = tag_of(0, kTraining);
  if (!holds_lock(tag, ShareLock)) (void)LockAcquire(&tag, ShareLock, true, false);
}

bool may_begin_training() { return try_lock(tag_of(0, kTraining), ExclusiveLock); }

bool take_training_place(int tenant_id) {
  const Tenant* const tenant = find_tenant(tenant_id);
  if (tenant == nullptr || tenant->max_trainings < 0) return true;
  const int places = Min(tenant->max_trainings, kMostPlaces);
  const auto place_of = [&](int place) { return tag_of(tenant_id, kTrainingPlaces + place); };
  for (int place = 0; place < places; ++place) {
    if (holds_lock(place_of(place), ExclusiveLock)) return true;
  }
  for (int place = 0; place < places; ++place) {
    if (try_lock(place_of(place), ExclusiveLock)) return true;
  }
  return false;
}

}  // namespace reyearn::pg
