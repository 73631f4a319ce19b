#include "pg/catch_up.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include "pg/acts_as.hpp"
#include "pg/background.hpp"
#include "pg/own_transaction.hpp"
#include "pg/spi.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

// Row locks are held as long as a step takes.
constexpr int kRowsOfStep = 1000;
// What the triggers of a table may take of that.
constexpr int kStepMilliseconds = 10'000;
constexpr TimestampTz kBusy = USECS_PER_SEC;
constexpr TimestampTz kTrouble = 5 * USECS_PER_SEC;

struct Turn {
  int tenant_id = 0;
  std::int64_t attachment_id = 0;  // 0: nobody's
  int failures = 0;                // since it last succeeded
  TimestampTz due = 0;
};

// What the worker itself remembers of an attachment: nobody can be in the way of that.
struct Patience {
  TimestampTz until = 0;  // it is passed over
  int rows;               // of its steps
};

std::map<std::int64_t, Patience>& patience() {
  static auto* const all = new std::map<std::int64_t, Patience>;
  return *all;
}

std::vector<std::int64_t> passed_over(TimestampTz now) {
  std::vector<std::int64_t> ids;
  for (const auto& [id, one] : patience()) {
    if (one.until > now) ids.push_back(id);
  }
  return ids;
}

TimestampTz earliest(TimestampTz now, TimestampTz due) {
  for (const auto& [id, one] : patience()) {
    if (one.until > now && (due == 0 || one.until < due)) due = one.until;
  }
  return due;
}

// Runs `body` as the owner of the extension, in a transaction of its own.
template <typename Body>
bool as_owner(Oid owner, Body body, Failure& failure) {
  return in_own_transaction(
      [&] {
        const ActsAs acting(owner);
        Spi spi;
        body(spi);
        spi.finish();
      },
      failure);
}

bool find_turn(Oid owner, TimestampTz now, Turn& turn) {
  Failure failure;
  const std::vector<std::int64_t> others = passed_over(now);
  auto find = [&](Spi& spi) {
    spi.execute("SELECT tenant_id, attachment_id, failures, due_at FROM reyearn.next_catch_up($1)",
                {spi_int8_array(others)});
    const SpiRow row = spi.row(0);
    turn = {row.int4(1), row.int8(2), row.int4(3), row.is_null(4) ? 0 : DatumGetTimestampTz(row.datum(4))};
  };
  const bool is_done = as_owner(owner, find, failure);
  if (!is_done && failure.sqlstate != ERRCODE_QUERY_CANCELED) {
    ereport(LOG, (errmsg("reyearn worker could not look for rows that wait: %s", failure.message)));
  }
  return is_done;
}

bool is_in_the_way(const Failure& failure) {
  return failure.sqlstate == ERRCODE_LOCK_NOT_AVAILABLE ||
         ERRCODE_TO_CATEGORY(failure.sqlstate) == ERRCODE_TRANSACTION_ROLLBACK;
}

void put_back(Oid owner, const Turn& turn) {
  Failure failure;
  auto tell = [&](Spi& spi) {
    spi.execute("SELECT reyearn.put_back_catch_up($1, $2)", {spi_int4(turn.tenant_id), spi_int8(turn.attachment_id)});
  };
  (void)as_owner(owner, tell, failure);  // else it is tried again later
}

void tell_failure(Oid owner, const Turn& turn, const Failure& failure, bool skips_row) {
  ereport(LOG, (errmsg("attachment " INT64_FORMAT " could not catch up: %s", turn.attachment_id, failure.message),
                failure.detail[0] != '\0' ? errdetail_internal("%s", failure.detail) : 0));
  Failure again;
  auto tell = [&](Spi& spi) {
    spi.execute("SELECT reyearn.fail_catch_up($1, $2, $3, $4)", {spi_int4(turn.tenant_id), spi_int8(turn.attachment_id),
                                                                 spi_text(failure.message), spi_bool(skips_row)});
  };
  if (as_owner(owner, tell, again)) return;
  ereport(LOG, (errmsg("reyearn worker could not tell why an attachment failed: %s", again.message)));
}

// Functions of the table can catch a request to cancel, so there are stronger means: these end the process.
void end_process() {
  ProcDiePending = true;
  InterruptPending = true;
  SetLatch(MyLatch);
}

TimeoutId last_timeout() {
  static const TimeoutId id = RegisterTimeout(USER_TIMEOUT, end_process);
  return id;
}

bool run_step(Oid owner, const Turn& turn, int most, std::int64_t& rows, Failure& failure) {
  auto step = [&](Spi& spi) {
    spi.execute("SELECT reyearn.catch_up_of($1, $2, $3)",
                {spi_int4(turn.tenant_id), spi_int8(turn.attachment_id), spi_int4(most)});
    rows = spi.row(0).int8(1);
  };
  enable_timeout_after(STATEMENT_TIMEOUT, kStepMilliseconds);
  enable_timeout_after(last_timeout(), 2 * kStepMilliseconds);
  pqsignal(SIGTERM, die);
  const bool is_done = as_owner(owner, step, failure);
  pqsignal(SIGTERM, reyearn_worker_asked_to_end);
  disable_timeout(last_timeout(), false);
  disable_timeout(STATEMENT_TIMEOUT, false);
  return is_done;
}

// What others hold is tried again a second later, and what fails later still; other attachments come before.
void do_step(Oid owner, const Turn& turn, const std::function<bool()>& should_stop) {
  // A worker that went may have failed for want of time.
  const int rows_at_first = std::max(1, kRowsOfStep >> (2 * std::min(turn.failures, 5)));
  Patience& mine = patience().try_emplace(turn.attachment_id, Patience{0, rows_at_first}).first->second;
  std::int64_t rows = 0;
  Failure failure;
  if (run_step(owner, turn, mine.rows, rows, failure)) {
    mine.until = rows == 0 ? GetCurrentTimestamp() + kBusy : 0;
    return;
  }
  const bool is_in_turn = is_in_the_way(failure) || should_stop();
  mine.until = GetCurrentTimestamp() + (is_in_turn ? kBusy : kTrouble);
  if (is_in_turn) {
    put_back(owner, turn);
    return;
  }
  tell_failure(owner, turn, failure, mine.rows == 1);
  mine.rows = std::max(1, mine.rows / 4);
}

}  // namespace

TimestampTz catch_up(Oid extension_owner, TimestampTz until, const std::function<bool()>& should_stop) {
  for (TimestampTz now = GetCurrentTimestamp(); now < until && !should_stop(); now = GetCurrentTimestamp()) {
    Turn turn;
    if (!find_turn(extension_owner, now, turn)) return now + kTrouble;
    if (turn.attachment_id == 0) return earliest(now, turn.due);
    pgstat_report_activity(STATE_RUNNING, "labelling rows of attached tables");
    do_step(extension_owner, turn, should_stop);
    pgstat_report_activity(STATE_IDLE, nullptr);
  }
  return GetCurrentTimestamp();
}

}  // namespace reyearn::pg
