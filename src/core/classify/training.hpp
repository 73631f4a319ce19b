// Training of a new version of a model, from texts to verdict: which texts are held out, what the new version and the
// live one score on the same texts, whether it replaces the live one, and the image that will serve.
//
// How the two are compared:
//   holdout            both are scored on the held-out texts, which neither has learned from. The new version's judge
//                      is trained without them; the live version's judge is the image kept from its own training.
//   cross_validation   for small data: not the two versions but their ways to train (algorithm and parameters) are
//                      scored by the same folds of today's examples.
// Predictions come from the refit on all texts, the score from the judge.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/classify/algorithm.hpp"
#include "core/eval/gate.hpp"
#include "core/eval/metrics.hpp"
#include "core/eval/split.hpp"
#include "core/parameters.hpp"
#include "core/progress.hpp"

namespace reyearn {

struct Example {
  ContentHash content_hash;
  std::int64_t observation_id;
  std::uint32_t label;  // index into the classes
};

using DataDigest = std::array<std::uint8_t, 16>;

struct LiveVersion {
  int version = 0;
  std::string algorithm;
  Parameters parameters;
  std::vector<std::byte> serving;
  std::vector<std::byte> judge;           // empty: it has none
  double judge_holdout = 0;               // share of texts that the judge has not seen
  std::optional<DataDigest> data_digest;  // unset: imported, nobody knows how it was trained
};

struct TrainingRequest {
  std::string algorithm = "auto";
  Parameters parameters;
  Promotion promotion = Promotion::kIfBetter;
  std::vector<ModelClass> classes;  // in the order of their labels
  std::vector<Example> examples;    // in the order of their content hashes
  std::optional<LiveVersion> live;
  Execution execution;
  std::size_t memory_limit = std::size_t{64} << 20;  // of document-term counts, in bytes
  SpillSpace spill_space;                            // for what goes beyond
  ReportProgress report_progress;
};

// Reads the texts: calls `emit(row, text)` once for each example, in any order; row is the index of the example.
using EmitText = std::function<void(std::uint32_t row, std::string_view text)>;
using TextSource = std::function<void(const EmitText& emit)>;

enum class ComparedBy { kHoldout, kCrossValidation };

struct TrainingOutcome {
  Verdict verdict;
  ComparedBy compared_by;
  std::uint64_t compared_on = 0;
  double score = 0;
  std::optional<double> live_score;
  std::optional<double> p_value;
  Metrics metrics;
  std::optional<Metrics> live_metrics;
  std::vector<std::byte> serving;
  std::vector<std::byte> judge;  // empty when compared by cross-validation
  std::uint64_t spilled_bytes = 0;
};

inline constexpr const char* kMetric = "accuracy";

// Of the examples: which texts and which classes. Equal examples, algorithm, parameters and library make equal images.
DataDigest data_digest(const TrainingRequest& request);

// Throws Error: kNotEnoughData when there are no two classes or no words, and what its parts throw.
TrainingOutcome train(const TrainingRequest& request, const TextSource& source);

}  // namespace reyearn
