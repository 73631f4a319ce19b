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
  bool is_background = false;          // then what is read is read with the rights of the model's owner only
  ShouldStop should_stop;              // besides requests to cancel
  ReportProgress report_progress;
};

// Throws PgError, Error.
TrainingResult run_training(Spi& spi, const TrainingTask& task);

}  // namespace reyearn::pg
