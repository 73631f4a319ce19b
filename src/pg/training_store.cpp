#include "pg/training_store.hpp"

#include <algorithm>
#include <span>

#include "core/model/view.hpp"
#include "core/version.hpp"
#include "pg/announcements.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

SpiParameter optional_float8(const std::optional<double>& value) {
  return value ? spi_float8(*value) : spi_null(FLOAT8OID);
}

std::int64_t find_experiment(Spi& spi, const ModelDefinition& model, const Parameters& parameters) {
  const std::initializer_list<SpiParameter> key = {spi_int4(model.id.tenant_id), spi_int8(model.id.model_id),
                                                   spi_float8(parameters.holdout), spi_int8(parameters.seed),
                                                   spi_text(kMetric)};
  spi.execute(
      "INSERT INTO reyearn.experiments (tenant_id, model_id, holdout, seed, metric) VALUES ($1, $2, $3, $4, $5) "
      "ON CONFLICT DO NOTHING",
      key);
  spi.execute(
      "SELECT experiment_id FROM reyearn.experiments "
      "WHERE tenant_id = $1 AND model_id = $2 AND holdout = $3 AND seed = $4 AND metric = $5",
      key);
  return spi.row(0).int8(1);
}

struct NewVersion {
  std::int64_t version_id;
  int version;
};

// What a version was made from; unknown for an imported one.
struct Origin {
  std::string params = "{}";
  std::optional<double> score;
  std::int64_t examples = 0;
  std::optional<double> judge_holdout;
  std::vector<std::byte> data_digest;
};

NewVersion insert_version(Spi& spi, const ModelDefinition& model, const ModelView& image, const Origin& origin) {
  spi.execute(
      "INSERT INTO reyearn.model_versions (tenant_id, model_id, version, algorithm, params, metric, score, examples, "
      "  class_count, feature_count, image_bytes, image_checksum, judge_holdout, data_digest, library_version, "
      "  icu_version) "
      "SELECT $1, $2, 1 + coalesce(max(v.version), 0), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15 "
      "FROM reyearn.model_versions v WHERE v.tenant_id = $1 AND v.model_id = $2 "
      "RETURNING version_id, version",
      {spi_int4(model.id.tenant_id), spi_int8(model.id.model_id), spi_text(image.algorithm()), spi_json(origin.params),
       origin.score ? spi_text(kMetric) : spi_null(TEXTOID), optional_float8(origin.score), spi_int8(origin.examples),
       spi_int4(static_cast<int>(image.class_count())), spi_int8(static_cast<std::int64_t>(image.feature_count())),
       spi_int8(static_cast<std::int64_t>(image.bytes())), spi_int8(static_cast<std::int64_t>(image.checksum())),
       optional_float8(origin.judge_holdout),
       origin.data_digest.empty() ? spi_null(BYTEAOID) : spi_bytes(origin.data_digest), spi_text(kLibraryVersion),
       spi_text(image.icu_version())});
  return {spi.row(0).int8(1), spi.row(0).int4(2)};
}

void insert_image(Spi& spi, const ModelDefinition& model, const NewVersion& version, const char* kind,
                  std::span<const std::byte> bytes, const ShouldStop& should_stop) {
  int chunk_no = 0;
  for (std::size_t at = 0; at < bytes.size(); at += kChunkBytes) {
    const SpiParameter chunk = spi_bytes(bytes.subspan(at, std::min(kChunkBytes, bytes.size() - at)));
    spi.execute(
        "INSERT INTO reyearn.model_images (tenant_id, version_id, kind, chunk_no, data) VALUES ($1, $2, $3, $4, $5)",
        {spi_int4(model.id.tenant_id), spi_int8(version.version_id), spi_text(kind), spi_int4(chunk_no++), chunk});
    pg_call([&] { pfree(DatumGetPointer(chunk.value)); });
    stop_if_asked(should_stop);
  }
}

// Makes a version live, and lets old ones go.
void make_live(Spi& spi, const ModelDefinition& model, int version) {
  spi.execute("SELECT reyearn.make_live_of($1, $2, $3, false)",
              {spi_int4(model.id.tenant_id), spi_int8(model.id.model_id), spi_int4(version)});
}

// Old versions go first: what is left has to be within the tenant's limit.
void prune_versions(Spi& spi, const ModelDefinition& model) {
  spi.execute("SELECT reyearn.prune_versions($1, $2)", {spi_int4(model.id.tenant_id), spi_int8(model.id.model_id)});
  spi.execute("SELECT reyearn.check_image_quota($1)", {spi_int4(model.id.tenant_id)});
}

void end_run(Spi& spi, const ModelDefinition& model, const TrainingRequest& request, const TrainingOutcome& outcome,
             const NewVersion& version, const Origin& origin, double seconds, std::int64_t run_id) {
  const std::int64_t experiment_id = find_experiment(spi, model, request.parameters);
  const bool is_holdout = outcome.compared_by == ComparedBy::kHoldout;
  spi.execute(
      "UPDATE reyearn.runs SET experiment_id = $3, version_id = $4, live_version = $5, outcome = $6, algorithm = $7, "
      "  params = $8, compared_by = $9, compared_on = $10, metric = $11, score = $12, live_score = $13, p_value = $14, "
      "  metrics = $15, live_metrics = $16, examples = $17, seconds = $18, reason = $19, data_digest = $20, "
      "  time_finished = clock_timestamp() "
      "WHERE tenant_id = $1 AND run_id = $2",
      {spi_int4(model.id.tenant_id),
       spi_int8(run_id),
       spi_int8(experiment_id),
       spi_int8(version.version_id),
       request.live ? spi_int4(request.live->version) : spi_null(INT4OID),
       spi_text(outcome.verdict.promote ? "promoted" : "kept"),
       spi_text(request.algorithm),
       spi_json(origin.params),
       spi_text(is_holdout ? "holdout" : "cross_validation"),
       spi_int8(static_cast<std::int64_t>(outcome.compared_on)),
       spi_text(kMetric),
       spi_float8(outcome.score),
       optional_float8(outcome.live_score),
       optional_float8(outcome.p_value),
       spi_json(metrics_to_json(outcome.metrics)),
       outcome.live_metrics ? spi_json(metrics_to_json(*outcome.live_metrics)) : spi_null(JSONBOID),
       spi_int8(origin.examples),
       spi_float8(seconds),
       spi_text(outcome.verdict.reason),
       spi_bytes(origin.data_digest)});
}

// Predicted label → number of texts, for texts of one class, as JSON. Labels need no escaping.
std::string confusion_json(const Metrics& metrics, std::uint32_t actual, const std::vector<ModelClass>& classes) {
  std::string json = "{";
  for (auto one = metrics.confusion.lower_bound({actual, 0}); one != metrics.confusion.end(); ++one) {
    const auto [of, predicted] = one->first;
    if (of != actual) break;
    if (predicted == kNoLabel) continue;
    json += (json.size() > 1 ? ", \"" : "\"") + classes[predicted].label + "\": " + std::to_string(one->second);
  }
  return json + "}";
}

void insert_run_labels(Spi& spi, const ModelDefinition& model, const TrainingRequest& request, const Metrics& metrics,
                       std::int64_t run_id) {
  for (std::uint32_t label = 0; label < request.classes.size(); ++label) {
    const LabelMetrics& one = metrics.labels[label];
    spi.execute(
        "INSERT INTO reyearn.run_labels (tenant_id, run_id, label, class_id, \"precision\", recall, f1, support, "
        "  confusion) "
        "VALUES ($1, $2, reyearn.parse_label($3), $4, $5, $6, $7, $8, $9)",
        {spi_int4(model.id.tenant_id), spi_int8(run_id), spi_text(request.classes[label].label),
         spi_int8(request.classes[label].id), spi_float8(one.precision), spi_float8(one.recall), spi_float8(one.f1),
         spi_int8(static_cast<std::int64_t>(one.support)), spi_json(confusion_json(metrics, label, request.classes))});
  }
}

std::vector<std::byte> to_bytes(const DataDigest& digest) {
  const auto bytes = std::as_bytes(std::span(digest));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

std::optional<TrainingResult> find_unchanged_run(Spi& spi, const ModelDefinition& model,
                                                 const TrainingRequest& request) {
  spi.query(
      "SELECT run_id, version, score, live_score, examples, reason FROM "
      "  (SELECT r.*, v.version, v.library_version, v.icu_version "
      "   FROM reyearn.runs r JOIN reyearn.model_versions v USING (tenant_id, version_id) "
      "   WHERE r.tenant_id = $1 AND r.model_id = $2 AND r.outcome IN ('promoted', 'kept') "
      "   ORDER BY v.version DESC LIMIT 1) AS last "
      "WHERE data_digest = $3 AND algorithm = $4 AND params = $5 AND library_version = $6 AND icu_version = $7",
      {spi_int4(model.id.tenant_id), spi_int8(model.id.model_id), spi_bytes(to_bytes(data_digest(request))),
       spi_text(request.algorithm), spi_json(parameters_to_json(request.parameters)), spi_text(kLibraryVersion),
       spi_text(icu_version())});
  if (spi.row_count() == 0) return std::nullopt;
  const SpiRow row = spi.row(0);
  TrainingResult result;
  result.run_id = row.int8(1);
  result.model = model.name;
  result.version = row.int4(2);
  result.outcome = "unchanged";
  result.score = row.float8(3);
  if (!row.is_null(4)) result.live_score = row.float8(4);
  result.examples = row.int8(5);
  result.seconds = 0;
  result.reason = "examples and parameters are those of version " + std::to_string(row.int4(2)) + " (" +
                  std::string(row.text(6)) + ")";
  return result;
}

// Announced also when one like it waits already: whoever was to be woken for that may have been missed.
TrainingResult queue_run(Spi& spi, const ModelRow& model, Datum params) {
  pg_call([&] { announce(Announcement::kWork, model.model_id); });
  spi.execute("SELECT run_id, name FROM reyearn.queue_run($1, $2, $3)",
              {spi_int4(model.tenant_id), spi_int8(model.model_id), {JSONBOID, params}});
  TrainingResult result;
  result.run_id = spi.row(0).int8(1);
  result.model = spi.row(0).text(2);
  result.outcome = "queued";
  result.reason = "it is trained in the background; reyearn.runs and reyearn.progress show how far it is";
  return result;
}

std::int64_t begin_run(Spi& spi, const ModelDefinition& model) {
  spi.execute("INSERT INTO reyearn.runs (tenant_id, model_id, outcome) VALUES ($1, $2, 'running') RETURNING run_id",
              {spi_int4(model.id.tenant_id), spi_int8(model.id.model_id)});
  return spi.row(0).int8(1);
}

TrainingResult store_unchanged(Spi& spi, const ModelDefinition& model, std::int64_t run_id,
                               const TrainingResult& result, double seconds) {
  spi.execute(
      "UPDATE reyearn.runs SET outcome = 'unchanged', examples = $3, seconds = $4, reason = $5, "
      "  time_finished = clock_timestamp() WHERE tenant_id = $1 AND run_id = $2",
      {spi_int4(model.id.tenant_id), spi_int8(run_id), spi_int8(result.examples), spi_float8(seconds),
       spi_text(result.reason)});
  TrainingResult stored = result;
  stored.run_id = run_id;
  return stored;
}

TrainingResult store_training(Spi& spi, const ModelDefinition& model, const TrainingRequest& request,
                              const TrainingOutcome& outcome, double seconds, std::int64_t run_id) {
  Origin origin;
  origin.params = parameters_to_json(request.parameters);
  origin.score = outcome.score;
  origin.examples = static_cast<std::int64_t>(request.examples.size());
  if (!outcome.judge.empty()) origin.judge_holdout = request.parameters.holdout;
  origin.data_digest = to_bytes(data_digest(request));

  const NewVersion version = insert_version(spi, model, ModelView::open(outcome.serving), origin);
  insert_image(spi, model, version, "serving", outcome.serving, request.execution.should_stop);
  insert_image(spi, model, version, "judge", outcome.judge, request.execution.should_stop);
  end_run(spi, model, request, outcome, version, origin, seconds, run_id);
  insert_run_labels(spi, model, request, outcome.metrics, run_id);
  if (outcome.verdict.promote) make_live(spi, model, version.version);
  prune_versions(spi, model);
  return {run_id,
          model.name,
          version.version,
          outcome.verdict.promote ? "promoted" : "kept",
          outcome.score,
          outcome.live_score,
          origin.examples,
          seconds,
          outcome.verdict.reason};
}

int store_imported_version(Spi& spi, const ModelDefinition& model, const std::vector<std::byte>& image) {
  const NewVersion version = insert_version(spi, model, ModelView::open(image), Origin{});
  insert_image(spi, model, version, "serving", image, check_for_interrupts);
  spi.execute("SELECT FROM reyearn.model_versions WHERE tenant_id = $1 AND model_id = $2 AND is_live",
              {spi_int4(model.id.tenant_id), spi_int8(model.id.model_id)});
  if (spi.row_count() == 0) make_live(spi, model, version.version);
  prune_versions(spi, model);
  return version.version;
}

void delete_news(Spi& spi, const ModelDefinition& model, const std::vector<std::int64_t>& ids) {
  spi.execute("DELETE FROM reyearn.news WHERE tenant_id = $1 AND news_id = ANY ($2)",
              {spi_int4(model.id.tenant_id), spi_int8_array(ids)});
}

}  // namespace reyearn::pg
