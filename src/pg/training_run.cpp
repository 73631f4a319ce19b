#include "pg/training_run.hpp"

#include <chrono>

#include "core/error.hpp"
#include "core/model/view.hpp"
#include "pg/acts_as.hpp"
#include "pg/guard.hpp"
#include "pg/locks.hpp"
#include "pg/parameters.hpp"
#include "pg/settings.hpp"
#include "pg/tenants.hpp"
#include "pg/training_data.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

// Asked while threads run, so it must neither raise errors nor end the backend: it reads flags, and lets other
// backends go on that wait for all to pass a barrier (DROP DATABASE does).
bool is_cancelled() {
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

TrainingRequest make_request(Spi& spi, const ModelDefinition& model, const Parameters& parameters,
                             const TrainingTask& task) {
  TrainingRequest request;
  request.algorithm = model.algorithm;
  request.parameters = parameters;
  request.promotion = model.promotion;
  request.execution = {settings().training_threads,
                       [&task] { return is_cancelled() || (task.should_stop && task.should_stop()); }};
  request.report_progress = task.report_progress;
  request.memory_limit = static_cast<std::size_t>(maintenance_work_mem) * 1024;
  request.spill_space = spill_space();
  read_examples(spi, model, request);
  return request;
}

struct Trained {
  TrainingRequest request;
  std::vector<std::int64_t> news;
  std::optional<TrainingResult> unchanged;  // else the outcome:
  std::optional<TrainingOutcome> outcome;
};

// As the reader. A member of the tenant may have left it.
void require_tenant(const ModelDefinition& model) {
  pg_call([&] {
    if (may_use_tenant(model.id.tenant_id)) return;
    const Tenant* const tenant = find_tenant(model.id.tenant_id);
    const bool is_owner = GetUserId() == model.owner;
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("role \"%s\" may not use tenant \"%s\"", GetUserNameFromId(GetUserId(), false),
                           tenant != nullptr ? tenant->name : ""),
                    is_owner ? errdetail("It owns the model, which is trained in the background with its rights.") : 0,
                    is_owner ? errhint("Give the model another owner with reyearn_alter_model().") : 0));
  });
}

void require_place(const TrainingTask& task) {
  pg_call([&] {
    const int tenant_id = task.model.tenant_id;
    if (take_training_place(tenant_id)) return;
    const Tenant* const tenant = find_tenant(tenant_id);
    if (tenant == nullptr) elog(ERROR, "tenant %d was dropped meanwhile", tenant_id);
    // A worker tries again later.
    ereport(ERROR, (errcode(task.reader ? ERRCODE_CONFIGURATION_LIMIT_EXCEEDED : ERRCODE_LOCK_NOT_AVAILABLE),
                    errmsg("tenant \"%s\" may not run more trainings at a time", tenant->name),
                    errdetail("It may run %d.", tenant->max_trainings),
                    errhint("Wait for one to end, or call reyearn_train() with wait => false.")));
  });
}

Trained read_and_train(Spi& spi, const ModelDefinition& model, const Parameters& parameters, const TrainingTask& task) {
  const ActsAs reader(task.reader.value_or(model.owner));
  require_tenant(model);
  Trained trained;
  TrainingRequest& request = trained.request;
  request = make_request(spi, model, parameters, task);
  trained.news = read_news(spi, model);
  request.live = read_live_version(spi, model);
  const bool is_live_damaged = request.live && !ModelView::is_valid(request.live->serving);
  if (!is_live_damaged) trained.unchanged = find_unchanged_run(spi, model, request);
  if (trained.unchanged) return trained;
  TextReader texts(model, request);
  trained.outcome = train(request, [&](const EmitText& emit) { texts.read(emit, request.execution.should_stop); });
  texts.close();
  return trained;
}

// With the model locked and a snapshot active.
TrainingResult train_and_store(Spi& spi, const ModelDefinition& model, const Parameters& parameters,
                               const TrainingTask& task) {
  const auto start = std::chrono::steady_clock::now();
  const Trained trained = read_and_train(spi, model, parameters, task);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  TrainingResult result;
  if (trained.unchanged) {
    result = *trained.unchanged;
    if (task.run_id) result = store_unchanged(spi, model, *task.run_id, result, elapsed.count());
  } else {
    const std::int64_t run_id = task.run_id ? *task.run_id : begin_run(spi, model);
    result = store_training(spi, model, trained.request, *trained.outcome, elapsed.count(), run_id);
  }
  delete_news(spi, model, trained.news);
  return result;
}

}  // namespace

TrainingResult run_training(Spi& spi, const TrainingTask& task) {
  require_place(task);
  const ModelDefinition model = lock_model(spi, task.model);
  Parameters parameters = model.parameters;
  set_parameters(parameters, task.params, true);
  // A new snapshot: while this training waited for the lock, another may have made a version.
  pg_call([] {
    CommandCounterIncrement();
    PushActiveSnapshot(GetTransactionSnapshot());
  });
  TrainingResult result;
  try {
    result = train_and_store(spi, model, parameters, task);
  } catch (const Error& error) {
    // The reason of a cancellation (a user, a timeout, a shutdown) is PostgreSQL's to tell; threads are joined by now.
    if (error.code() == ErrorCode::kCancelled) pg_call([] { CHECK_FOR_INTERRUPTS(); });
    throw;
  }
  pg_call([] { PopActiveSnapshot(); });
  return result;
}

}  // namespace reyearn::pg
