#include "pg/catch_up.hpp"

#include <optional>

#include "pg/acts_as.hpp"
#include "pg/own_transaction.hpp"
#include "pg/spi.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

// Row locks are held as long as a step takes.
constexpr int kRowsOfStep = 1000;
constexpr TimestampTz kBusy = USECS_PER_SEC;
constexpr TimestampTz kTrouble = 5 * USECS_PER_SEC;

struct Turn {
  int tenant_id = 0;
  std::int64_t attachment_id = 0;  // 0: nobody's
  TimestampTz due = 0;
};

// A statement as the owner of the extension, in a transaction of its own.
template <typename Read>
bool run(Oid owner, const char* sql, std::initializer_list<SpiParameter> parameters, Read read, Failure& failure) {
  return in_own_transaction(
      [&] {
        const ActsAs acting(owner);
        Spi spi;
        spi.execute(sql, parameters);
        if (spi.row_count() > 0) read(spi.row(0));
        spi.finish();
      },
      failure);
}

bool find_turn(Oid owner, Turn& turn) {
  Failure failure;
  auto read = [&](const SpiRow& row) {
    turn = {row.int4(1), row.int8(2), row.is_null(3) ? 0 : DatumGetTimestampTz(row.datum(3))};
  };
  const bool is_done =
      run(owner, "SELECT tenant_id, attachment_id, due_at FROM reyearn.next_catch_up()", {}, read, failure);
  if (!is_done && failure.sqlstate != ERRCODE_QUERY_CANCELED) {
    ereport(LOG, (errmsg("reyearn worker could not look for rows that wait: %s", failure.message)));
  }
  return is_done;
}

bool is_in_the_way(const Failure& failure) {
  return failure.sqlstate == ERRCODE_LOCK_NOT_AVAILABLE || failure.sqlstate == ERRCODE_QUERY_CANCELED ||
         ERRCODE_TO_CATEGORY(failure.sqlstate) == ERRCODE_TRANSACTION_ROLLBACK;
}

void postpone(Oid owner, const Turn& turn, const Failure& failure) {
  const bool is_error = !is_in_the_way(failure);
  if (is_error) {
    ereport(LOG, (errmsg("attachment " INT64_FORMAT " could not catch up: %s", turn.attachment_id, failure.message),
                  failure.detail[0] != '\0' ? errdetail_internal("%s", failure.detail) : 0));
  }
  Failure again;
  const bool is_done = in_own_transaction(
      [&] {
        const ActsAs acting(owner);
        Spi spi;
        spi.execute("SELECT reyearn.postpone_catch_up($1, $2, $3)",
                    {spi_int4(turn.tenant_id), spi_int8(turn.attachment_id),
                     is_error ? spi_text(failure.message) : spi_null(TEXTOID)});
        spi.finish();
      },
      again);
  if (!is_done) ereport(LOG, (errmsg("reyearn worker could not postpone an attachment: %s", again.message)));
}

// With how many rows it is done; nothing: it failed, and is postponed.
std::optional<std::int64_t> do_step(Oid owner, const Turn& turn) {
  std::int64_t rows = 0;
  Failure failure;
  const bool is_done =
      run(owner, "SELECT reyearn.catch_up_of($1, $2, $3)",
          {spi_int4(turn.tenant_id), spi_int8(turn.attachment_id), spi_int4(kRowsOfStep)},
          [&](const SpiRow& row) { rows = row.int8(1); }, failure);
  if (is_done) return rows;
  postpone(owner, turn, failure);
  return std::nullopt;
}

}  // namespace

TimestampTz catch_up(Oid extension_owner, TimestampTz until, const std::function<bool()>& should_stop) {
  for (TimestampTz now = GetCurrentTimestamp(); now < until && !should_stop(); now = GetCurrentTimestamp()) {
    Turn turn;
    if (!find_turn(extension_owner, turn)) return now + kTrouble;
    if (turn.attachment_id == 0) return turn.due;
    pgstat_report_activity(STATE_RUNNING, "labelling rows of attached tables");
    const std::optional<std::int64_t> rows = do_step(extension_owner, turn);
    pgstat_report_activity(STATE_IDLE, nullptr);
    if (rows && *rows == 0) return now + kBusy;  // others have locked them
  }
  return GetCurrentTimestamp();
}

}  // namespace reyearn::pg
