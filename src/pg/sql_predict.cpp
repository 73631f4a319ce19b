// SQL entry points that serve: reyearn_predict, reyearn_predict_proba, reyearn.predict_row, reyearn_predict_with.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <map>
#include <optional>

#include "core/error.hpp"
#include "core/label.hpp"
#include "pg/call_site.hpp"
#include "pg/datum.hpp"
#include "pg/guard.hpp"
#include "pg/serving.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

Datum copy_ltree(const std::vector<char>& label) {
  void* copy = palloc(label.size());
  std::memcpy(copy, label.data(), label.size());
  return PointerGetDatum(copy);
}

int positive_or(FunctionCallInfo fcinfo, int argument, const char* name, int otherwise) {
  if (PG_ARGISNULL(argument)) return otherwise;
  const int value = PG_GETARG_INT32(argument);
  if (value < 1) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%s\" must be at least 1", name),
                    errdetail("It is %d.", value), errhint("Leave it out for no limit.")));
  }
  return value;
}

struct LabelProbability {
  std::string label;
  std::int64_t class_id;  // of the class with that label; of one below it when rolled up
  double probability;
};

// Probabilities by label, as labels are now: dropped classes are left out, merged ones added up, and what lies deeper
// than `depth` is rolled up. Most probable first, equal ones by label.
std::vector<LabelProbability> probabilities(ServedModel& served, std::string_view body, std::size_t depth) {
  const std::span<const double> scores = served.scores(body);
  std::vector<double> kept;
  std::vector<std::uint32_t> classes;
  for (std::uint32_t c = 0; c < scores.size(); ++c) {
    if (served.find_class(c) == nullptr) continue;
    kept.push_back(scores[c]);
    classes.push_back(c);
  }
  if (kept.empty()) served.best_existing_class(scores);  // throws
  softmax(kept);
  std::map<std::string, LabelProbability> by_label;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const ServedClass& one = *served.find_class(classes[i]);
    const std::string_view label = pg_call([&] { return label_of(PointerGetDatum(one.label.data())); });
    const std::string prefix(label_prefix(label, depth));
    by_label.try_emplace(prefix, LabelProbability{prefix, one.class_id, 0}).first->second.probability += kept[i];
  }
  std::vector<LabelProbability> result;
  for (auto& [label, one] : by_label) {
    if (served.is_shared()) one.probability = std::round(one.probability * 1000) / 1000;
    result.push_back(std::move(one));
  }
  std::stable_sort(result.begin(), result.end(),
                   [](const LabelProbability& a, const LabelProbability& b) { return a.probability > b.probability; });
  return result;
}

// What reyearn_predict_with keeps: opening an image costs a pass over it, so it is opened again only when its bytes
// differ from those of the call before.
struct ImageSite {
  std::vector<std::byte> bytes;
  std::optional<Predictor> predictor;
};

Predictor& image_predictor(FunctionCallInfo fcinfo, std::span<const std::byte> image) {
  ImageSite& site = call_site<ImageSite>(fcinfo);
  if (site.predictor && std::ranges::equal(site.bytes, image)) return *site.predictor;
  site.predictor.reset();
  site.bytes.assign(image.begin(), image.end());
  site.predictor.emplace(ModelView::open(site.bytes));
  return *site.predictor;
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(reyearn_predict);
PGDLLEXPORT Datum reyearn_predict(PG_FUNCTION_ARGS) {
  if (PG_ARGISNULL(0)) PG_RETURN_NULL();
  const std::string_view body = utf8_view(PG_GETARG_DATUM(0));
  const std::string_view model = optional_text(fcinfo, 1);
  const ServedClass* best = guard([&] {
    ServedModel& served = served_model(fcinfo, model);
    return served.find_class(served.best_existing_class(served.scores(body)));
  });
  return copy_ltree(best->label);
}

PG_FUNCTION_INFO_V1(reyearn_predict_proba);
PGDLLEXPORT Datum reyearn_predict_proba(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  if (PG_ARGISNULL(0)) return Datum{0};
  const std::string_view body = utf8_view(PG_GETARG_DATUM(0));
  const std::string_view model = optional_text(fcinfo, 1);
  const int top = positive_or(fcinfo, 2, "top", PG_INT32_MAX);
  const int depth = positive_or(fcinfo, 3, "depth", PG_INT32_MAX);
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  guard([&] {
    std::vector<LabelProbability> rows =
        probabilities(served_model(fcinfo, model), body, static_cast<std::size_t>(depth));
    rows.resize(std::min(rows.size(), static_cast<std::size_t>(top)));
    for (const LabelProbability& row : rows) {
      pg_call([&] {
        Datum values[] = {ltree_datum(row.label), Float4GetDatum(static_cast<float4>(row.probability))};
        bool nulls[] = {false, false};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
      });
    }
  });
  return Datum{0};
}

PG_FUNCTION_INFO_V1(reyearn_predict_row);
PGDLLEXPORT Datum reyearn_predict_row(PG_FUNCTION_ARGS) {
  if (PG_ARGISNULL(0)) PG_RETURN_NULL();
  const std::string_view body = utf8_view(PG_GETARG_DATUM(0));
  const std::string_view model = optional_text(fcinfo, 1);
  const TupleDesc descriptor = row_type(fcinfo);
  const Datum row = guard([&] {
    ServedModel& served = served_model(fcinfo, model);
    const LabelProbability best = probabilities(served, body, PG_INT32_MAX).front();
    return pg_call([&] {
      Datum values[] = {Int32GetDatum(served.version().tenant_id),
                        Int64GetDatum(served.version().version_id),
                        Int32GetDatum(served.version().version),
                        Int64GetDatum(best.class_id),
                        ltree_datum(best.label),
                        Float4GetDatum(static_cast<float4>(best.probability))};
      bool nulls[std::size(values)] = {};
      return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
    });
  });
  return row;
}

PG_FUNCTION_INFO_V1(reyearn_predict_with);
PGDLLEXPORT Datum reyearn_predict_with(PG_FUNCTION_ARGS) {
  const std::span<const std::byte> image = bytes_view(PG_GETARG_DATUM(0));
  const std::string_view body = utf8_view(PG_GETARG_DATUM(1));
  const std::string_view label = guard([&] {
    Predictor& predictor = image_predictor(fcinfo, image);
    return predictor.model().label(best_class(predictor.scores(body, check_for_interrupts)));
  });
  return ltree_datum(label);
}

}  // extern "C"

}  // namespace reyearn::pg
