// ServedModel: what one place in a statement predicts with. It is found once for each call site and snapshot, so that
// a statement sees one version however long it runs, and is kept in the call site's FmgrInfo.
//
// Where the image lies is load_model's business.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/classify/predictor.hpp"
#include "pg/catalog.hpp"
#include "pg/model_cache.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

// A class as it is now: it may have been renamed, moved or merged since the version was trained.
struct ServedClass {
  std::int64_t class_id = 0;
  std::vector<char> label;  // the bytes of an ltree; empty: dropped
};

class ServedModel {
 public:
  ServedModel(const VersionRow& version, std::shared_ptr<const LoadedModel> model)
      : version_(version), model_(std::move(model)), predictor_(model_->view()), classes_(model_->view().class_count()) {}

  const VersionRow& version() const { return version_; }
  const ModelView& view() const { return model_->view(); }
  Predictor& predictor() { return predictor_; }

  // What a class of the model is now; nullptr when it was dropped. Valid as long as the ServedModel. `snapshot` is the
  // one the model was found with. Throws PgError.
  const ServedClass* find_class(std::uint32_t class_index, Snapshot snapshot);

  // The class with the highest score among those that still exist. Throws Error when there are none.
  std::uint32_t best_existing_class(std::span<const double> scores, Snapshot snapshot);

 private:
  VersionRow version_;
  std::shared_ptr<const LoadedModel> model_;
  Predictor predictor_;
  std::vector<std::optional<ServedClass>> classes_;  // unset: not looked up yet
};

// The live version of the named model for this call; `name` without data: the default. Called once for each call of
// the SQL function; cheap unless the statement is a new one. Throws PgError, Error.
ServedModel& served_model(FunctionCallInfo fcinfo, std::string_view name);

// The live version, or an error that says why there is none. May raise PostgreSQL errors.
VersionRow require_live_version(const ModelRow& model, Snapshot snapshot);

// Once, from _PG_init: rollbacks to savepoints make every call site look again.
void watch_subtransactions();

}  // namespace reyearn::pg
