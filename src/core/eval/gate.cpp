#include "core/eval/gate.hpp"

#include <cstdio>

#include "core/error.hpp"

namespace reyearn {

namespace {

std::string describe(const Comparison& c) {
  char text[256];
  std::snprintf(text, sizeof text, "%.*s %.4f against %.4f of version %d%s on the same %llu texts",
                static_cast<int>(c.metric.size()), c.metric.data(), c.score, c.live_score.value_or(0),
                c.live_version.value_or(0), c.is_cross_validated ? "'s parameters, cross-validated" : "",
                static_cast<unsigned long long>(c.texts));
  return text;
}

}  // namespace

Promotion parse_promotion(std::string_view name) {
  if (name == "if_better") return Promotion::kIfBetter;
  if (name == "if_not_worse") return Promotion::kIfNotWorse;
  if (name == "always") return Promotion::kAlways;
  if (name == "never") return Promotion::kNever;
  throw Error(ErrorCode::kUnknownName, "unknown promotion \"" + std::string(name) + "\"",
              "It is one of if_better, if_not_worse, always, never.");
}

Verdict judge(Promotion promotion, const Comparison& c) {
  if (promotion == Promotion::kNever) {
    return {false, (c.live_score ? describe(c) + "; " : std::string()) + "promotion is \"never\""};
  }
  if (!c.live_version) return {true, "first version"};
  if (!c.live_score) return {true, "the image of version " + std::to_string(*c.live_version) + " is damaged"};
  const std::string facts = describe(c);
  if (promotion == Promotion::kAlways) return {true, facts + "; promotion is \"always\""};
  if (c.score > *c.live_score) return {true, facts + ": better"};
  if (c.score < *c.live_score) return {false, facts + ": worse"};
  if (promotion == Promotion::kIfNotWorse) return {true, facts + ": not worse"};
  if (c.has_other_data) return {true, facts + ": equal, and it has learned from newer annotations"};
  return {false, facts + ": not better"};
}

}  // namespace reyearn
