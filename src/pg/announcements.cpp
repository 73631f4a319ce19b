#include "pg/announcements.hpp"

#include <algorithm>
#include <vector>

#include "pg/background.hpp"
#include "pg/datum.hpp"
#include "pg/guard.hpp"
#include "pg/restoring.hpp"
#include "pg/settings.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

struct Pending {
  Announcement what;
  std::int64_t model_id;
  SubTransactionId savepoint;
};

std::vector<Pending>& pending() {
  static auto* const all = new std::vector<Pending>;
  return *all;
}

bool is_there_work() {
  return std::any_of(pending().begin(), pending().end(),
                     [](const Pending& one) { return one.what != Announcement::kModel; });
}

const char* channel_of(Announcement what) {
  switch (what) {
    case Announcement::kAnnotation:
      return settings().notify ? "reyearn_annotation" : nullptr;
    case Announcement::kModel:
      return "reyearn_model";
    case Announcement::kWork:
      break;
  }
  return nullptr;
}

}  // namespace

void announce(Announcement what, std::int64_t model_id) {
  guard([&] {
    const SubTransactionId now = pg_call([] { return GetCurrentSubTransactionId(); });
    // What is there already belongs to this savepoint or to one around it, and lives as long at least.
    const bool is_known = std::any_of(pending().begin(), pending().end(),
                                      [&](const Pending& one) { return one.what == what && one.model_id == model_id; });
    if (!is_known) pending().push_back({what, model_id, now});
  });
}

// PostgreSQL sends equal ones once.
void send_announcements() {
  for (const Pending& one : pending()) {
    const char* channel = channel_of(one.what);
    if (channel == nullptr) continue;
    pg_call([&] { Async_Notify(channel, psprintf(INT64_FORMAT, one.model_id)); });
  }
  find_background();
}

void find_background() {
  if (is_there_work()) background();
}

void wake_for_announcements() {
  if (is_there_work()) background().announce_work();
}

void leave_announcements_to_probe() {
  if (is_there_work()) background().expect_work();
}

void forget_announcements() { pending().clear(); }

void keep_announcements(SubTransactionId of, SubTransactionId parent) {
  for (Pending& one : pending()) {
    if (one.savepoint == of) one.savepoint = parent;
  }
}

void drop_announcements(SubTransactionId of) {
  std::erase_if(pending(), [&](const Pending& one) { return one.savepoint == of; });
}

namespace {

std::int64_t model_of(const TriggerData* trigger, HeapTuple row) {
  return DatumGetInt64(column_of(trigger, row, "model_id"));
}

}  // namespace

extern "C" {

// On reyearn.news, for each row.
PG_FUNCTION_INFO_V1(reyearn_news_added);
PGDLLEXPORT Datum reyearn_news_added(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "not called by a trigger");
  const auto* trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  // A dump that is restored has nothing to tell, but perhaps something to learn.
  announce(is_restoring() ? Announcement::kWork : Announcement::kAnnotation, model_of(trigger, trigger->tg_trigtuple));
  return PointerGetDatum(nullptr);
}

// On reyearn.runs, for each row that is updated to an end.
PG_FUNCTION_INFO_V1(reyearn_run_ended);
PGDLLEXPORT Datum reyearn_run_ended(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "not called by a trigger");
  const auto* trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  announce(Announcement::kModel, model_of(trigger, trigger->tg_newtuple));
  return PointerGetDatum(nullptr);
}

}  // extern "C"

}  // namespace reyearn::pg
