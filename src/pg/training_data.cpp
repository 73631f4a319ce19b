#include "pg/training_data.hpp"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "core/classify/examples.hpp"
#include "core/error.hpp"
#include "pg/datum.hpp"
#include "pg/parameters.hpp"
#include "pg/stored_image.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

constexpr long kRowsPerFetch = 1000;

SpiParameter optional_int8(const std::optional<std::int64_t>& value) {
  return value ? spi_int8(*value) : spi_null(INT8OID);
}

// The classes under the model's root, in the order of their labels.
std::vector<ModelClass> read_classes(Spi& spi, const ModelDefinition& model) {
  spi.query(
      "SELECT c.class_id, c.label::text FROM reyearn.classes c "
      "WHERE c.tenant_id = $1 AND ($2 IS NULL OR reyearn.is_under(c.label, "
      "  (SELECT r.label FROM reyearn.classes r WHERE r.tenant_id = $1 AND r.class_id = $2)))",
      {spi_int4(model.id.tenant_id), optional_int8(model.label_root_id)});
  std::vector<ModelClass> classes;
  for (std::uint64_t i = 0; i < spi.row_count(); ++i) {
    const SpiRow row = spi.row(i);
    classes.push_back({row.int8(1), std::string(row.text(2))});
  }
  std::sort(classes.begin(), classes.end(), [](const ModelClass& a, const ModelClass& b) { return a.label < b.label; });
  return classes;
}

void require_one_type(const ModelDefinition& model, const std::vector<ModelClass>& classes) {
  if (model.label_root_id) return;
  const std::vector<std::string> types = types_of(classes);
  if (types.size() < 2) return;
  std::string list;
  for (const std::string& type : types) list += (list.empty() ? "" : ", ") + type;
  throw Error(ErrorCode::kNotEnoughData, "model \"" + model.name + "\" has no label root, and there are several types",
              "The types are " + list + ".",
              "Give it one of them with reyearn_alter_model('" + model.name + "', label_root => '" + types[0] + "').");
}

std::vector<std::int64_t> ids_of(const std::vector<ModelClass>& classes) {
  std::vector<std::int64_t> ids;
  for (const ModelClass& one : classes) ids.push_back(one.id);
  return ids;
}

Confirmation confirmation(const SpiRow& row, const std::unordered_map<std::int64_t, std::uint32_t>& label_of) {
  Confirmation one;
  one.observation_id = row.int8(1);
  one.annotation_id = row.int8(2);
  one.time = row.int8(3);  // a timestamp is microseconds
  one.label = label_of.at(row.int8(4));
  const std::span<const std::byte> hash = row.bytes(5);
  if (hash.size() != one.content_hash.size()) throw Error(ErrorCode::kInternal, "content hash of a wrong length");
  std::memcpy(one.content_hash.data(), hash.data(), hash.size());
  return one;
}

DataDigest digest_of(std::span<const std::byte> bytes) {
  DataDigest digest{};
  std::memcpy(digest.data(), bytes.data(), std::min(bytes.size(), digest.size()));
  return digest;
}

// A transaction with one snapshot does not see versions made since: it could neither number the next one nor compare
// with the live one. Applications know that they have to retry after this error.
void require_current_snapshot(const ModelRow& model) {
  pg_call([&] {
    if (!IsolationUsesXactSnapshot()) return;
    CommandCounterIncrement();
    PushActiveSnapshot(GetTransactionSnapshot());
    const bool is_current = newest_version(model, GetActiveSnapshot()) == newest_version(model, nullptr);
    PopActiveSnapshot();
    if (is_current) return;
    ereport(ERROR,
            (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE), errmsg("could not serialize access due to concurrent update"),
             errdetail("Another session has made a version of the model after the transaction began."),
             errhint("Retry the transaction.")));
  });
}

}  // namespace

ModelDefinition lock_model(Spi& spi, const ModelRow& id) {
  spi.execute(
      "SELECT name, label_root_id, algorithm, params, promotion, owner FROM reyearn.models "
      "WHERE tenant_id = $1 AND model_id = $2 FOR NO KEY UPDATE",
      {spi_int4(id.tenant_id), spi_int8(id.model_id)});
  if (spi.row_count() == 0) throw Error(ErrorCode::kUnknownName, "the model was dropped meanwhile");
  require_current_snapshot(id);
  const SpiRow row = spi.row(0);
  ModelDefinition model;
  model.id = id;
  model.name = row.text(1);
  if (!row.is_null(2)) model.label_root_id = row.int8(2);
  model.algorithm = find_algorithm(row.text(3)).name();
  set_parameters(model.parameters, row.datum(4), false);
  model.promotion = parse_promotion(row.text(5));
  model.owner = DatumGetObjectId(row.datum(6));
  return model;
}

void read_examples(Spi& spi, const ModelDefinition& model, TrainingRequest& request) {
  const std::vector<ModelClass> classes = read_classes(spi, model);
  require_one_type(model, classes);
  std::unordered_map<std::int64_t, std::uint32_t> label_of;
  for (std::uint32_t label = 0; label < classes.size(); ++label) label_of[classes[label].id] = label;
  std::vector<Confirmation> confirmations;
  SpiCursor cursor(
      "SELECT a.observation_id, a.annotation_id, a.time_updated, a.class_id, o.content_hash "
      "FROM reyearn.annotations a JOIN reyearn.observations o USING (tenant_id, observation_id) "
      "WHERE a.tenant_id = $1 AND a.class_id = ANY ($2) AND a.status = 'confirmed' AND a.span IS NULL",
      {spi_int4(model.id.tenant_id), spi_int8_array(ids_of(classes))});
  while (cursor.fetch(kRowsPerFetch, false)) {
    for (std::uint64_t i = 0; i < cursor.row_count(); ++i) {
      confirmations.push_back(confirmation(cursor.row(i), label_of));
    }
    pg_call([] { CHECK_FOR_INTERRUPTS(); });
    stop_if_asked(request.execution.should_stop);
  }
  cursor.close();
  set_examples(request, confirmations, classes);
}

std::optional<LiveVersion> read_live_version(Spi& spi, const ModelDefinition& model) {
  const Snapshot snapshot = GetActiveSnapshot();
  const std::optional<VersionRow> version = pg_call([&] { return find_live_version(model.id, snapshot); });
  if (!version) return std::nullopt;
  spi.query(
      "SELECT algorithm, params, judge_holdout, data_digest FROM reyearn.model_versions WHERE tenant_id = $1 AND "
      "version_id = $2",
      {spi_int4(version->tenant_id), spi_int8(version->version_id)});
  if (spi.row_count() == 0) throw Error(ErrorCode::kUnknownName, "the model is not to be seen any more");
  const SpiRow row = spi.row(0);
  LiveVersion live;
  live.version = version->version;
  live.algorithm = row.text(1);
  set_parameters(live.parameters, row.datum(2), false);
  live.judge_holdout = row.float8(3);
  if (!row.is_null(4)) live.data_digest = digest_of(row.bytes(4));
  live.serving = load_image(*version, "serving", snapshot);
  live.judge = load_image(*version, "judge", snapshot);
  return live;
}

std::vector<std::int64_t> read_news(Spi& spi, const ModelDefinition& model) {
  spi.query("SELECT news_id FROM reyearn.news WHERE tenant_id = $1 AND model_id = $2",
            {spi_int4(model.id.tenant_id), spi_int8(model.id.model_id)});
  std::vector<std::int64_t> ids;
  for (std::uint64_t i = 0; i < spi.row_count(); ++i) ids.push_back(spi.row(i).int8(1));
  return ids;
}

TextReader::TextReader(const ModelDefinition& model, const TrainingRequest& request)
    : cursor_(
          "SELECT o.observation_id, o.body FROM reyearn.observations o "
          "WHERE o.tenant_id = $1 AND o.observation_id IN "
          "  (SELECT a.observation_id FROM reyearn.annotations a "
          "   WHERE a.tenant_id = $1 AND a.class_id = ANY ($2) AND a.status = 'confirmed' AND a.span IS NULL)",
          {spi_int4(model.id.tenant_id), spi_int8_array(ids_of(request.classes))}) {
  for (std::uint32_t row = 0; row < request.examples.size(); ++row) {
    rows_.emplace_back(request.examples[row].observation_id, row);
  }
  std::sort(rows_.begin(), rows_.end());
  text_context_ =
      pg_call([] { return AllocSetContextCreate(CurrentMemoryContext, "reyearn text", ALLOCSET_DEFAULT_SIZES); });
  has_rows_ = cursor_.fetch(kRowsPerFetch, false);
}

void TextReader::read(const EmitText& emit, const ShouldStop& should_stop) {
  while (has_rows_) {
    emit_batch(emit, should_stop);
    has_rows_ = cursor_.fetch(kRowsPerFetch, true);
  }
}

void TextReader::emit_batch(const EmitText& emit, const ShouldStop& should_stop) {
  for (std::uint64_t i = 0; i < cursor_.row_count(); ++i) {
    const SpiRow row = cursor_.row(i);
    const std::int64_t observation_id = row.int8(1);
    const Datum body = row.datum(2);
    const std::string_view text = pg_call([&] {
      HOLD_INTERRUPTS();  // reading a large text may wait for its pages, and threads run
      MemoryContextReset(text_context_);
      const MemoryContext before = MemoryContextSwitchTo(text_context_);
      const std::string_view view = utf8_view(body);
      MemoryContextSwitchTo(before);
      RESUME_INTERRUPTS();  // an error has already done so
      return view;
    });
    emit(row_of(observation_id), text);
    stop_if_asked(should_stop);  // after each text: a batch of large ones takes long
  }
}

std::uint32_t TextReader::row_of(std::int64_t observation_id) const {
  const auto found =
      std::lower_bound(rows_.begin(), rows_.end(), std::pair<std::int64_t, std::uint32_t>(observation_id, 0));
  if (found == rows_.end() || found->first != observation_id) throw Error(ErrorCode::kInternal, "text without example");
  return found->second;
}

void TextReader::close() {
  cursor_.close();
  pg_call([&] { MemoryContextDelete(text_context_); });
}

}  // namespace reyearn::pg
