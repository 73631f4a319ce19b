// ModelCache: the model images that this backend has loaded, each in private memory.
//
// A loaded model never changes, so it is known by identity: the table it came from (identities restart when the
// extension is created again), its version and its checksum. Whoever holds a shared_ptr may use it as long as he likes;
// the cache itself keeps the versions used last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/model/view.hpp"
#include "pg/catalog.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

// A model in memory: its bytes and the view that reads them.
class LoadedModel {
 public:
  // Throws like ModelView::open.
  explicit LoadedModel(std::vector<std::byte> bytes) : bytes_(std::move(bytes)), view_(ModelView::open(bytes_)) {}
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  const ModelView& view() const { return view_; }

 private:
  std::vector<std::byte> bytes_;
  ModelView view_;
};

// The serving image of a version, loaded if need be. Throws PgError, Error(kCorruptModel), Error(kNewerModel).
std::shared_ptr<const LoadedModel> load_model(const VersionRow& version, Snapshot snapshot);

// The bytes of an image; empty when the version has none of that kind. Throws the same.
std::vector<std::byte> load_image(const VersionRow& version, const char* kind, Snapshot snapshot);

}  // namespace reyearn::pg
