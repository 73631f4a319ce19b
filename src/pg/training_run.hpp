// One training of a model, in the current transaction: reads, trains, compares, stores.
#pragma once

#include <cstdint>
#include <optional>

#include "core/classify/training.hpp"
#include "pg/catalog.hpp"
#include "pg/spi.hpp"
#include "pg/training_store.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

struct TrainingTask {
  ModelRow model;
  Datum params;                        // jsonb: parameters for this training only
  std::optional<std::int64_t> run_id;  // of a run that has been recorded; unset: a new one
  std::optional<Oid> reader;           // with whose rights texts are read; unset: the model's owner, and he has to
                                       // be allowed to use the model's tenant
  ShouldStop should_stop;              // besides requests to cancel
  ReportProgress report_progress;
};

// Called with the rights of the extension's owner, who writes what comes out. Throws PgError, Error.
TrainingResult run_training(Spi& spi, const TrainingTask& task);

}  // namespace reyearn::pg
