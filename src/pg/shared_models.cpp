#include "pg/shared_models.hpp"

#include <algorithm>
#include <list>
#include <string>

#include "core/error.hpp"
#include "pg/guard.hpp"
#include "pg/settings.hpp"
#include "pg/stored_image.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

constexpr std::size_t kMostModels = 16;
constexpr std::uint64_t kCallsPerTimedCall = 8;
constexpr int kRetryMs = 10'000;  // between two attempts to share what had to be private

// Why the registry or the operating system did not share an image. `system` is what the latter said.
struct Refusal {
  WhyPrivate why = WhyPrivate::kNone;
  char system[256] = "";
};

}  // namespace

// All that this file keeps, for the life of the process: nothing of it is destroyed at its exit, when PostgreSQL has
// unmapped the segments already.
class Models {
 public:
  LoadedModel* find(const ImageIdentity& identity);
  LoadedModel& add_shared(const ImageIdentity&, std::int64_t model_id, int entry, Segment, const ModelView&);
  LoadedModel& add_private(const ImageIdentity&, std::int64_t model_id, std::vector<std::byte>, const ModelView&);
  // Private copies of the same version, and if it is live of others of its model, are hardly asked for again.
  void replace_private_copies(const LoadedModel& by, bool is_live);
  // Lets go of what was used least recently and is not pinned, so that one more can be held.
  void make_room_for_shared();

  bool has_outdated() const;
  void hand_over_usage();
  void unload_outdated();

  bool is_usage_pending = false;
  WhyPrivate warned_of = WhyPrivate::kNone;

 private:
  void added() {
    if (models_.size() > kMostModels) unload_least_recently_used([](const LoadedModel&) { return true; });
  }
  template <typename Condition>
  void unload_least_recently_used(Condition condition);
  void report_private_bytes();

  std::list<LoadedModel> models_;  // used last comes first
  std::uint64_t private_bytes_reported_ = 0;
};

namespace {

Models& models() {
  static Models* const all = new Models;
  return *all;
}

}  // namespace

LoadedModel* Models::find(const ImageIdentity& identity) {
  const auto found = std::find_if(models_.begin(), models_.end(), [&](const LoadedModel& model) {
    return model.identity_ == identity && !model.is_replaced_;
  });
  if (found == models_.end()) return nullptr;
  models_.splice(models_.begin(), models_, found);
  return &models_.front();
}

LoadedModel& Models::add_shared(const ImageIdentity& identity, std::int64_t model_id, int entry, Segment segment,
                                const ModelView& view) {
  models_.emplace_front(identity, model_id, entry, std::move(segment), view);
  added();
  return models_.front();
}

LoadedModel& Models::add_private(const ImageIdentity& identity, std::int64_t model_id, std::vector<std::byte> bytes,
                                 const ModelView& view) {
  models_.emplace_front(identity, model_id, std::move(bytes), view);
  models_.front().put_off_sharing();
  added();
  report_private_bytes();
  return models_.front();
}

void Models::replace_private_copies(const LoadedModel& by, bool is_live) {
  for (LoadedModel& model : models_) {
    if (&model == &by || model.is_shared() || model.model() != by.model()) continue;
    if (is_live || model.identity_ == by.identity_) model.is_replaced_ = true;
  }
}

void Models::make_room_for_shared() {
  const auto shared = std::count_if(models_.begin(), models_.end(), [](const LoadedModel& m) { return m.is_shared(); });
  if (shared < Registry::kMostHeld) return;
  unload_least_recently_used([](const LoadedModel& model) { return model.is_shared(); });
}

// But never the first, which is about to be used.
template <typename Condition>
void Models::unload_least_recently_used(Condition condition) {
  for (auto model = models_.end(); --model != models_.begin();) {
    if (model->is_pinned() || !condition(*model)) continue;
    models_.erase(model);
    report_private_bytes();
    return;
  }
}

bool Models::has_outdated() const {
  return std::any_of(models_.begin(), models_.end(), [](const LoadedModel& model) { return model.is_outdated(); });
}

// What is still pinned is looked at again when the next transaction ends.
void Models::unload_outdated() {
  if (!has_outdated()) return;
  models_.remove_if([](const LoadedModel& model) { return model.is_outdated() && !model.is_pinned(); });
  report_private_bytes();
}

void Models::report_private_bytes() {
  std::uint64_t bytes = 0;
  for (const LoadedModel& model : models_) bytes += model.private_bytes();
  if (bytes != private_bytes_reported_) registry().set_private_bytes(bytes);
  private_bytes_reported_ = bytes;
}

void Models::hand_over_usage() {
  if (!is_usage_pending) return;
  for (LoadedModel& model : models_) model.hand_over_usage();
  is_usage_pending = false;
}

void LoadedModel::hand_over_usage() {
  if (is_shared()) {
    registry().add_usage(entry_, usage_);
  } else if (usage_.calls > 0 || usage_.loads > 0) {
    registry().add_usage(identity_, usage_);
  }
  usage_ = {};
}

LoadedModel::~LoadedModel() {
  hand_over_usage();
  if (is_shared()) registry().release(entry_);
}

bool LoadedModel::may_be_shared_now() const {
  return !is_shared() && TimestampDifferenceExceeds(time_refused_, GetCurrentStatementStartTimestamp(), kRetryMs);
}

void LoadedModel::count_load() {
  ++usage_.loads;
  models().is_usage_pending = true;
}

void LoadedModel::count_attach() {
  ++usage_.attaches;
  models().is_usage_pending = true;
}

CallTimer::CallTimer(LoadedModel& model) : model_(model), is_timed_(model.calls_++ % kCallsPerTimedCall == 0) {
  ++model.usage_.calls;
  models().is_usage_pending = true;
  if (!is_timed_) return;
  ++model.usage_.timed_calls;
  start_ = std::chrono::steady_clock::now();
}

// Loading.

namespace {

ImageIdentity identity_of(const VersionRow& version) {
  const Oid images = pg_call([] { return relation_oid("model_images"); });
  return {MyDatabaseId, images, version.version_id, version.image_checksum, version.tenant_id};
}

[[noreturn]] void refuse_damaged(const VersionRow& version, const char* what) {
  throw Error(
      ErrorCode::kCorruptModel, "model image is damaged",
      std::string("Its ") + what + " is not the one recorded for version " + std::to_string(version.version) + ".",
      "Restore it from a backup, or train the model again.");
}

void check_recorded(const VersionRow& version, const ModelView& view) {
  if (view.checksum() != version.image_checksum) refuse_damaged(version, "checksum");
}

// Until it is published, a claimed entry is given up on the way out.
class Claim {
 public:
  ~Claim() {
    if (!is_published_) registry().abandon();
  }
  void publish(const LoadedModel& model, bool is_live) {
    registry().publish(model.segment(), is_live);
    is_published_ = true;
  }

 private:
  bool is_published_ = false;
};

// Until a LoadedModel keeps it, an entry that is held is let go on the way out.
class Hold {
 public:
  explicit Hold(int entry) : entry_(entry) {}
  ~Hold() {
    if (!is_kept_) registry().release(entry_);
  }
  void keep() { is_kept_ = true; }

 private:
  int entry_;
  bool is_kept_ = false;
};

// What the other versions of a model took is given back. May not be called for a version that others do not see as live.
void replace_others(const LoadedModel& live) {
  registry().retire_model(live.model(), live.identity().version_id);
  models().replace_private_copies(live, true);
}

// Fills a segment with the image and lets others have it.
LoadedModel* load_claimed(const VersionRow& version, const ImageIdentity& identity, int entry, Snapshot snapshot,
                          Refusal& refusal) {
  Claim claim;
  const auto size = static_cast<std::size_t>(version.image_bytes);
  Segment segment = Segment::create(size, refusal.system);
  if (!segment) {
    refusal.why = WhyPrivate::kNoSegment;
    return nullptr;
  }
  const std::span<std::byte> bytes = segment.bytes().first(size);
  const bool is_whole = pg_call([&] {
    return read_image(version, "serving", bytes, snapshot, [](std::size_t n) { registry().report_progress(n); });
  });
  if (!is_whole) refuse_damaged(version, "size");
  const ModelView view = ModelView::open(bytes);
  check_recorded(version, view);
  const bool is_live = pg_call([&] { return is_live_for_all(version); });
  LoadedModel& model = models().add_shared(identity, version.model_id, entry, std::move(segment), view);
  claim.publish(model, is_live);
  model.count_load();
  models().replace_private_copies(model, false);
  if (is_live) replace_others(model);
  pg_call([&] { registry().retire_orphans(identity.images); });
  return &model;
}

// A retired version may be live again, or a version that only its own transaction saw have been committed.
void revive_if_live(const LoadedModel& model, const VersionRow& version) {
  if (!registry().is_retired(model.entry())) return;
  if (!pg_call([&] { return is_live_for_all(version); })) return;
  registry().revive(model.entry());
  replace_others(model);
}

// Maps a segment that another backend has filled.
LoadedModel* attach_held(const VersionRow& version, const ImageIdentity& identity, const Registry::Answer& held,
                         Refusal& refusal) {
  Hold hold(held.entry);
  Segment segment = Segment::attach(held.segment, refusal.system);
  if (!segment) {
    refusal.why = WhyPrivate::kNoSegment;
    return nullptr;
  }
  const auto size = static_cast<std::size_t>(version.image_bytes);
  if (size > segment.bytes().size()) refuse_damaged(version, "size");
  const ModelView view = ModelView::open_checked(segment.bytes().first(size));
  LoadedModel& model = models().add_shared(identity, version.model_id, held.entry, std::move(segment), view);
  hold.keep();
  model.count_attach();
  models().replace_private_copies(model, !registry().is_retired(held.entry));
  revive_if_live(model, version);
  return &model;
}

LoadedModel* share(const VersionRow& version, const ImageIdentity& identity, Snapshot snapshot, bool may_wait,
                   Refusal& refusal) {
  models().make_room_for_shared();
  // While it is loading it, a session should wait for no other: those may wait for it.
  pg_call([&] { LockRelationOid(identity.images, AccessShareLock); });
  while (refusal.why == WhyPrivate::kNone) {
    check_for_interrupts();
    const Registry::Answer answer =
        registry().request(identity, version.model_id, static_cast<std::uint64_t>(version.image_bytes));
    switch (answer.what) {
      case Registry::Answer::kHeld:
        return attach_held(version, identity, answer, refusal);
      case Registry::Answer::kClaimed:
        return load_claimed(version, identity, answer.entry, snapshot, refusal);
      case Registry::Answer::kBusy:
        if (!may_wait || !pg_call([&] { return registry().wait_for_loader(answer.entry, identity); })) {
          refusal.why = WhyPrivate::kSlowLoader;
        }
        break;
      case Registry::Answer::kRefused:
        refusal.why = answer.why;
        break;
    }
  }
  return nullptr;
}

}  // namespace

// Going without.

namespace {

// Texts of the WARNING that a private copy comes with.
void warn_of_private_copy(const VersionRow& version, Snapshot snapshot, const Refusal& refusal) {
  const char* name = model_name({version.tenant_id, version.model_id, {}}, snapshot);
  const char* detail = nullptr;
  const char* hint = "Add it to shared_preload_libraries and restart the server.";
  switch (refusal.why) {
    case WhyPrivate::kNone:
      return;
    case WhyPrivate::kNoRegistry:
      detail = "The server's shared memory had no room left for reyearn, which is not preloaded.";
      break;
    case WhyPrivate::kRegistryFull:
      detail = psprintf("There are %d versions in shared memory, and all are in use.", registry().facts().capacity);
      if (is_library_preloaded()) hint = "End the sessions that hold old versions; reyearn.stat_models shows them.";
      break;
    case WhyPrivate::kOverLimit:
      detail = psprintf("With its " INT64_FORMAT " bytes, reyearn.shared_memory_limit (%d MB) would be passed.",
                        version.image_bytes, settings().shared_memory_limit_mb);
      hint = "Raise reyearn.shared_memory_limit; reyearn_status() shows what is used.";
      break;
    case WhyPrivate::kNoSegment:
      detail = psprintf("The system says: %s.", refusal.system);
      hint = "Give the server more shared memory: enlarge /dev/shm, in Docker with --shm-size.";
      break;
    case WhyPrivate::kSlowLoader:
      detail = "Another session has begun to load it and does not get on.";
      hint = "Look for what that session waits for in pg_stat_activity.";
      break;
    case WhyPrivate::kHeldTooMany:
      detail = psprintf("The statement uses more than %d versions at once.", Registry::kMostHeld);
      hint = "Use fewer models in one statement.";
      break;
  }
  ereport(WARNING, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
                    errmsg("model \"%s\" is not shared: this session has read it into its own memory",
                           name != nullptr ? name : "?"),
                    errdetail_internal("%s", detail), errhint("%s", hint)));
}

LoadedModel& load_private(const VersionRow& version, const ImageIdentity& identity, Snapshot snapshot,
                          const Refusal& refusal) {
  std::vector<std::byte> bytes = load_image(version, "serving", snapshot);
  const ModelView view = ModelView::open(bytes);
  check_recorded(version, view);
  const bool is_live = pg_call([&] { return is_live_for_all(version); });
  LoadedModel& model = models().add_private(identity, version.model_id, std::move(bytes), view);
  models().replace_private_copies(model, is_live);
  model.count_load();
  registry().count_fallback(refusal.why);
  if (models().warned_of != refusal.why) pg_call([&] { warn_of_private_copy(version, snapshot, refusal); });
  models().warned_of = refusal.why;
  return model;
}

LoadedModel* find_or_share(const VersionRow& version, const ImageIdentity& identity, Snapshot snapshot,
                           Refusal& refusal) {
  LoadedModel* known = models().find(identity);
  if (known != nullptr && known->is_shared()) {
    revive_if_live(*known, version);
    return known;
  }
  if (known != nullptr && !known->may_be_shared_now()) return known;
  LoadedModel* shared = share(version, identity, snapshot, known == nullptr, refusal);
  if (shared != nullptr) models().warned_of = WhyPrivate::kNone;
  if (shared != nullptr || known == nullptr) return shared;
  known->put_off_sharing();
  return known;
}

}  // namespace

ModelPin load_model(const VersionRow& version, Snapshot snapshot) {
  const ImageIdentity identity = identity_of(version);
  Refusal refusal;
  if (LoadedModel* model = find_or_share(version, identity, snapshot, refusal)) return ModelPin(*model);
  return ModelPin(load_private(version, identity, snapshot, refusal));
}

std::optional<ModelPin> load_shared_model(const VersionRow& version, Snapshot snapshot) {
  Refusal refusal;
  LoadedModel* model = find_or_share(version, identity_of(version), snapshot, refusal);
  if (model == nullptr || !model->is_shared()) return std::nullopt;
  return ModelPin(*model);
}

bool has_outdated_models() { return models().has_outdated(); }

void finish_with_models() {
  models().hand_over_usage();
  models().unload_outdated();
}

}  // namespace reyearn::pg
