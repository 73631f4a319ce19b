// The models that this backend has loaded: one copy a server, in shared memory (see registry.hpp), or, where that is
// not to be had, one of its own.
//
// A loaded model never changes. Whoever uses one holds a ModelPin, and may use it as long as he likes; what is pinned
// is not unmapped. What is not, and has been replaced, goes at the end of a transaction; of the rest those used last
// are kept.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "core/model/view.hpp"
#include "pg/catalog.hpp"
#include "pg/registry.hpp"
#include "pg/segment.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

class LoadedModel {
 public:
  // In shared memory, held in the registry.
  LoadedModel(const ImageIdentity& identity, std::int64_t model_id, int entry, Segment segment, const ModelView& view)
      : identity_(identity), model_id_(model_id), entry_(entry), segment_(std::move(segment)), view_(view) {}
  // Private; the view reads these bytes.
  LoadedModel(const ImageIdentity& identity, std::int64_t model_id, std::vector<std::byte> bytes, const ModelView& view)
      : identity_(identity), model_id_(model_id), bytes_(std::move(bytes)), view_(view) {}
  ~LoadedModel();
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  const ModelView& view() const { return view_; }
  const ImageIdentity& identity() const { return identity_; }
  ModelIdentity model() const { return {identity_.images, identity_.tenant_id, model_id_}; }
  bool is_shared() const { return entry_ >= 0; }
  int entry() const { return entry_; }
  dsm_segment* segment() const { return segment_.get(); }
  std::size_t private_bytes() const { return bytes_.size(); }

  // Whether another version has taken its place.
  bool is_outdated() const { return is_replaced_ || (is_shared() && registry().is_retired(entry_)); }
  bool is_pinned() const { return pins_ > 0; }
  // Whether it is private, and it is time to look for room in shared memory again.
  bool may_be_shared_now() const;

  void count_load();
  void count_attach();
  void put_off_sharing() { time_refused_ = GetCurrentTimestamp(); }

 private:
  friend class ModelPin;
  friend class CallTimer;
  friend class Models;

  ImageIdentity identity_;
  std::int64_t model_id_;
  int entry_ = -1;
  Segment segment_;
  std::vector<std::byte> bytes_;
  ModelView view_;
  int pins_ = 0;
  bool is_replaced_ = false;
  TimestampTz time_refused_ = 0;
  std::uint64_t calls_ = 0;
  Usage usage_;  // not yet in the registry

  void hand_over_usage();
};

class ModelPin {
 public:
  explicit ModelPin(LoadedModel& model) : model_(&model) { ++model.pins_; }
  ~ModelPin() {
    if (model_ != nullptr) --model_->pins_;
  }
  ModelPin(ModelPin&& other) noexcept : model_(std::exchange(other.model_, nullptr)) {}
  ModelPin& operator=(ModelPin&& other) noexcept {
    std::swap(model_, other.model_);
    return *this;
  }

  LoadedModel* operator->() const { return model_; }
  LoadedModel& operator*() const { return *model_; }

 private:
  LoadedModel* model_;
};

// Counts a call, and takes the time of one in eight: reading the clock twice costs as much as reading a short text.
class CallTimer {
 public:
  explicit CallTimer(LoadedModel& model);
  ~CallTimer() {
    if (is_timed_) {
      model_.usage_.nanoseconds += static_cast<std::uint64_t>((std::chrono::steady_clock::now() - start_).count());
    }
  }
  CallTimer(const CallTimer&) = delete;

 private:
  LoadedModel& model_;
  bool is_timed_;
  std::chrono::steady_clock::time_point start_;
};

// The serving image of a version, loaded if need be; a private one with a WARNING that says why.
// Throws PgError, Error(kCorruptModel), Error(kNewerModel).
ModelPin load_model(const VersionRow& version, Snapshot snapshot);

// The same, but nothing when it cannot be shared.
std::optional<ModelPin> load_shared_model(const VersionRow& version, Snapshot snapshot);

// At the end of a transaction: hands counters to the registry; unmaps what is neither current nor pinned. They raise no
// errors. The first says whether there is anything outdated, for those who keep pins of their own.
bool has_outdated_models();
void finish_with_models();

}  // namespace reyearn::pg
