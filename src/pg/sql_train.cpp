// SQL entry point reyearn_train: a training in the caller's backend and transaction, or a request for one in the
// background.
#include <string>

#include "core/error.hpp"
#include "pg/acts_as.hpp"
#include "pg/background.hpp"
#include "pg/datum.hpp"
#include "pg/guard.hpp"
#include "pg/settings.hpp"
#include "pg/training_run.hpp"
#include "pg/training_store.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

ModelRow trained_model(std::string_view name) {
  return pg_call([&] {
    check_may_read("models");
    return find_own_model(name, GetActiveSnapshot());
  });
}

TrainingResult train_now(std::string_view name, Datum params) {
  TrainingTask task;
  task.model = trained_model(name);
  task.params = params;
  task.reader = GetUserId();
  const ActsAs acting(pg_call([] { return extension_owner(); }));
  Spi spi;
  const TrainingResult result = run_training(spi, task);
  spi.finish();
  return result;
}

// A run for a worker to do.
TrainingResult train_later(std::string_view name, Datum params) {
  if (settings().max_workers == 0) {
    throw Error(ErrorCode::kNotEnoughData, "training in the background is switched off", "reyearn.max_workers is 0.",
                "Raise it, or call reyearn_train() with wait => true.");
  }
  if (!background().facts().is_there) {
    throw Error(ErrorCode::kNotEnoughData, "training in the background is not possible",
                "The server's shared memory had no room left for reyearn, which is not preloaded.",
                "Add it to shared_preload_libraries and restart the server.");
  }
  const ModelRow model = trained_model(name);
  const ActsAs acting(pg_call([] { return extension_owner(); }));
  Spi spi;
  const TrainingResult result = queue_run(spi, model, params);
  spi.finish();
  return result;
}

Datum to_datum(const TrainingResult& result, TupleDesc descriptor) {
  Datum values[] = {Int64GetDatum(result.run_id),
                    text_datum(result.model),
                    Int32GetDatum(result.version.value_or(0)),
                    text_datum(result.outcome),
                    text_datum(kMetric),
                    Float8GetDatum(result.score.value_or(0)),
                    Float8GetDatum(result.live_score.value_or(0)),
                    Int64GetDatum(result.examples),
                    Float8GetDatum(result.seconds),
                    text_datum(result.reason)};
  bool nulls[std::size(values)] = {};
  nulls[2] = !result.version;
  nulls[4] = nulls[5] = !result.score;
  nulls[6] = !result.live_score;
  nulls[7] = nulls[8] = !result.version;
  return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(reyearn_train);
PGDLLEXPORT Datum reyearn_train(PG_FUNCTION_ARGS) {
  const std::string_view model = optional_text(fcinfo, 0);
  if (PG_ARGISNULL(1) || PG_ARGISNULL(2)) {
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                    errmsg("\"%s\" must not be NULL", PG_ARGISNULL(1) ? "params" : "wait"),
                    errhint("Leave it out for its default.")));
  }
  const TupleDesc descriptor = row_type(fcinfo);
  const Datum params = PG_GETARG_DATUM(1);
  const bool waits = PG_GETARG_BOOL(2);
  const MemoryContext caller = CurrentMemoryContext;
  return guard([&] {
    const TrainingResult result = waits ? train_now(model, params) : train_later(model, params);
    return pg_call([&] {
      MemoryContextSwitchTo(caller);
      return to_datum(result, descriptor);
    });
  });
}

}  // extern "C"

}  // namespace reyearn::pg
