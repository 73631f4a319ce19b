#include "pg/announcements.hpp"

#include <algorithm>
#include <vector>

#include "pg/background.hpp"
#include "pg/guard.hpp"
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
    const bool is_known = std::any_of(pending().begin(), pending().end(), [&](const Pending& one) {
      return one.what == what && one.model_id == model_id && one.savepoint == now;
    });
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
  if (is_there_work()) background();  // found now, when that may still fail
}

void wake_for_announcements() {
  if (is_there_work()) background().announce_work();
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
  const TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);
  bool is_null;
  return DatumGetInt64(heap_getattr(row, SPI_fnumber(descriptor, "model_id"), descriptor, &is_null));
}

}  // namespace

extern "C" {

// On reyearn.news, for each row.
PG_FUNCTION_INFO_V1(reyearn_news_added);
PGDLLEXPORT Datum reyearn_news_added(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "not called by a trigger");
  const auto* trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  announce(Announcement::kAnnotation, model_of(trigger, trigger->tg_trigtuple));
  return PointerGetDatum(nullptr);
}

// On reyearn.runs, for each row that is not about to be trained: argument work for one that is queued, model for one
// that has ended.
PG_FUNCTION_INFO_V1(reyearn_run_changed);
PGDLLEXPORT Datum reyearn_run_changed(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "not called by a trigger");
  const auto* trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  const HeapTuple row = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple;
  const bool is_work = strcmp(trigger->tg_trigger->tgargs[0], "work") == 0;
  announce(is_work ? Announcement::kWork : Announcement::kModel, model_of(trigger, row));
  return PointerGetDatum(nullptr);
}

}  // extern "C"

}  // namespace reyearn::pg
