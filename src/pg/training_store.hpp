// What a training writes: the version with its images, the run with its figures, and who is live.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/classify/training.hpp"
#include "pg/spi.hpp"
#include "pg/training_data.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

// What reyearn_train returns.
struct TrainingResult {
  std::int64_t run_id = 0;
  std::string model;
  std::optional<int> version;  // unset, as the score: not trained yet
  std::string outcome;
  std::optional<double> score;
  std::optional<double> live_score;
  std::int64_t examples = 0;
  double seconds = 0;
  std::string reason;
};

// A run that has not been made yet: for a worker to do; for this session, which will store what it makes.
TrainingResult queue_run(Spi& spi, const ModelRow& model, Datum params);
std::int64_t begin_run(Spi& spi, const ModelDefinition& model);

// The result of the last run when it was made from the same data: nothing need be trained then.
std::optional<TrainingResult> find_unchanged_run(Spi& spi, const ModelDefinition& model,
                                                 const TrainingRequest& request);

// Both end a run. They throw PgError.
TrainingResult store_training(Spi& spi, const ModelDefinition& model, const TrainingRequest& request,
                              const TrainingOutcome& outcome, double seconds, std::int64_t run_id);
TrainingResult store_unchanged(Spi& spi, const ModelDefinition& model, std::int64_t run_id,
                               const TrainingResult& result, double seconds);

// A version from an image that was trained elsewhere; it goes live when the model has no live version. Returns its
// number. Throws PgError, Error.
int store_imported_version(Spi& spi, const ModelDefinition& model, const std::vector<std::byte>& image);

void delete_news(Spi& spi, const ModelDefinition& model, const std::vector<std::int64_t>& ids);

}  // namespace reyearn::pg
