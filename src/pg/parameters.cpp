#include "pg/parameters.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "pg/datum.hpp"
#include "pg/guard.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

double number_of(const JsonbValue& value) {
  return pg_call([&] {
    return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value.val.numeric)));
  });
}

// A nested value: an array of numbers, or something that no parameter accepts.
ParameterValue nested_value(const JsonbValue& value) {
  const JsonbContainer* container = value.val.binary.data;
  if (!JsonContainerIsArray(container)) return nullptr;
  std::vector<double> numbers;
  for (uint32 i = 0; i < JsonContainerSize(container); ++i) {
    const JsonbValue* element =
        pg_call([&] { return getIthJsonbValueFromContainer(const_cast<JsonbContainer*>(container), i); });
    if (element->type != jbvNumeric) return nullptr;
    numbers.push_back(number_of(*element));
  }
  return numbers;
}

ParameterValue to_parameter(const JsonbValue& value) {
  switch (value.type) {
    case jbvBool:
      return value.val.boolean;
    case jbvNumeric:
      return number_of(value);
    case jbvString:
      return std::string(value.val.string.val, static_cast<std::size_t>(value.val.string.len));
    case jbvBinary:
      return nested_value(value);
    default:
      return nullptr;
  }
}

void refuse_model_parameter(std::string_view name) {
  for (const ParameterSpec& spec : parameter_specs()) {
    if (name != spec.name || !spec.belongs_to_model) continue;
    throw Error(ErrorCode::kInvalidArgument, "parameter \"" + std::string(name) + "\" cannot be set for one training",
                "It decides by which texts all versions of the model are compared.",
                "Set it for the model with reyearn_alter_model().");
  }
}

}  // namespace

void set_parameters(Parameters& parameters, Datum json, bool is_training) {
  Jsonb* object = pg_call([&] { return DatumGetJsonbP(json); });
  if (!JB_ROOT_IS_OBJECT(object)) {
    throw Error(ErrorCode::kInvalidArgument, "\"params\" must be a JSON object", "", "For example '{\"alpha\": 0.5}'.");
  }
  JsonbIterator* iterator = pg_call([&] { return JsonbIteratorInit(&object->root); });
  std::string name;
  for (;;) {
    JsonbValue value;
    const JsonbIteratorToken token = pg_call([&] { return JsonbIteratorNext(&iterator, &value, true); });
    if (token == WJB_DONE) return;
    if (token == WJB_KEY) name.assign(value.val.string.val, static_cast<std::size_t>(value.val.string.len));
    if (token != WJB_VALUE) continue;
    if (is_training) refuse_model_parameter(name);
    set_parameter(parameters, name, to_parameter(value));
  }
}

}  // namespace reyearn::pg
