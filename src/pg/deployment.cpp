#include "pg/deployment.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "core/error.hpp"
#include "pg/announcements.hpp"
#include "pg/attachments.hpp"
#include "pg/datum.hpp"
#include "pg/guard.hpp"
#include "pg/shared_models.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

// A model whose versions were changed by this transaction, perhaps in a part of it that was rolled back: what is live
// in the end is looked up before the commit.
struct Deployment {
  ModelIdentity model;
  std::int64_t live_version_id = 0;  // 0: none
  std::optional<ModelPin> loaded = std::nullopt;
};

// What this transaction has touched.
struct Deployments {
  std::vector<Deployment> models;
  Oid truncated_images = InvalidOid;
};

Deployments& deployments() {
  static auto* const all = new Deployments;
  return *all;
}

void note(const ModelIdentity& model) {
  std::vector<Deployment>& models = deployments().models;
  const bool is_known =
      std::any_of(models.begin(), models.end(), [&](const Deployment& one) { return one.model == model; });
  if (!is_known) models.push_back({model});
}

void prepare(Deployment& deployment) {
  const ModelRow model{deployment.model.tenant_id, deployment.model.model_id, {}};
  const std::optional<VersionRow> live = pg_call([&] { return find_live_version(model, nullptr); });
  if (!live) return;
  deployment.live_version_id = live->version_id;
  if (!registry().knows_model(deployment.model)) return;
  try {
    deployment.loaded = load_shared_model(*live, GetActiveSnapshot());
  } catch (const Error&) {
    // A damaged image: whoever predicts with it is told.
  }
}

// The model's id and whether the version is live, of a row of reyearn.model_versions.
struct VersionState {
  ModelIdentity model;
  bool is_live;
};

VersionState state_of(const TriggerData* trigger, HeapTuple row, Oid images) {
  const auto value = [&](const char* column) { return column_of(trigger, row, column); };
  return {{images, DatumGetInt32(value("tenant_id")), DatumGetInt64(value("model_id"))},
          DatumGetBool(value("is_live"))};
}

}  // namespace

void prepare_deployments() {
  std::vector<Deployment>& models = deployments().models;
  if (models.empty() && !OidIsValid(deployments().truncated_images)) return;
  registry();  // found now, when that may still fail
  pg_call([] {
    CommandCounterIncrement();
    PushActiveSnapshot(GetTransactionSnapshot());
  });
  for (Deployment& deployment : models) prepare(deployment);
  pg_call([] { PopActiveSnapshot(); });
}

void complete_deployments() {
  for (const Deployment& deployment : deployments().models) {
    if (deployment.loaded) registry().revive((*deployment.loaded)->entry());
    registry().retire_model(deployment.model, deployment.live_version_id);
  }
  if (OidIsValid(deployments().truncated_images)) registry().retire_images(deployments().truncated_images);
}

void forget_deployments() {
  deployments().models.clear();
  deployments().truncated_images = InvalidOid;
}

extern "C" {

// On reyearn.model_versions, for each row, and for TRUNCATE.
PG_FUNCTION_INFO_V1(reyearn_version_changed);
PGDLLEXPORT Datum reyearn_version_changed(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "not called by a trigger");
  const auto* trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  const Oid images = relation_oid("model_images");
  if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event)) {
    deployments().truncated_images = images;
    return PointerGetDatum(nullptr);
  }
  const VersionState before = state_of(trigger, trigger->tg_trigtuple, images);
  const bool is_update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
  const VersionState after = is_update ? state_of(trigger, trigger->tg_newtuple, images) : before;
  guard([&] {
    if (before.is_live) note(before.model);
    if (after.is_live) note(after.model);
  });
  const bool is_new = TRIGGER_FIRED_BY_INSERT(trigger->tg_event) || !before.is_live;
  if (after.is_live && is_new) {
    announce(Announcement::kModel, after.model.model_id);
    // Rows may wait for it.
    if (is_anything_attached()) announce(Announcement::kWork, after.model.model_id);
  }
  return PointerGetDatum(nullptr);
}

}  // extern "C"

}  // namespace reyearn::pg
