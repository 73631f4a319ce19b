#include "core/parameters.hpp"

#include <charconv>
#include <cmath>

#include "core/error.hpp"

namespace reyearn {

namespace {

constexpr double kMaxExactInteger = 9007199254740991;  // 2^53 - 1: JSON numbers are read as doubles
constexpr double kMinAlpha = 1e-10;                    // as scikit-learn: smaller ones underflow
constexpr double kMaxAlpha = 1e6;

std::string number_to_json(double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return std::string(buffer, result.ptr);
}

[[noreturn]] void reject(const ParameterSpec& spec) {
  throw Error(ErrorCode::kInvalidArgument, std::string("invalid value for parameter \"") + spec.name + "\"",
              std::string("It takes a value of type ") + spec.type + ": " + spec.range + ".",
              "The view reyearn.parameters lists all parameters with their ranges.");
}

bool is_integer(double value) { return std::nearbyint(value) == value; }

double number_in(const ParameterSpec& spec, const ParameterValue& value, double min, double max) {
  const double* number = std::get_if<double>(&value);
  if (number == nullptr || !(*number >= min && *number <= max)) reject(spec);
  return *number;
}

std::int64_t integer_in(const ParameterSpec& spec, const ParameterValue& value, double min, double max) {
  const double number = number_in(spec, value, min, max);
  if (!is_integer(number)) reject(spec);
  return static_cast<std::int64_t>(number);
}

bool boolean(const ParameterSpec& spec, const ParameterValue& value) {
  const bool* flag = std::get_if<bool>(&value);
  if (flag == nullptr) reject(spec);
  return *flag;
}

TextOptions ngram_range(const ParameterSpec& spec, const ParameterValue& value) {
  const auto* pair = std::get_if<std::vector<double>>(&value);
  if (pair == nullptr || pair->size() != 2) reject(spec);
  const double min = (*pair)[0];
  const double max = (*pair)[1];
  if (!is_integer(min) || !is_integer(max) || !(min >= 1 && min <= max && max <= kMaxNgram)) reject(spec);
  return TextOptions{static_cast<std::uint32_t>(min), static_cast<std::uint32_t>(max)};
}

constexpr ParameterSpec kSpecs[] = {
    {"holdout", "number", "0 to 0.9",
     "share of texts never trained on before the verdict, by which versions are compared; 0: compare by "
     "cross-validation",
     true, [](const ParameterSpec& s, Parameters& p, const ParameterValue& v) { p.holdout = number_in(s, v, 0, 0.9); },
     [](const Parameters& p) { return number_to_json(p.holdout); }},
    {"refit", "boolean", "true or false",
     "whether the version that serves is trained on all texts, held-out ones included, once it has been judged", false,
     [](const ParameterSpec& s, Parameters& p, const ParameterValue& v) { p.refit = boolean(s, v); },
     [](const Parameters& p) { return std::string(p.refit ? "true" : "false"); }},
    {"seed", "integer", "0 to 9007199254740991", "seed of every choice left to chance, such as folds", false,
     [](const ParameterSpec& s, Parameters& p, const ParameterValue& v) {
       p.seed = integer_in(s, v, 0, kMaxExactInteger);
     },
     [](const Parameters& p) { return std::to_string(p.seed); }},
    {"ngram_range", "pair of integers", "[1, 1] to [5, 5], the first not above the second",
     "shortest and longest sequence of words that is a feature", false,
     [](const ParameterSpec& s, Parameters& p, const ParameterValue& v) { p.text = ngram_range(s, v); },
     [](const Parameters& p) {
       return "[" + std::to_string(p.text.min_ngram) + ", " + std::to_string(p.text.max_ngram) + "]";
     }},
    {"min_df", "integer", "1 to 1000000", "number of texts a feature must occur in to be used", false,
     [](const ParameterSpec& s, Parameters& p, const ParameterValue& v) { p.min_df = integer_in(s, v, 1, 1000000); },
     [](const Parameters& p) { return std::to_string(p.min_df); }},
    {"alpha", "number", "1e-10 to 1000000", "naive Bayes: additive smoothing of feature weights", false,
     [](const ParameterSpec& s, Parameters& p, const ParameterValue& v) {
       p.alpha = number_in(s, v, kMinAlpha, kMaxAlpha);
     },
     [](const Parameters& p) { return number_to_json(p.alpha); }},
};

std::string names() {
  std::string list;
  for (const ParameterSpec& spec : kSpecs) list += (list.empty() ? "" : ", ") + std::string(spec.name);
  return list;
}

}  // namespace

std::span<const ParameterSpec> parameter_specs() { return kSpecs; }

void set_parameter(Parameters& parameters, std::string_view name, const ParameterValue& value) {
  for (const ParameterSpec& spec : kSpecs) {
    if (name == spec.name) return spec.set(spec, parameters, value);
  }
  throw Error(ErrorCode::kUnknownName, "unknown parameter \"" + std::string(name) + "\"",
              "The parameters are " + names() + ".", "The view reyearn.parameters describes them.");
}

std::string parameters_to_json(const Parameters& parameters) {
  std::string json = "{";
  for (const ParameterSpec& spec : kSpecs) {
    if (json.size() > 1) json += ", ";
    json += "\"" + std::string(spec.name) + "\": " + spec.get(parameters);
  }
  return json + "}";
}

}  // namespace reyearn
