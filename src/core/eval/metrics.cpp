#include "core/eval/metrics.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace reyearn {

namespace {

double ratio(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::vector<LabelMetrics> label_metrics(const Metrics& metrics, std::uint32_t label_count) {
  std::vector<LabelMetrics> labels(label_count);
  std::vector<std::uint64_t> right(label_count);
  for (const auto& [pair, count] : metrics.confusion) {
    const auto [actual, predicted] = pair;
    labels[actual].support += count;
    if (predicted != kNoLabel) labels[predicted].predicted += count;
    if (actual == predicted) right[actual] = count;
  }
  for (std::uint32_t label = 0; label < label_count; ++label) {
    LabelMetrics& one = labels[label];
    one.precision = ratio(right[label], one.predicted);
    one.recall = ratio(right[label], one.support);
    // Of precision and recall the harmonic mean, written so that it is exact.
    one.f1 = ratio(2 * right[label], one.predicted + one.support);
  }
  return labels;
}

std::string json_number(double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return std::string(buffer, result.ptr);
}

}  // namespace

Metrics measure(std::span<const std::uint32_t> truth, std::span<const Prediction> predictions,
                std::uint32_t label_count) {
  Metrics metrics;
  std::uint64_t right = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    ++metrics.confusion[{truth[i], predictions[i].label}];
    right += predictions[i].label == truth[i];
    // In this order max() also turns what is not a number, as a damaged model may give, into the smallest.
    metrics.log_loss -= std::log(std::max(1e-15, predictions[i].probability_of_truth));
  }
  metrics.log_loss /= static_cast<double>(truth.size());
  metrics.accuracy = ratio(right, truth.size());
  metrics.micro_f1 = metrics.accuracy;
  metrics.labels = label_metrics(metrics, label_count);
  std::uint64_t seen = 0;
  for (const LabelMetrics& label : metrics.labels) {
    if (label.support + label.predicted == 0) continue;
    metrics.macro_f1 += label.f1;
    ++seen;
  }
  metrics.macro_f1 /= static_cast<double>(seen);
  return metrics;
}

std::string metrics_to_json(const Metrics& metrics) {
  return "{\"accuracy\": " + json_number(metrics.accuracy) + ", \"macro_f1\": " + json_number(metrics.macro_f1) +
         ", \"micro_f1\": " + json_number(metrics.micro_f1) + ", \"log_loss\": " + json_number(metrics.log_loss) + "}";
}

// Under the hypothesis each of the n texts is won by either with probability 1/2: p is twice the smaller tail of the
// binomial distribution (McNemar 1947; exact form in Dietterich 1998).
double mcnemar_p(std::uint64_t only_first, std::uint64_t only_second) {
  const std::uint64_t n = only_first + only_second;
  const std::uint64_t fewer = std::min(only_first, only_second);
  double tail = 0;
  for (std::uint64_t k = 0; k <= fewer; ++k) {
    const double ways = std::lgamma(static_cast<double>(n + 1)) - std::lgamma(static_cast<double>(k + 1)) -
                        std::lgamma(static_cast<double>(n - k + 1));
    tail += std::exp(ways - static_cast<double>(n) * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

}  // namespace reyearn
