// Parameters of a model: declared once, in the table of parameters.cpp; checked, listed and written from there.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/text/features.hpp"

namespace reyearn {

struct Parameters {
  double holdout = 0.2;
  bool refit = true;
  std::int64_t seed = 0;
  TextOptions text;
  std::int64_t min_df = 1;
  double alpha = 1.0;

  bool operator==(const Parameters&) const = default;
};

// A value as it comes from JSON.
using ParameterValue = std::variant<std::nullptr_t, bool, double, std::string, std::vector<double>>;

struct ParameterSpec {
  const char* name;
  const char* type;   // "number", "integer", "boolean", "pair of integers"
  const char* range;  // for people, such as "0 to 0.9"
  const char* description;
  bool belongs_to_model;  // cannot be set for a single training
  // Throws Error(kInvalidArgument) through `reject` when the value does not fit.
  void (*set)(const ParameterSpec& spec, Parameters& parameters, const ParameterValue& value);
  std::string (*get)(const Parameters& parameters);  // as JSON
};

std::span<const ParameterSpec> parameter_specs();

// Sets one parameter. Throws Error: kUnknownName (with the list of names) or kInvalidArgument (with the range).
void set_parameter(Parameters& parameters, std::string_view name, const ParameterValue& value);

// All parameters as a JSON object, in the order of the table.
std::string parameters_to_json(const Parameters& parameters);

}  // namespace reyearn
