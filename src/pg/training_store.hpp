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
  std::int64_t run_id;
  std::string model;
  int version;
  std::string outcome;
  double score;
  std::optional<double> live_score;
  std::int64_t examples;
  double seconds;
  std::string reason;
};

// The result of the last run when it was made from the same data: nothing need be trained then.
std::optional<TrainingResult> find_unchanged_run(Spi& spi, const ModelDefinition& model,
                                                 const TrainingRequest& request);

// Throws PgError.
TrainingResult store_training(Spi& spi, const ModelDefinition& model, const TrainingRequest& request,
                              const TrainingOutcome& outcome, double seconds);

// A version from an image that was trained elsewhere; it goes live when the model has no live version. Returns its
// number. Throws PgError, Error.
int store_imported_version(Spi& spi, const ModelDefinition& model, const std::vector<std::byte>& image);

void delete_news(Spi& spi, const ModelDefinition& model, const std::vector<std::int64_t>& ids);

}  // namespace reyearn::pg
