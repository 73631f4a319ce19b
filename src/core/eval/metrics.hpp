// Quality of predictions: what scikit-learn's accuracy_score, f1_score, log_loss and confusion_matrix compute.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace reyearn {

// A predicted class that is not among the labels: wrong for every text.
inline constexpr std::uint32_t kNoLabel = UINT32_MAX;

struct Prediction {
  std::uint32_t label = kNoLabel;
  double probability_of_truth = 0;  // what the model gave to the right class
};

struct LabelMetrics {
  double precision = 0;  // 0 when nothing was predicted as the label
  double recall = 0;     // 0 when no text has the label
  double f1 = 0;
  std::uint64_t support = 0;  // texts that have the label
  std::uint64_t predicted = 0;
};

struct Metrics {
  double accuracy = 0;
  double macro_f1 = 0;  // mean over the labels that a text has or that were predicted
  double micro_f1 = 0;  // with one label a text: the accuracy
  double log_loss = 0;  // probabilities are clipped to 1e-15
  std::vector<LabelMetrics> labels;
  // (actual, predicted) → number of texts; predicted may be kNoLabel.
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> confusion;
};

// `truth` and `predictions` go by text; labels are below `label_count`. At least one text.
Metrics measure(std::span<const std::uint32_t> truth, std::span<const Prediction> predictions,
                std::uint32_t label_count);

// As a JSON object of the four figures.
std::string metrics_to_json(const Metrics& metrics);

// McNemar's test, exact and two-sided: how likely is it that two equally good predictors differ as much as this?
// `only_first` and `only_second` count the texts that only one of them got right.
double mcnemar_p(std::uint64_t only_first, std::uint64_t only_second);

}  // namespace reyearn
