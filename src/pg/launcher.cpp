#include "pg/launcher.hpp"

#include <algorithm>
#include <vector>

#include "pg/background.hpp"
#include "pg/guard.hpp"
#include "pg/settings.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

constexpr int kRestartSeconds = 5;
constexpr int kProbesPerList = 10;
constexpr std::size_t kMostToProbe = 10'000;
constexpr TimestampTz kRetryTime = 5 * USECS_PER_SEC;  // when PostgreSQL has no worker to give

// Its transactions read pg_database only.
template <typename Body>
void in_transaction(Body body) {
  pg_call([&] {
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    body();
    CommitTransactionCommand();
  });
}

// A limit below -1 marks one whose DROP was interrupted.
bool takes_connections(HeapTuple row) {
  const auto* database = reinterpret_cast<Form_pg_database>(GETSTRUCT(row));
  return database->datallowconn && database->datconnlimit >= -1;
}

bool takes_connections(Oid database) {
  bool takes = false;
  in_transaction([&] {
    const HeapTuple row = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
    if (!HeapTupleIsValid(row)) return;
    takes = takes_connections(row);
    ReleaseSysCache(row);
  });
  return takes;
}

// Those that people work in. Filled to its capacity at the most, as nothing here may throw.
void list_databases(std::vector<Oid>& into) {
  in_transaction([&] {
    const Relation catalog = table_open(DatabaseRelationId, AccessShareLock);
    const TableScanDesc scan = table_beginscan_catalog(catalog, 0, nullptr);
    while (HeapTuple row = heap_getnext(scan, ForwardScanDirection)) {
      const auto* database = reinterpret_cast<Form_pg_database>(GETSTRUCT(row));
      if (!takes_connections(row) || database->datistemplate || into.size() == into.capacity()) continue;
      into.push_back(database->oid);
    }
    table_endscan(scan);
    table_close(catalog, AccessShareLock);
  });
}

class Launcher {
 public:
  [[noreturn]] void run();

 private:
  void probe(TimestampTz now);
  TimestampTz do_errands(TimestampTz now);
  void sleep(TimestampTz now, TimestampTz until);

  std::vector<Oid> to_probe_;  // databases that wait for a place in the table
  TimestampTz next_probe_ = 0;
  int probes_ = 0;
};

void Launcher::run() {
  to_probe_.reserve(kMostToProbe);
  for (;;) {
    const TimestampTz now = GetCurrentTimestamp();
    if (now >= next_probe_) probe(now);
    while (!to_probe_.empty() && background().look_into(to_probe_.back())) to_probe_.pop_back();
    sleep(now, do_errands(now));
  }
}

// Those known to have the extension each time; all of them now and then, as they come without notice.
void Launcher::probe(TimestampTz now) {
  if (probes_++ % kProbesPerList == 0) {
    to_probe_.clear();
    list_databases(to_probe_);
  } else {
    background().look_into_known();
  }
  next_probe_ = now + settings().probe_interval_s * USECS_PER_SEC;
}

// Starts all workers that are wanted now. Returns when to go on.
TimestampTz Launcher::do_errands(TimestampTz now) {
  for (;;) {
    const Errand errand = background().next_errand(now);
    if (errand.database == InvalidOid) return errand.next == 0 ? next_probe_ : std::min(errand.next, next_probe_);
    if (!takes_connections(errand.database)) {
      background().forget_database(errand.database);
    } else if (!background().start_worker(errand.database)) {
      return std::min(now + kRetryTime, next_probe_);
    }
  }
}

void Launcher::sleep(TimestampTz now, TimestampTz until) {
  pg_call([&] {
    const long milliseconds = std::max(1L, TimestampDifferenceMilliseconds(now, until));
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
    if (!ConfigReloadPending) return;
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
  });
  next_probe_ = std::min(next_probe_, GetCurrentTimestamp() + settings().probe_interval_s * USECS_PER_SEC);
}

}  // namespace

// Not under pg_upgrade, which wants nobody to write.
void register_launcher() {
  if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade) return;
  BackgroundWorker launcher = describe_process("reyearn launcher", "reyearn_launcher_main");
  launcher.bgw_restart_time = kRestartSeconds;
  RegisterBackgroundWorker(&launcher);
}

// An error ends the process; PostgreSQL starts it again after a few seconds.
extern "C" void reyearn_launcher_main(Datum) {
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, die);
  BackgroundWorkerUnblockSignals();
  BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
  guard([] { background().enter_launcher(); });
  before_shmem_exit([](int, Datum) { background().leave_launcher(); }, Datum{0});
  guard([] { Launcher().run(); });
}

}  // namespace reyearn::pg
