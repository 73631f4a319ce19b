#include "pg/registry.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "pg/settings.hpp"
#include "pg/shared_area.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

// Sizes are fixed when the table is made.
namespace {

constexpr int kManyEntries = Registry::kMostEntries;
constexpr int kFewEntries = 128;
constexpr int kNoEntry = -1;

constexpr long kWaitMs = 1000;
constexpr int kPatience = 10;  // waits without progress

constexpr char kTrancheName[] = "ReyearnRegistry";

Registry the_registry;

std::uint64_t read(pg_atomic_uint64& counter) { return pg_atomic_read_u64(&counter); }

std::uint64_t limit_bytes() { return static_cast<std::uint64_t>(settings().shared_memory_limit_mb) << 20; }

void add(pg_atomic_uint64& counter, std::uint64_t n) {
  if (n > 0) pg_atomic_fetch_add_u64(&counter, static_cast<int64>(n));
}

}  // namespace

struct Registry::Entry {
  ImageIdentity identity;
  std::int64_t model_id;
  std::uint64_t bytes;      // of the segment; 0: none
  std::uint64_t last_used;  // tick of the last hold
  dsm_handle segment;
  ConditionVariable loading_ended;
  pg_atomic_uint64 bytes_read;  // by the loader
  pg_atomic_uint64 calls, timed_calls, nanoseconds, loads, attaches;
  std::int32_t holders;
  ImageState state;
  bool retire_when_loaded;

  bool has_segment() const { return state == ImageState::kLive || state == ImageState::kRetired; }
  bool is_idle() const { return state == ImageState::kLive && holders == 0; }
  bool is_of(const ModelIdentity& model) const {
    return state != ImageState::kFree && identity.database == MyDatabaseId && identity.images == model.images &&
           identity.tenant_id == model.tenant_id && model_id == model.model_id;
  }
};

// What one backend has. Rows are written under the lock, each by its backend alone.
struct Registry::Backend {
  pid_t pid;  // 0: nobody
  std::uint64_t private_bytes;
  std::uint16_t held[kMostHeld];  // numbers of entries plus one; 0: none

  bool holds(int entry) const { return std::find(std::begin(held), std::end(held), entry + 1) != std::end(held); }
  bool can_hold_more() const { return std::find(std::begin(held), std::end(held), 0) != std::end(held); }
};

struct Registry::Shared {
  LWLock lock;
  int tranche;
  int capacity;
  int backends;
  std::uint64_t tick;
  std::uint64_t fallbacks;
  WhyPrivate last_fallback;
  TimestampTz last_fallback_time;
  Entry entries[FLEXIBLE_ARRAY_MEMBER];

  static Size bytes(int capacity) {
    return offsetof(Shared, entries) + sizeof(Entry) * static_cast<Size>(capacity) +
           sizeof(Backend) * static_cast<Size>(MaxBackends);
  }
  Backend* rows() { return reinterpret_cast<Backend*>(entries + capacity); }
  int index_of(const Entry& entry) const { return static_cast<int>(&entry - entries); }
};

// Making the table.

SharedArea& Registry::area() {
  static SharedArea area(
      "reyearn registry 1", [] { return Shared::bytes(is_library_preloaded() ? kManyEntries : kFewEntries); },
      [](void* memory) {
        initialize(*static_cast<Shared*>(memory), is_library_preloaded() ? kManyEntries : kFewEntries);
      });
  return area;
}

void Registry::reserve() { area().reserve(); }

void Registry::initialize(Shared& shared, int capacity) {
  std::memset(static_cast<void*>(&shared), 0, Shared::bytes(capacity));
  shared.tranche = LWLockNewTrancheId();
  LWLockInitialize(&shared.lock, shared.tranche);
  shared.capacity = capacity;
  shared.backends = MaxBackends;
  for (int i = 0; i < capacity; ++i) {
    Entry& entry = shared.entries[i];
    ConditionVariableInit(&entry.loading_ended);
    for (pg_atomic_uint64* counter :
         {&entry.bytes_read, &entry.calls, &entry.timed_calls, &entry.nanoseconds, &entry.loads, &entry.attaches}) {
      pg_atomic_init_u64(counter, 0);
    }
  }
}

Registry& registry() {
  static bool is_found = false;
  if (is_found) return the_registry;
  the_registry.shared_ = static_cast<Registry::Shared*>(Registry::area().get());
  if (the_registry.shared_ != nullptr) LWLockRegisterTranche(the_registry.shared_->tranche, kTrancheName);
  is_found = true;
  return the_registry;
}

// What belongs to this backend.

Registry::Backend& Registry::own_row() { return shared_->rows()[backend_number()]; }

void Registry::enter() {
  if (is_entered_) return;
  before_shmem_exit([](int, Datum) { the_registry.leave(); }, Datum{0});
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  own_row() = Backend{.pid = MyProcPid, .private_bytes = 0, .held = {}};
  is_entered_ = true;
}

// Segments are unmapped later in the process's exit, so nobody finds one that is not there any more. The transaction
// may not have ended yet: what its end lets go has been let go here.
void Registry::leave() {
  if (claimed_ != kNoEntry) abandon();
  {
    LightLock lock(shared_->lock, LW_EXCLUSIVE);
    Backend& row = own_row();
    for (const std::uint16_t held : row.held) {
      if (held != 0) unhold(shared_->entries[held - 1]);
    }
    row = Backend{};
  }
  shared_ = nullptr;
}

void Registry::hold(Entry& entry) {
  Backend& row = own_row();
  *std::find(std::begin(row.held), std::end(row.held), 0) = static_cast<std::uint16_t>(shared_->index_of(entry) + 1);
  ++entry.holders;
  entry.last_used = ++shared_->tick;
}

void Registry::unhold(Entry& entry) {
  Backend& row = own_row();
  auto* const held = std::find(std::begin(row.held), std::end(row.held), shared_->index_of(entry) + 1);
  Assert(held != std::end(row.held));
  *held = 0;
  if (--entry.holders == 0 && entry.state == ImageState::kRetired) drop(entry);
}

// Finding a place.

Registry::Entry* Registry::find(const ImageIdentity& identity) const {
  Entry* const end = shared_->entries + shared_->capacity;
  Entry* const found = std::find_if(shared_->entries, end, [&](const Entry& entry) {
    return entry.state != ImageState::kFree && entry.identity == identity;
  });
  return found == end ? nullptr : found;
}

template <typename Condition>
Registry::Entry* Registry::least_recently_used(Condition condition) const {
  Entry* oldest = nullptr;
  for (int i = 0; i < shared_->capacity; ++i) {
    Entry& entry = shared_->entries[i];
    if (condition(entry) && (oldest == nullptr || entry.last_used < oldest->last_used)) oldest = &entry;
  }
  return oldest;
}

// Whether the limit allows for so many bytes more, once images are gone that nobody uses.
bool Registry::can_make_room(std::uint64_t bytes) const {
  const std::uint64_t limit = limit_bytes();
  std::uint64_t needed = bytes;
  for (int i = 0; i < shared_->capacity; ++i) {
    if (!shared_->entries[i].is_idle()) needed += shared_->entries[i].bytes;
  }
  return needed <= limit;
}

void Registry::make_room(std::uint64_t bytes) {
  for (;;) {
    std::uint64_t needed = bytes;
    for (int i = 0; i < shared_->capacity; ++i) needed += shared_->entries[i].bytes;
    if (needed <= limit_bytes()) return;
    drop(*least_recently_used([](const Entry& entry) { return entry.is_idle(); }));
  }
}

// A place for an image that has none: a free one, or that of a version that has only counters left.
Registry::Entry* Registry::place_for(const ImageIdentity& identity, std::int64_t model_id) {
  Entry* place = least_recently_used([](const Entry& entry) { return entry.state == ImageState::kFree; });
  if (place == nullptr) {
    place = least_recently_used([](const Entry& entry) { return entry.state == ImageState::kAbsent; });
  }
  if (place == nullptr) return nullptr;
  place->state = ImageState::kAbsent;
  place->identity = identity;
  place->model_id = model_id;
  place->last_used = ++shared_->tick;
  for (pg_atomic_uint64* counter :
       {&place->calls, &place->timed_calls, &place->nanoseconds, &place->loads, &place->attaches}) {
    pg_atomic_write_u64(counter, 0);
  }
  return place;
}

Registry::Answer Registry::request(const ImageIdentity& identity, std::int64_t model_id, std::uint64_t bytes) {
  const auto refused = [](WhyPrivate why) { return Answer{.what = Answer::kRefused, .why = why}; };
  if (shared_ == nullptr) return refused(WhyPrivate::kNoRegistry);
  enter();
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  Entry* entry = find(identity);
  if (entry != nullptr && entry->state == ImageState::kLoading) {
    return {.what = Answer::kBusy, .entry = shared_->index_of(*entry)};
  }
  if (!own_row().can_hold_more()) return refused(WhyPrivate::kHeldTooMany);
  if (entry != nullptr && entry->has_segment()) {
    hold(*entry);
    return {.what = Answer::kHeld, .entry = shared_->index_of(*entry), .segment = entry->segment};
  }
  if (entry == nullptr) entry = place_for(identity, model_id);  // also for the counters of a private copy
  if (!can_make_room(bytes)) return refused(WhyPrivate::kOverLimit);
  if (entry == nullptr) {
    Entry* const idle = least_recently_used([](const Entry& one) { return one.is_idle(); });
    if (idle == nullptr) return refused(WhyPrivate::kRegistryFull);
    drop(*idle);
    entry = place_for(identity, model_id);
  }
  make_room(bytes);
  entry->state = ImageState::kLoading;
  entry->bytes = bytes;
  entry->retire_when_loaded = false;
  pg_atomic_write_u64(&entry->bytes_read, 0);
  hold(*entry);
  claimed_ = shared_->index_of(*entry);
  return {.what = Answer::kClaimed, .entry = claimed_};
}

// Loading.

bool Registry::wait_for_loader(int index, const ImageIdentity& identity) {
  Entry& entry = shared_->entries[index];
  std::uint64_t bytes_read = 0;
  int waits_without_progress = 0;
  ConditionVariablePrepareToSleep(&entry.loading_ended);
  for (;;) {
    LWLockAcquire(&shared_->lock, LW_SHARED);
    const bool is_loading = entry.state == ImageState::kLoading && entry.identity == identity;
    LWLockRelease(&shared_->lock);
    if (!is_loading || waits_without_progress == kPatience) break;
    if (!ConditionVariableTimedSleep(&entry.loading_ended, kWaitMs, PG_WAIT_EXTENSION)) continue;
    const std::uint64_t now = read(entry.bytes_read);
    waits_without_progress = now == bytes_read ? waits_without_progress + 1 : 0;
    bytes_read = now;
  }
  ConditionVariableCancelSleep();
  return waits_without_progress < kPatience;
}

void Registry::report_progress(std::uint64_t bytes_read) {
  pg_atomic_write_u64(&shared_->entries[claimed_].bytes_read, bytes_read);
}

void Registry::publish(dsm_segment* segment, bool is_live) {
  Entry& entry = shared_->entries[claimed_];
  {
    LightLock lock(shared_->lock, LW_EXCLUSIVE);
    dsm_pin_segment(segment);
    entry.segment = dsm_segment_handle(segment);
    entry.state = is_live && !entry.retire_when_loaded ? ImageState::kLive : ImageState::kRetired;
    claimed_ = kNoEntry;
  }
  ConditionVariableBroadcast(&entry.loading_ended);
}

void Registry::abandon() {
  Entry& entry = shared_->entries[claimed_];
  {
    LightLock lock(shared_->lock, LW_EXCLUSIVE);
    entry.state = ImageState::kAbsent;
    entry.bytes = 0;
    unhold(entry);
    claimed_ = kNoEntry;
  }
  ConditionVariableBroadcast(&entry.loading_ended);
}

void Registry::release(int index) {
  if (shared_ == nullptr) return;
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  unhold(shared_->entries[index]);
}

// Going live, and retiring. The pin is the table's: whoever holds an entry finds its segment, also before it has mapped
// it. PostgreSQL refuses to pin what is pinned, and to unpin what is not: as the state says which it is, neither raises
// an error.

void Registry::drop(Entry& entry) {
  dsm_unpin_segment(entry.segment);
  entry.state = ImageState::kAbsent;
  entry.bytes = 0;
}

void Registry::revive(int index) {
  if (shared_ == nullptr) return;
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  if (is_retired(index)) shared_->entries[index].state = ImageState::kLive;
}

bool Registry::is_retired(int index) const {
  return shared_ != nullptr &&
         std::atomic_ref(shared_->entries[index].state).load(std::memory_order_relaxed) == ImageState::kRetired;
}

void Registry::retire(Entry& entry) {
  if (entry.state == ImageState::kLoading) entry.retire_when_loaded = true;
  if (entry.state != ImageState::kLive) return;
  entry.state = ImageState::kRetired;
  if (entry.holders == 0) drop(entry);
  const int index = shared_->index_of(entry);
  for (int i = 0; i < shared_->backends && entry.holders > 0; ++i) {
    const Backend& row = shared_->rows()[i];
    if (row.pid != 0 && row.pid != MyProcPid && row.holds(index)) rouse_backend(row.pid, i);
  }
}

template <typename Condition>
void Registry::retire_if(Condition condition) {
  if (shared_ == nullptr) return;
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  for (int i = 0; i < shared_->capacity; ++i) {
    Entry& entry = shared_->entries[i];
    if (condition(entry)) retire(entry);
  }
}

void Registry::retire_model(const ModelIdentity& model, std::int64_t except_version_id) {
  retire_if([&](const Entry& entry) { return entry.is_of(model) && entry.identity.version_id != except_version_id; });
}

void Registry::retire_images(Oid images) {
  retire_if(
      [&](const Entry& entry) { return entry.identity.database == MyDatabaseId && entry.identity.images == images; });
}

void Registry::retire_orphans(Oid images) {
  if (shared_ == nullptr) return;
  retire_if(
      [&](const Entry& entry) { return entry.identity.database == MyDatabaseId && entry.identity.images != images; });
  for (int i = 0; i < shared_->capacity; ++i) {
    LWLockAcquire(&shared_->lock, LW_SHARED);
    const Oid database = shared_->entries[i].has_segment() ? shared_->entries[i].identity.database : MyDatabaseId;
    LWLockRelease(&shared_->lock);
    if (database == MyDatabaseId || SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database))) continue;
    retire_if([&](const Entry& entry) { return entry.identity.database == database; });
  }
}

bool Registry::knows_model(const ModelIdentity& model) const {
  if (shared_ == nullptr) return false;
  LightLock lock(shared_->lock, LW_SHARED);
  return std::any_of(shared_->entries, shared_->entries + shared_->capacity,
                     [&](const Entry& entry) { return entry.is_of(model); });
}

// Counting.

void Registry::add_usage(int index, const Usage& usage) {
  if (shared_ == nullptr) return;
  Entry& entry = shared_->entries[index];
  add(entry.calls, usage.calls);
  add(entry.timed_calls, usage.timed_calls);
  add(entry.nanoseconds, usage.nanoseconds);
  add(entry.loads, usage.loads);
  add(entry.attaches, usage.attaches);
}

void Registry::add_usage(const ImageIdentity& identity, const Usage& usage) {
  if (shared_ == nullptr) return;
  LightLock lock(shared_->lock, LW_SHARED);
  if (const Entry* entry = find(identity)) add_usage(shared_->index_of(*entry), usage);
}

void Registry::count_fallback(WhyPrivate why) {
  if (shared_ == nullptr) return;
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  ++shared_->fallbacks;
  shared_->last_fallback = why;
  shared_->last_fallback_time = GetCurrentTimestamp();
}

void Registry::set_private_bytes(std::uint64_t bytes) {
  if (shared_ == nullptr) return;
  enter();
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  own_row().private_bytes = bytes;
}

// Looking.

RegistryFacts Registry::facts() const {
  RegistryFacts facts;
  if (shared_ == nullptr) return facts;
  LightLock lock(shared_->lock, LW_SHARED);
  facts.capacity = shared_->capacity;
  facts.fallbacks = shared_->fallbacks;
  facts.last_fallback = shared_->last_fallback;
  facts.last_fallback_time = shared_->last_fallback_time;
  for (int i = 0; i < shared_->capacity; ++i) {
    const Entry& entry = shared_->entries[i];
    const bool is_retired = entry.state == ImageState::kRetired;
    if (!entry.has_segment()) continue;
    ++(is_retired ? facts.retired : facts.live);
    (is_retired ? facts.retired_bytes : facts.live_bytes) += entry.bytes;
  }
  for (int i = 0; i < shared_->backends; ++i) {
    const Backend& row = shared_->rows()[i];
    if (row.pid == 0) continue;
    facts.backends_with_retired += std::any_of(std::begin(row.held), std::end(row.held), [&](std::uint16_t held) {
      return held != 0 && shared_->entries[held - 1].state == ImageState::kRetired;
    });
    facts.backends_with_private += row.private_bytes > 0;
    facts.private_bytes += row.private_bytes;
  }
  return facts;
}

int Registry::list(Oid images, EntryFacts* into, int most) const {
  if (shared_ == nullptr) return 0;
  int count = 0;
  LightLock lock(shared_->lock, LW_SHARED);
  for (int i = 0; i < shared_->capacity && count < most; ++i) {
    Entry& entry = shared_->entries[i];
    if (entry.state == ImageState::kFree || entry.identity.database != MyDatabaseId ||
        entry.identity.images != images) {
      continue;
    }
    into[count++] = {
        entry.identity,
        entry.state,
        entry.bytes,
        entry.holders,
        {read(entry.calls), read(entry.timed_calls), read(entry.nanoseconds), read(entry.loads), read(entry.attaches)}};
  }
  return count;
}

}  // namespace reyearn::pg
