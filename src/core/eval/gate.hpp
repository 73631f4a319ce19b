// The gate: whether a new version replaces the live one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace reyearn {

enum class Promotion { kIfBetter, kIfNotWorse, kAlways, kNever };

// Throws Error(kUnknownName).
Promotion parse_promotion(std::string_view name);

struct Comparison {
  std::string_view metric;  // higher is better
  double score = 0;
  std::optional<int> live_version;   // unset: there is none
  std::optional<double> live_score;  // on the same texts; unset: its image cannot be read
  std::uint64_t texts = 0;           // that both were scored on
  bool is_cross_validated = false;   // what is compared are the ways the two are trained
  bool has_other_data = false;       // the live version learned from other examples
};

struct Verdict {
  bool promote;
  std::string reason;
};

// `if_better` promotes a higher score, and an equal one when the examples have changed: a tie between old and new
// examples goes to the new ones, or a correction would never be learned.
Verdict judge(Promotion promotion, const Comparison& comparison);

}  // namespace reyearn
