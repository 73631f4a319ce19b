// Background: what the sessions, the launcher and the workers of a server know of each other. One table in the server's
// main shared memory: which databases have something to learn and when, which worker is at what.
//
//   session   after a commit with news:  announce_work()      sets a flag and wakes the launcher
//   launcher  starts a worker where there is a flag or the time has come, and otherwise sleeps
//   worker    takes the flag down, trains what is due, leaves behind when the next is, and goes
//
// All of it is a hint. What is to be trained is told by rows (reyearn.news, reyearn.runs), and the launcher has every
// database looked at from time to time, so that a flag that was lost costs time and nothing else.
//
// One lightweight lock guards everything; functions raise no errors unless that is said.
#pragma once

#include <cstdint>
#include <optional>

#include "core/progress.hpp"
#include "pg/shared_area.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

// A training in the background.
struct TrainingFacts {
  pid_t worker = 0;
  std::int32_t tenant_id = 0;
  std::int64_t model_id = 0;
  std::int64_t run_id = 0;
  Phase phase = Phase::kReading;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  TimestampTz started = 0;
};

struct BackgroundFacts {
  bool is_there = false;  // whether there was room for the table
  pid_t launcher = 0;
  int workers = 0;
  TimestampTz lacked_worker = 0;  // when PostgreSQL had none to give; 0: it has since, or never been asked in vain
};

// What the launcher has to do next.
struct Errand {
  Oid database = InvalidOid;  // start a worker there
  TimestampTz next = 0;       // else: when to look again; 0: when woken
};

class Background {
 public:
  static constexpr int kMostDatabases = 64;

  static void reserve();  // from _PG_init

  // By sessions, after a commit. Without a launcher the session itself asks PostgreSQL for a worker.
  void announce_work();
  void expect_work();  // sooner or later, without notice

  // Asks PostgreSQL for a worker. False when it has none to give: max_worker_processes.
  bool start_worker(Oid database);

  // By the launcher.
  void enter_launcher();
  void leave_launcher();
  Errand next_errand(TimestampTz now) const;
  bool look_into(Oid database);  // false: no room now
  void look_into_known();
  void forget_database(Oid database);

  // By a worker, which has its database to itself: enter_worker() is false when another is there, or no room for one.
  bool enter_worker(Oid database);
  void leave_worker(Oid database);
  bool has_launcher() const;
  bool has_flag() const;
  bool take_flag();
  // When the next training is due; 0: none is. The second also leaves the worker's place, unless the flag is up: then
  // there is more to do. So does the third, which forgets the database.
  void set_next(TimestampTz due);
  bool leave_if_idle(TimestampTz due);
  bool forget_if_idle();
  void begin_training(std::int32_t tenant_id, std::int64_t model_id, std::int64_t run_id);
  void report_progress(Phase phase, std::uint64_t done, std::uint64_t total);
  void end_training();
  // A run that gave way, when that could not be recorded yet; 0: none.
  void remember_given_up(std::int64_t run_id);
  std::int64_t given_up() const;

  BackgroundFacts facts() const;
  std::optional<TrainingFacts> training() const;  // of this database

 private:
  struct Database;
  struct Shared;

  friend Background& background();
  static SharedArea& area();
  Database* find(Oid database) const;
  Database* find_or_add(Oid database);

  Shared* shared_ = nullptr;
};

// May raise PostgreSQL errors at its first call.
Background& background();

// A process of the launcher's and the workers' kind, to be completed by the caller; `function` is its entry point below.
BackgroundWorker describe_process(const char* name, const char* function);

// The entry points that PostgreSQL starts processes with.
extern "C" {
PGDLLEXPORT void reyearn_launcher_main(Datum);
PGDLLEXPORT void reyearn_worker_main(Datum database);
}

// A worker's answer to SIGTERM: what runs just now ends with an error, and the worker goes after that.
extern "C" void reyearn_worker_asked_to_end(SIGNAL_ARGS);

}  // namespace reyearn::pg
