#include "pg/model_cache.hpp"

#include <algorithm>
#include <list>

#include "core/error.hpp"
#include "pg/guard.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

struct Identity {
  Oid images_oid;
  std::int64_t version_id;
  std::uint64_t checksum;

  bool operator==(const Identity&) const = default;
};

struct Entry {
  Identity identity;
  std::int64_t model_id;
  std::shared_ptr<const LoadedModel> model;
};

constexpr std::size_t kMostEntries = 16;

// Used last comes first. Owned by this file; freed by the end of the process.
std::list<Entry> entries;

void remember(Entry entry) {
  // An older version of the same model is hardly asked for again.
  entries.remove_if([&](const Entry& old) { return old.model_id == entry.model_id; });
  if (entries.size() >= kMostEntries) entries.pop_back();
  entries.push_front(std::move(entry));
}

}  // namespace

std::shared_ptr<const LoadedModel> load_model(const VersionRow& version, Snapshot snapshot) {
  const Oid images_oid = pg_call([] { return relation_oid("model_images"); });
  const Identity identity{images_oid, version.version_id, version.image_checksum};
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.identity == identity; });
  if (found != entries.end()) {
    entries.splice(entries.begin(), entries, found);
    return found->model;
  }
  auto model = std::make_shared<const LoadedModel>(load_image(version, "serving", snapshot));
  if (model->view().checksum() != version.image_checksum) {
    throw Error(ErrorCode::kCorruptModel, "model image is damaged",
                "Its checksum is not the one recorded for version " + std::to_string(version.version) + ".",
                "Restore it from a backup, or train the model again.");
  }
  remember(Entry{identity, version.model_id, model});
  return model;
}

std::vector<std::byte> load_image(const VersionRow& version, const char* kind, Snapshot snapshot) {
  std::vector<std::byte> bytes(pg_call([&] { return image_size(version, kind, snapshot); }));
  if (!pg_call([&] { return read_image(version, kind, bytes, snapshot); })) {
    throw Error(ErrorCode::kInternal, "model image changed while it was read");
  }
  return bytes;
}

}  // namespace reyearn::pg
