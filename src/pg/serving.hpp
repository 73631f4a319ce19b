// ServedModel: what a call predicts with, the live version of a model as the call's snapshot shows it.
//
// One statement sees one version, wherever it calls and in whichever parallel worker, because the version is a function
// of the snapshot alone: the backend remembers what it found for the last one, and before it uses that for another it
// makes sure that the rows it came from are still what the snapshot shows. No trigger and no message from other
// sessions is needed for that, so nothing can be missed, on a standby neither.
//
// Where the image lies is load_model's business.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/classify/predictor.hpp"
#include "pg/catalog.hpp"
#include "pg/shared_models.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

// What decides which rows a snapshot shows. Snapshots that agree in this show the same, also if they were taken in
// different transactions.
struct SnapshotIdentity {
  TransactionId xmin = InvalidTransactionId;
  TransactionId xmax = InvalidTransactionId;
  uint32 in_progress = 0;
  int32 subtransactions = 0;
  bool is_of_recovery = false;
  // Of a transaction that has written something itself, or is serializable and has to be seen reading; 0 otherwise.
  LocalTransactionId transaction = InvalidLocalTransactionId;
  CommandId command = 0;
  std::uint64_t rollbacks = 0;

  bool operator==(const SnapshotIdentity&) const = default;
};

// A class as it is now: it may have been renamed, moved or merged since the version was trained.
struct ServedClass {
  std::int64_t class_id = 0;
  std::vector<char> label;  // the bytes of an ltree; empty: dropped
  RowState state;           // of its row
  SnapshotIdentity checked_for;
};

class ServedModel {
 public:
  // One that is shared by another tenant gives rounded probabilities, so that it cannot be copied by asking it.
  ServedModel(const VersionRow& version, ModelPin model, bool is_shared)
      : version_(version),
        is_shared_(is_shared),
        model_(std::move(model)),
        predictor_(model_->view()),
        classes_(model_->view().class_count()) {}

  const VersionRow& version() const { return version_; }
  const ModelView& view() const { return model_->view(); }
  const LoadedModel& loaded() const { return *model_; }
  bool is_shared() const { return is_shared_; }

  // Which snapshot the calls below are made with, until it is set anew.
  void set_snapshot(Snapshot snapshot, const SnapshotIdentity& identity) {
    snapshot_ = snapshot;
    if (snapshot_identity_ != identity) snapshot_identity_ = identity;
  }

  // Joint log-likelihood of each class; see Predictor. Throws PgError.
  std::span<const double> scores(std::string_view body);

  // What a class of the model is now; nullptr when it was dropped. Valid until the snapshot changes. Throws PgError.
  const ServedClass* find_class(std::uint32_t class_index);

  // The class with the highest score among those that still exist. Throws Error when there are none.
  std::uint32_t best_existing_class(std::span<const double> scores);

 private:
  void look_up(std::uint32_t class_index, ServedClass& known);

  VersionRow version_;
  bool is_shared_;
  ModelPin model_;
  Predictor predictor_;
  std::vector<ServedClass> classes_;
  Snapshot snapshot_ = nullptr;
  SnapshotIdentity snapshot_identity_;
};

// The live version of the named model for this call; `name` without data: the default. Called once for each call of
// the SQL function; cheap unless the statement is a new one. Throws PgError, Error.
ServedModel& served_model(FunctionCallInfo fcinfo, std::string_view name);

// The same, if that was found out before and still holds: what says that there is none, or no right to use it, is then
// left to served_model. nullptr: ask that. Throws PgError, but none that a user could cause.
ServedModel* known_served_model(FunctionCallInfo fcinfo, std::string_view name);

// The live version, or an error that says why there is none. May raise PostgreSQL errors.
VersionRow require_live_version(const ModelRow& model, Snapshot snapshot);

// At the end of a transaction: forgets versions that have been replaced. Raises no errors.
void forget_outdated_served_models();
// When a savepoint was rolled back: the same command may then see other rows.
void count_rollback_to_savepoint();

}  // namespace reyearn::pg
