// SQL entry point reyearn_train: a training in the caller's backend and transaction.
#include <chrono>
#include <string>

#include "core/classify/training.hpp"
#include "core/error.hpp"
#include "core/model/view.hpp"
#include "pg/datum.hpp"
#include "pg/guard.hpp"
#include "pg/parameters.hpp"
#include "pg/settings.hpp"
#include "pg/training_data.hpp"
#include "pg/training_store.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

// Asked while threads run, so it must neither raise errors nor end the backend: it reads flags, and lets other
// backends go on that wait for all to pass a barrier (DROP DATABASE does).
bool should_stop() {
  if (ProcSignalBarrierPending && !pg_try([](void*) { ProcessProcSignalBarrier(); }, nullptr)) return true;
  return QueryCancelPending || ProcDiePending;
}

// Where PostgreSQL keeps its own temporary files, and what it allows a backend.
SpillSpace spill_space() {
  char path[MAXPGPATH];
  pg_call([&] {
    PrepareTempTablespaces();
    const Oid chosen = GetNextTempTableSpace();
    TempTablespacePath(path, OidIsValid(chosen) ? chosen : MyDatabaseTableSpace);
    (void)MakePGDirectory(path);
  });
  SpillSpace space;
  space.directory = path;
  if (temp_file_limit >= 0) space.limit = static_cast<std::uint64_t>(temp_file_limit) * 1024;
  return space;
}

TrainingRequest make_request(Spi& spi, const ModelDefinition& model, const Parameters& parameters) {
  TrainingRequest request;
  request.algorithm = model.algorithm;
  request.parameters = parameters;
  request.promotion = model.promotion;
  request.execution = {settings().training_threads, should_stop};
  request.memory_limit = static_cast<std::size_t>(maintenance_work_mem) * 1024;
  request.spill_space = spill_space();
  read_examples(spi, model, request);
  return request;
}

// With the model locked and a snapshot active.
TrainingResult train_and_store(Spi& spi, const ModelDefinition& model, const Parameters& parameters) {
  const auto start = std::chrono::steady_clock::now();
  TrainingRequest request = make_request(spi, model, parameters);
  const std::vector<std::int64_t> news = read_news(spi, model);
  request.live = read_live_version(spi, model);
  const bool is_live_damaged = request.live && !ModelView::is_valid(request.live->serving);
  std::optional<TrainingResult> result;
  if (!is_live_damaged) result = find_unchanged_run(spi, model, request);
  if (!result) {
    TextReader texts(model, request);
    const TrainingOutcome outcome =
        train(request, [&](const EmitText& emit) { texts.read(emit, request.execution.should_stop); });
    texts.close();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    result = store_training(spi, model, request, outcome, elapsed.count());
  }
  delete_news(spi, model, news);
  return *result;
}

TrainingResult run_training(std::string_view name, Datum params) {
  Spi spi;
  const ModelRow id = pg_call([&] {
    check_may_read("models");
    return find_model(name, GetActiveSnapshot());
  });
  const ModelDefinition model = lock_model(spi, id);
  Parameters parameters = model.parameters;
  set_parameters(parameters, params, true);
  // A new snapshot: while this training waited for the lock, another may have made a version.
  pg_call([] {
    CommandCounterIncrement();
    PushActiveSnapshot(GetTransactionSnapshot());
  });
  TrainingResult result;
  try {
    result = train_and_store(spi, model, parameters);
  } catch (const Error& error) {
    // The reason of a cancellation (a user, a timeout, a shutdown) is PostgreSQL's to tell; threads are joined by now.
    if (error.code() == ErrorCode::kCancelled) pg_call([] { CHECK_FOR_INTERRUPTS(); });
    throw;
  }
  pg_call([] { PopActiveSnapshot(); });
  spi.finish();
  return result;
}

Datum to_datum(const TrainingResult& result, TupleDesc descriptor) {
  Datum values[] = {Int64GetDatum(result.run_id),
                    text_datum(result.model),
                    Int32GetDatum(result.version),
                    text_datum(result.outcome),
                    text_datum(kMetric),
                    Float8GetDatum(result.score),
                    Float8GetDatum(result.live_score.value_or(0)),
                    Int64GetDatum(result.examples),
                    Float8GetDatum(result.seconds),
                    text_datum(result.reason)};
  bool nulls[std::size(values)] = {};
  nulls[6] = !result.live_score;
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
  if (!PG_GETARG_BOOL(2)) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("training in the background is not available"),
                    errhint("Call reyearn_train() with wait => true.")));
  }
  TupleDesc descriptor;
  if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE) elog(ERROR, "not a composite type");
  BlessTupleDesc(descriptor);
  const Datum params = PG_GETARG_DATUM(1);
  const MemoryContext caller = CurrentMemoryContext;
  return guard([&] {
    const TrainingResult result = run_training(model, params);
    return pg_call([&] {
      MemoryContextSwitchTo(caller);
      return to_datum(result, descriptor);
    });
  });
}

}  // extern "C"

}  // namespace reyearn::pg
