// A worker trains what is due in one database, labels rows of attached tables that wait (catch_up.hpp), and goes: see
// background.hpp. What is due, and what becomes of a run that
// fails, is told by functions in SQL (sql/install/69_background.sql). A run takes three transactions: one records it,
// one trains and stores, and if that fails a third says so.
//
// A connection is in the way of DROP DATABASE, RENAME and CREATE DATABASE ... TEMPLATE, and a training's locks are in
// that of DDL. So twice a second a training looks who waits, and gives way: what it has done is rolled back, the run is
// queued again. SIGTERM is answered like that too.
#include <cstdio>
#include <string>

#include "core/error.hpp"
#include "pg/acts_as.hpp"
#include "pg/background.hpp"
#include "pg/catch_up.hpp"
#include "pg/guard.hpp"
#include "pg/in_the_way.hpp"
#include "pg/own_transaction.hpp"
#include "pg/spi.hpp"
#include "pg/training_run.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

constexpr TimestampTz kLookAround = USECS_PER_SEC / 2;
constexpr TimestampTz kReportTime = USECS_PER_SEC / 50;
constexpr TimestampTz kGivenWay = USECS_PER_SEC;  // how long it leaves others alone then
constexpr TimestampTz kTrouble = 5 * USECS_PER_SEC;
constexpr TimestampTz kNewsPause = USECS_PER_SEC / 5;
constexpr TimestampTz kLabellingTime = 2 * USECS_PER_SEC;  // then it looks whether something is to be trained

volatile sig_atomic_t is_asked_to_end = false;

// What the database's and the role's settings might have changed.
void set_defaults() {
  // RESET has the database's search path: functions of its tables need that.
  SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_SESSION);
  constexpr const char* kSettings[][2] = {{"default_transaction_isolation", "read committed"},
                                          {"default_transaction_read_only", "off"},
                                          {"default_transaction_deferrable", "off"},
                                          {"session_replication_role", "origin"},
                                          {"check_function_bodies", "on"},
                                          {"role", "none"},
                                          {"reyearn.tenant", ""},
                                          {"transaction_timeout", "0"},  // from PostgreSQL 17
                                          {"lock_timeout", "500ms"}};    // an exclusive lock: to be tried again
  for (const auto& [name, value] : kSettings) {
    if (GetConfigOption(name, true, false) != nullptr) SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
  }
}

// Of two times, of which 0 is never.
TimestampTz earlier(TimestampTz a, TimestampTz b) { return a == 0 || (b != 0 && b < a) ? b : a; }

// What to train now.
struct Job {
  ModelRow model;
  std::int64_t run_id = 0;  // 0: nothing
  std::string params;
  TimestampTz due = 0;  // if there is nothing: of the next; 0: none
};

class Worker {
 public:
  void run();

 private:
  enum class Extension { kThere, kNotThere, kUnknown };
  Extension find_extension();
  bool work();
  bool find_job(Job& job);
  void train(const Job& job);
  void finish_badly(const Job& job, const Failure& failure);
  void postpone(std::int64_t run_id);
  bool record_failure(const Job& job, const Failure& failure);
  bool gives_way();
  void report(Phase phase, std::uint64_t done, std::uint64_t total);
  void wait(TimestampTz until);
  bool has_to_go() const { return is_asked_to_end || waiting_ == Waiting::kForDatabase; }
  bool may_stay() const { return !has_to_go() && !background().has_launcher(); }

  // With the rights of the extension's owner.
  template <typename Body>
  bool in_transaction(Body body, Failure& failure) {
    return in_own_transaction(
        [&] {
          const ActsAs owner(extension_owner_);
          body();
        },
        failure);
  }

  Oid extension_owner_ = InvalidOid;
  Waiting waiting_ = Waiting::kNobody;
  TimestampTz looked_ = 0;
  TimestampTz reported_ = 0;
  Phase phase_ = Phase::kReading;
};

Worker::Extension Worker::find_extension() {
  Extension extension = Extension::kUnknown;
  Failure failure;
  const bool is_done = in_own_transaction(
      [&] {
        pg_call([&] {
          extension = OidIsValid(get_extension_oid("reyearn", true)) ? Extension::kThere : Extension::kNotThere;
          if (extension == Extension::kThere) extension_owner_ = extension_owner();
        });
      },
      failure);
  if (!is_done && !is_asked_to_end) {
    ereport(LOG, (errmsg("reyearn worker could not look for the extension: %s", failure.message)));
  }
  return is_done ? extension : Extension::kUnknown;
}

void Worker::run() {
  set_defaults();
  while (!has_to_go()) {
    background().take_flag();
    const Extension extension = find_extension();
    if (extension == Extension::kUnknown) return;  // the table's own pause for trouble
    if (extension == Extension::kThere ? work() : background().forget_if_idle()) return;
  }
  background().set_next(GetCurrentTimestamp() + kGivenWay);
}

// Without a launcher nobody else would start a worker at the time that is left behind: it stays itself. False when it has
// to look for the extension again.
bool Worker::work() {
  Job job;
  while (!has_to_go()) {
    if (!PostmasterIsAlive()) proc_exit(1);
    waiting_ = Waiting::kNobody;
    background().take_flag();
    postpone(background().given_up());
    const TimestampTz labelling = catch_up(extension_owner_, GetCurrentTimestamp() + kLabellingTime,
                                           [this] { return has_to_go() || gives_way(); });
    waiting_ = Waiting::kNobody;
    const bool is_known = find_job(job);
    job.due = earlier(job.due, labelling);
    if (is_known && job.run_id != 0) {
      train(job);
      if (waiting_ == Waiting::kNobody) continue;
      job.due = GetCurrentTimestamp() + kGivenWay;
    } else if (!is_known) {
      job.due = GetCurrentTimestamp() + kTrouble;
    } else if (job.due != 0 && job.due <= GetCurrentTimestamp()) {
      continue;  // more rows wait
    } else if (job.due == 0 || background().has_launcher()) {
      if (background().leave_if_idle(job.due)) return true;
      // More came meanwhile. The launcher starts the next worker for that, after a pause.
      if (!background().has_launcher()) job.due = GetCurrentTimestamp() + kNewsPause;
    }
    if (!may_stay()) break;
    wait(job.due);
    if (!is_known) return false;
  }
  background().set_next(has_to_go() ? GetCurrentTimestamp() + kGivenWay : job.due);
  return true;
}

// False when that failed, which is tried again later.
bool Worker::find_job(Job& job) {
  job = Job{};
  Failure failure;
  const bool is_done = in_transaction(
      [&] {
        Spi spi;
        spi.execute("SELECT tenant_id, model_id, run_id, params::text, due_at FROM reyearn.next_training()", {});
        const SpiRow row = spi.row(0);
        if (!row.is_null(3)) {
          job.model = {row.int4(1), row.int8(2), {}};
          job.run_id = row.int8(3);
          job.params = row.text(4);
        }
        if (!row.is_null(5)) job.due = DatumGetTimestampTz(row.datum(5));
        spi.finish();
      },
      failure);
  if (!is_done && !is_asked_to_end) {
    ereport(LOG, (errmsg("reyearn worker could not look for trainings: %s", failure.message)));
  }
  return is_done;
}

void Worker::train(const Job& job) {
  char activity[64];
  std::snprintf(activity, sizeof activity, "training of model " INT64_FORMAT, job.model.model_id);
  pgstat_report_activity(STATE_RUNNING, activity);
  background().begin_training(job.model.tenant_id, job.model.model_id, job.run_id);
  Failure failure;
  const bool is_done = in_transaction(
      [&] {
        Spi spi;
        TrainingTask task;
        task.model = job.model;
        task.params = spi_json(job.params).value;
        task.run_id = job.run_id;
        task.should_stop = [this] { return gives_way(); };
        task.report_progress = [this](Phase phase, std::uint64_t done, std::uint64_t total) {
          report(phase, done, total);
        };
        run_training(spi, task);
        spi.finish();
      },
      failure);
  background().end_training();
  if (!is_done) finish_badly(job, failure);
  pgstat_report_activity(STATE_IDLE, nullptr);
  pgstat_report_stat(true);
}

void Worker::finish_badly(const Job& job, const Failure& failure) {
  if (!PostmasterIsAlive()) proc_exit(1);
  // A lock that is not to be had: a training by hand, or DDL.
  if (failure.sqlstate == ERRCODE_LOCK_NOT_AVAILABLE || failure.sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED) {
    waiting_ = Waiting::kForLock;
  }
  if (is_asked_to_end || waiting_ != Waiting::kNobody) {
    background().remember_given_up(job.run_id);
    postpone(job.run_id);
    return;
  }
  ereport(LOG, (errmsg("training of model " INT64_FORMAT " failed: %s", job.model.model_id, failure.message),
                failure.detail[0] != '\0' ? errdetail_internal("%s", failure.detail) : 0));
  // The request to end may come in the middle of that.
  if (!record_failure(job, failure) && is_asked_to_end) record_failure(job, failure);
}

// If that fails, because somebody holds the row, it is tried again before the next training is looked for.
void Worker::postpone(std::int64_t run_id) {
  if (run_id == 0) return;
  bool is_postponed = false;
  Failure failure;
  const bool is_done = in_transaction(
      [&] {
        Spi spi;
        spi.execute("SELECT reyearn.postpone_run($1)", {spi_int8(run_id)});
        is_postponed = spi.row(0).boolean(1);
        spi.finish();
      },
      failure);
  if (is_done && is_postponed) background().remember_given_up(0);
}

// If that fails, the next worker of the database finds the run unfinished.
bool Worker::record_failure(const Job& job, const Failure& failure) {
  std::string reason = failure.message;
  for (const char* more : {failure.detail, failure.hint}) {
    if (more[0] != '\0') reason += std::string("; ") + more;
  }
  Failure again;
  const bool is_done = in_transaction(
      [&] {
        Spi spi;
        spi.execute("SELECT reyearn.fail_run($1, $2, $3)",
                    {spi_int8(job.run_id), spi_text(unpack_sql_state(failure.sqlstate)), spi_text(reason)});
        spi.finish();
      },
      again);
  if (!is_done) ereport(LOG, (errmsg("reyearn worker could not record that a run failed: %s", again.message)));
  return is_done;
}

// Asked a hundred times a second, also while threads run.
bool Worker::gives_way() {
  const TimestampTz now = GetCurrentTimestamp();
  if (waiting_ == Waiting::kNobody && now >= looked_ + kLookAround) {
    looked_ = now;
    if (!PostmasterIsAlive()) return true;
    if (!pg_try([](void* w) { *static_cast<Waiting*>(w) = who_waits(); }, &waiting_)) return true;
  }
  return waiting_ != Waiting::kNobody;
}

void Worker::report(Phase phase, std::uint64_t done, std::uint64_t total) {
  const TimestampTz now = GetCurrentTimestamp();
  if (phase == phase_ && now < reported_ + kReportTime) return;
  phase_ = phase;
  reported_ = now;
  background().report_progress(phase, done, total);
}

// Until then, or until there is a launcher; after news not as long, but a little, so that many small commits are looked
// at together.
void Worker::wait(TimestampTz until) {
  pg_call([&] {
    bool has_news = false;
    for (TimestampTz now = GetCurrentTimestamp(); now < until && may_stay(); now = GetCurrentTimestamp()) {
      const long milliseconds = TimestampDifferenceMilliseconds(now, std::min(until, now + kLookAround));
      (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, std::max(1L, milliseconds),
                      PG_WAIT_EXTENSION);
      ResetLatch(MyLatch);
      if (!has_news && background().has_flag()) {
        has_news = true;
        until = std::min(until, GetCurrentTimestamp() + kNewsPause);
      }
      waiting_ = who_waits();
    }
  });
}

}  // namespace

extern "C" void reyearn_worker_asked_to_end(SIGNAL_ARGS) {
  const int saved_errno = errno;
  is_asked_to_end = true;
  QueryCancelPending = true;  // ends what runs just now with an error, and not the process
  InterruptPending = true;
  SetLatch(MyLatch);
  errno = saved_errno;
}

extern "C" void reyearn_worker_main(Datum database) {
  const Oid oid = DatumGetObjectId(database);
  pqsignal(SIGTERM, reyearn_worker_asked_to_end);
  pqsignal(SIGINT, StatementCancelHandler);
  BackgroundWorkerUnblockSignals();
  if (!guard([&] { return background().enter_worker(oid); })) return;
  before_shmem_exit([](int, Datum mine) { background().leave_worker(DatumGetObjectId(mine)); }, database);
  BackgroundWorkerInitializeConnectionByOid(oid, InvalidOid, 0);
  guard([] { Worker().run(); });
}

}  // namespace reyearn::pg
