#include "pg/background.hpp"

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include "pg/settings.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

constexpr char kTrancheName[] = "ReyearnBackground";
constexpr TimestampTz kSecond = USECS_PER_SEC;
constexpr TimestampTz kStartTime = 5 * kSecond;  // in which a worker that was asked for should have come
// Between two workers of a database: many small commits start few of them. Longer when the last had nothing to train.
constexpr TimestampTz kPause = kSecond / 5;
constexpr TimestampTz kIdlePause = kSecond;
constexpr TimestampTz kTroublePause = 5 * kSecond;  // after one that ended before it could say what is due

Background the_background;

}  // namespace

struct Background::Database {
  Oid database;  // InvalidOid: free
  bool has_flag;
  TimestampTz due;         // of the next training; 0: none
  TimestampTz asked;       // when a worker was last asked for
  bool is_asked;           // and it has not come yet
  pid_t worker;            // 0: none
  Latch* latch;            // of the worker
  bool has_said_due;       // the worker, since it came
  bool has_trained;        // the worker or the one before it
  std::int64_t given_up;   // a run that gave way, which the worker could not record; 0: none
  TrainingFacts training;  // run_id 0: none

  bool is_starting(TimestampTz now) const { return is_asked && now < asked + kStartTime; }
  // When a worker should be started; 0: not as far as is known.
  TimestampTz wanted() const {
    if (!has_flag && due == 0) return 0;
    const TimestampTz earliest = asked == 0 ? 1 : asked + (has_trained ? kPause : kIdlePause);
    return has_flag ? earliest : std::max(due, earliest);
  }
  void say_due(TimestampTz when) {
    due = when;
    has_said_due = true;
  }
};

struct Background::Shared {
  LWLock lock;
  int tranche;
  pid_t launcher;
  Latch* launcher_latch;
  TimestampTz lacked_worker;
  Database databases[kMostDatabases];

  int workers(TimestampTz now) const {
    return static_cast<int>(std::count_if(std::begin(databases), std::end(databases), [&](const Database& one) {
      return one.worker != 0 || one.is_starting(now);
    }));
  }
};

SharedArea& Background::area() {
  static SharedArea area(
      "reyearn background 1", [] { return Size{sizeof(Shared)}; },
      [](void* memory) {
        auto* const shared = new (memory) Shared{};
        shared->tranche = LWLockNewTrancheId();
        LWLockInitialize(&shared->lock, shared->tranche);
      });
  return area;
}

void Background::reserve() { area().reserve(); }

Background& background() {
  static bool is_found = false;
  if (is_found) return the_background;
  the_background.shared_ = static_cast<Background::Shared*>(Background::area().get());
  if (the_background.shared_ != nullptr) LWLockRegisterTranche(the_background.shared_->tranche, kTrancheName);
  is_found = true;
  return the_background;
}

// Under the lock.

Background::Database* Background::find(Oid database) const {
  Database* const end = std::end(shared_->databases);
  Database* const found =
      std::find_if(shared_->databases, end, [&](const Database& one) { return one.database == database; });
  return found == end ? nullptr : found;
}

// A database with nothing to do makes room for another: the launcher looks at all of them now and then. Without a
// launcher nobody would serve what is due later.
Background::Database* Background::find_or_add(Oid database) {
  if (Database* known = find(database)) return known;
  Database* place = find(InvalidOid);
  if (place == nullptr) {
    Database* const end = std::end(shared_->databases);
    const TimestampTz now = GetCurrentTimestamp();
    place = std::find_if(shared_->databases, end, [now](const Database& one) {
      return one.worker == 0 && !one.is_starting(now) && (one.wanted() == 0 || !is_library_preloaded());
    });
    if (place == end) return nullptr;
  }
  *place = Database{};
  place->database = database;
  return place;
}

// Sessions.

void Background::announce_work() {
  if (shared_ == nullptr || IsBinaryUpgrade) return;
  bool starts_worker = false;
  {
    LightLock lock(shared_->lock, LW_EXCLUSIVE);
    Database* const mine = find_or_add(MyDatabaseId);
    if (mine == nullptr) return;
    const bool was_flagged = std::exchange(mine->has_flag, true);
    const TimestampTz now = GetCurrentTimestamp();
    if (shared_->launcher != 0) {
      if (!was_flagged) SetLatch(shared_->launcher_latch);
    } else if (mine->worker != 0) {
      SetLatch(mine->latch);
    } else {
      starts_worker =
          !is_library_preloaded() && !mine->is_starting(now) && shared_->workers(now) < settings().max_workers;
    }
  }
  if (starts_worker) start_worker(MyDatabaseId);
}

void Background::expect_work() {
  if (shared_ == nullptr) return;
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  (void)find_or_add(MyDatabaseId);
}

BackgroundWorker describe_process(const char* name, const char* function) {
  BackgroundWorker process{};
  process.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  process.bgw_start_time = BgWorkerStart_RecoveryFinished;
  strlcpy(process.bgw_name, name, sizeof process.bgw_name);
  strlcpy(process.bgw_type, name, sizeof process.bgw_type);
  strlcpy(process.bgw_library_name, "reyearn", sizeof process.bgw_library_name);
  strlcpy(process.bgw_function_name, function, sizeof process.bgw_function_name);
  return process;
}

bool Background::start_worker(Oid database) {
  BackgroundWorker worker = describe_process("reyearn worker", "reyearn_worker_main");
  worker.bgw_restart_time = BGW_NEVER_RESTART;
  worker.bgw_main_arg = ObjectIdGetDatum(database);
  {
    LightLock lock(shared_->lock, LW_EXCLUSIVE);
    if (Database* const known = find(database)) {
      known->asked = GetCurrentTimestamp();
      known->is_asked = true;
    }
  }
  const bool is_started = RegisterDynamicBackgroundWorker(&worker, nullptr);
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  shared_->lacked_worker = is_started ? 0 : GetCurrentTimestamp();
  Database* const known = find(database);
  if (known != nullptr && !is_started) known->is_asked = false;
  return is_started;
}

// The launcher.

void Background::enter_launcher() {
  if (shared_ == nullptr) return;
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  shared_->launcher = MyProcPid;
  shared_->launcher_latch = MyLatch;
}

void Background::leave_launcher() {
  if (shared_ == nullptr) return;
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  shared_->launcher = 0;
}

Errand Background::next_errand(TimestampTz now) const {
  Errand errand;
  if (shared_ == nullptr) return errand;
  LightLock lock(shared_->lock, LW_SHARED);
  const bool has_room = shared_->workers(now) < settings().max_workers;
  for (const Database& one : shared_->databases) {
    if (one.database == InvalidOid || one.worker != 0) continue;
    TimestampTz wanted = one.wanted();
    if (one.is_starting(now)) wanted = one.asked + kStartTime;  // to see whether it has come
    if (wanted == 0 || (!has_room && wanted <= now)) continue;  // a worker that goes wakes the launcher
    if (errand.next == 0 || wanted < errand.next) {
      errand.next = wanted;
      errand.database = one.database;
    }
  }
  if (errand.next > now) errand.database = InvalidOid;
  return errand;
}

bool Background::look_into(Oid database) {
  if (shared_ == nullptr) return true;
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  Database* const place = find_or_add(database);
  if (place != nullptr) place->has_flag = true;
  return place != nullptr;
}

void Background::look_into_known() {
  if (shared_ == nullptr) return;
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  for (Database& one : shared_->databases) one.has_flag = one.database != InvalidOid;
}

void Background::forget_database(Oid database) {
  if (shared_ == nullptr) return;
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  if (Database* const known = find(database)) *known = Database{};
}

// Workers.

bool Background::enter_worker(Oid database) {
  if (shared_ == nullptr) return false;
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  Database* const mine = find_or_add(database);
  if (mine == nullptr || mine->worker != 0) return false;
  mine->is_asked = mine->has_said_due = mine->has_trained = false;
  mine->worker = MyProcPid;
  mine->latch = MyLatch;
  return true;
}

void Background::leave_worker(Oid database) {
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  Database* const mine = find(database);
  if (mine != nullptr && mine->worker == MyProcPid) {
    mine->worker = 0;
    mine->training = {};
    if (!mine->has_said_due) {
      if (shared_->launcher != 0) mine->has_flag = false;
      mine->due = GetCurrentTimestamp() + kTroublePause;
    }
  }
  if (shared_->launcher != 0) SetLatch(shared_->launcher_latch);
}

void Background::remember_given_up(std::int64_t run_id) {
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  if (Database* const mine = find(MyDatabaseId)) mine->given_up = run_id;
}

std::int64_t Background::given_up() const {
  LightLock lock(shared_->lock, LW_SHARED);
  const Database* const mine = find(MyDatabaseId);
  return mine != nullptr ? mine->given_up : 0;
}

bool Background::leave_if_idle(TimestampTz due) {
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  Database* const mine = find(MyDatabaseId);
  if (mine == nullptr) return true;
  if (mine->has_flag) return false;
  mine->say_due(due);
  mine->worker = 0;
  return true;
}

bool Background::forget_if_idle() {
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  Database* const mine = find(MyDatabaseId);
  if (mine == nullptr) return true;
  if (mine->has_flag) return false;
  *mine = Database{};
  return true;
}

bool Background::has_launcher() const {
  LightLock lock(shared_->lock, LW_SHARED);
  return shared_->launcher != 0;
}

bool Background::has_flag() const {
  LightLock lock(shared_->lock, LW_SHARED);
  const Database* const mine = find(MyDatabaseId);
  return mine != nullptr && mine->has_flag;
}

bool Background::take_flag() {
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  Database* const mine = find(MyDatabaseId);
  return mine != nullptr && std::exchange(mine->has_flag, false);
}

void Background::set_next(TimestampTz due) {
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  if (Database* const mine = find(MyDatabaseId)) mine->say_due(due);
}

void Background::begin_training(std::int32_t tenant_id, std::int64_t model_id, std::int64_t run_id) {
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  if (Database* const mine = find(MyDatabaseId)) {
    mine->has_trained = true;
    mine->training = {MyProcPid, tenant_id, model_id, run_id, Phase::kReading, 0, 0, GetCurrentTimestamp()};
  }
}

void Background::report_progress(Phase phase, std::uint64_t done, std::uint64_t total) {
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  Database* const mine = find(MyDatabaseId);
  if (mine == nullptr) return;
  mine->training.phase = phase;
  mine->training.done = done;
  mine->training.total = total;
}

void Background::end_training() {
  LightLock lock(shared_->lock, LW_EXCLUSIVE);
  if (Database* const mine = find(MyDatabaseId)) mine->training = {};
}

// Looking.

BackgroundFacts Background::facts() const {
  BackgroundFacts facts;
  if (shared_ == nullptr) return facts;
  LightLock lock(shared_->lock, LW_SHARED);
  facts.is_there = true;
  facts.launcher = shared_->launcher;
  facts.workers = static_cast<int>(std::count_if(std::begin(shared_->databases), std::end(shared_->databases),
                                                 [](const Database& one) { return one.worker != 0; }));
  facts.lacked_worker = shared_->lacked_worker;
  return facts;
}

std::optional<TrainingFacts> Background::training() const {
  if (shared_ == nullptr) return std::nullopt;
  LightLock lock(shared_->lock, LW_SHARED);
  const Database* const mine = find(MyDatabaseId);
  if (mine == nullptr || mine->training.run_id == 0) return std::nullopt;
  return mine->training;
}

}  // namespace reyearn::pg
