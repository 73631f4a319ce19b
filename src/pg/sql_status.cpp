// SQL entry points to look at shared memory: reyearn.shared_images, reyearn.shared_memory, reyearn.background,
// reyearn.training_now.
#include <memory>
#include <vector>

#include "pg/background.hpp"
#include "pg/catalog.hpp"
#include "pg/datum.hpp"
#include "pg/guard.hpp"
#include "pg/registry.hpp"
#include "pg/settings.hpp"
#include "pg/tenants.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

const char* name_of(ImageState state) {
  switch (state) {
    case ImageState::kLoading:
      return "loading";
    case ImageState::kLive:
      return "live";
    case ImageState::kRetired:
      return "retired";
    case ImageState::kFree:
    case ImageState::kAbsent:
      break;
  }
  return "absent";
}

const char* name_of(WhyPrivate why) {
  switch (why) {
    case WhyPrivate::kNone:
      break;
    case WhyPrivate::kNoRegistry:
      return "not_preloaded";
    case WhyPrivate::kRegistryFull:
      return "too_many_versions";
    case WhyPrivate::kOverLimit:
      return "over_limit";
    case WhyPrivate::kNoSegment:
      return "no_shared_memory";
    case WhyPrivate::kSlowLoader:
      return "slow_loader";
    case WhyPrivate::kHeldTooMany:
      return "too_many_in_statement";
  }
  return nullptr;
}

const char* name_of(Phase phase) {
  switch (phase) {
    case Phase::kReading:
      return "reading";
    case Phase::kComparing:
      return "comparing";
    case Phase::kLearning:
      break;
  }
  return "learning";
}

// What all calls took, from those that were timed.
double microseconds(const Usage& usage) {
  if (usage.timed_calls == 0) return 0;
  return static_cast<double>(usage.nanoseconds) / static_cast<double>(usage.timed_calls) *
         static_cast<double>(usage.calls) / 1000;
}

std::vector<EntryFacts> list_entries(Oid images) {
  std::vector<EntryFacts> entries(Registry::kMostEntries);
  entries.resize(static_cast<std::size_t>(registry().list(images, entries.data(), Registry::kMostEntries)));
  return entries;
}

// What the table in shared memory has of the tenants that the caller may use.
RegistryFacts own_facts(Oid images) {
  RegistryFacts facts;
  facts.capacity = registry().facts().capacity;
  for (const EntryFacts& entry : list_entries(images)) {
    if (!pg_call([&] { return may_use_tenant(entry.identity.tenant_id); })) continue;
    const bool is_retired = entry.state == ImageState::kRetired;
    if (entry.state != ImageState::kLive && !is_retired) continue;
    ++(is_retired ? facts.retired : facts.live);
    (is_retired ? facts.retired_bytes : facts.live_bytes) += entry.bytes;
  }
  return facts;
}

void put(ReturnSetInfo* result, const EntryFacts& entry) {
  Datum values[] = {Int32GetDatum(entry.identity.tenant_id),
                    Int64GetDatum(entry.identity.version_id),
                    text_datum(name_of(entry.state)),
                    Int64GetDatum(static_cast<int64>(entry.bytes)),
                    Int32GetDatum(entry.holders),
                    Int64GetDatum(static_cast<int64>(entry.usage.calls)),
                    Float8GetDatum(microseconds(entry.usage)),
                    Int64GetDatum(static_cast<int64>(entry.usage.loads)),
                    Int64GetDatum(static_cast<int64>(entry.usage.attaches))};
  bool nulls[std::size(values)] = {};
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(reyearn_shared_images);
PGDLLEXPORT Datum reyearn_shared_images(PG_FUNCTION_ARGS) {
  check_may_read("model_versions");
  InitMaterializedSRF(fcinfo, 0);
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  const Oid images = relation_oid("model_images");
  guard([&] {
    const std::vector<EntryFacts> entries = list_entries(images);
    pg_call([&] {
      for (const EntryFacts& entry : entries) {
        if (may_use_tenant(entry.identity.tenant_id)) put(result, entry);
      }
    });
  });
  return Datum{0};
}

// What all databases and tenants have together, for those who see all tenants; others are told of their own versions.
PG_FUNCTION_INFO_V1(reyearn_shared_memory);
PGDLLEXPORT Datum reyearn_shared_memory(PG_FUNCTION_ARGS) {
  const TupleDesc descriptor = row_type(fcinfo);
  const bool sees_all = sees_all_tenants();
  const Oid images = relation_oid("model_images");
  const RegistryFacts facts = guard([&] { return sees_all ? registry().facts() : own_facts(images); });
  const char* why = name_of(facts.last_fallback);
  Datum values[] = {BoolGetDatum(is_library_preloaded()),
                    Int32GetDatum(facts.capacity),
                    Int64GetDatum(static_cast<int64>(settings().shared_memory_limit_mb) << 20),
                    Int32GetDatum(facts.live),
                    Int64GetDatum(static_cast<int64>(facts.live_bytes)),
                    Int32GetDatum(facts.retired),
                    Int64GetDatum(static_cast<int64>(facts.retired_bytes)),
                    Int32GetDatum(facts.backends_with_retired),
                    Int32GetDatum(facts.backends_with_private),
                    Int64GetDatum(static_cast<int64>(facts.private_bytes)),
                    Int64GetDatum(static_cast<int64>(facts.fallbacks)),
                    why != nullptr ? text_datum(why) : Datum{0},
                    TimestampTzGetDatum(facts.last_fallback_time)};
  bool nulls[std::size(values)] = {};
  nulls[7] = nulls[8] = nulls[9] = nulls[10] = !sees_all;
  nulls[11] = nulls[12] = why == nullptr;
  return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}

PG_FUNCTION_INFO_V1(reyearn_background);
PGDLLEXPORT Datum reyearn_background(PG_FUNCTION_ARGS) {
  const TupleDesc descriptor = row_type(fcinfo);
  const bool sees_all = sees_all_tenants();
  const BackgroundFacts facts = guard([] { return background().facts(); });
  Datum values[] = {BoolGetDatum(facts.is_there), Int32GetDatum(facts.launcher), Int32GetDatum(facts.workers),
                    Int32GetDatum(settings().max_workers), TimestampTzGetDatum(facts.lacked_worker)};
  bool nulls[] = {false, facts.launcher == 0, !sees_all, false, facts.lacked_worker == 0};
  return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}

PG_FUNCTION_INFO_V1(reyearn_training_now);
PGDLLEXPORT Datum reyearn_training_now(PG_FUNCTION_ARGS) {
  const TupleDesc descriptor = row_type(fcinfo);
  std::optional<TrainingFacts> now = guard([] { return background().training(); });
  if (now && !may_use_tenant(now->tenant_id)) now.reset();
  Datum values[8] = {};
  bool nulls[8];
  std::fill(std::begin(nulls), std::end(nulls), !now);
  if (now) {
    values[0] = Int32GetDatum(now->worker);
    values[1] = Int32GetDatum(now->tenant_id);
    values[2] = Int64GetDatum(now->model_id);
    values[3] = Int64GetDatum(now->run_id);
    values[4] = text_datum(name_of(now->phase));
    values[5] = Int64GetDatum(static_cast<int64>(now->done));
    values[6] = Int64GetDatum(static_cast<int64>(now->total));
    values[7] = TimestampTzGetDatum(now->started);
  }
  return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}

}  // extern "C"

}  // namespace reyearn::pg
