#include "core/classify/predictor.hpp"

#include <algorithm>
#include <cmath>

namespace reyearn {

Predictor::Predictor(const ModelView& model)
    : model_(model), extractor_(model.text_options()), scores_(model.class_count()) {}

std::span<const double> Predictor::scores(std::span<const FeatureCount> features) {
  // Two passes: the first asks memory for every slot, so that the second finds them on their way.
  for (const FeatureCount& feature : features) model_.prefetch(feature.hash);
  found_.clear();
  double squares = 0;
  for (const FeatureCount& feature : features) {
    const VocabularySlot* slot = model_.find(feature.hash);
    if (slot == nullptr) continue;
    model_.prefetch_row(*slot);
    const double value = static_cast<double>(feature.count) * static_cast<double>(slot->idf);
    squares += value * value;
    found_.push_back(Found{slot, value});
  }
  const std::span<const ClassScore> classes = model_.class_scores();
  for (std::size_t c = 0; c < classes.size(); ++c) scores_[c] = classes[c].prior;
  if (!found_.empty()) add_rows(1 / std::sqrt(squares));
  return scores_;
}

void Predictor::add_rows(double scale) {
  double sum = 0;
  for (Found& found : found_) {
    found.value *= scale;
    sum += found.value;
  }
  const std::span<const ClassScore> classes = model_.class_scores();
  for (std::size_t c = 0; c < classes.size(); ++c) scores_[c] += classes[c].absent * sum;
  if (model_.is_sparse()) {
    add_sparse_rows();
    return;
  }
  std::size_t c = 0;
  for (; c + 8 <= classes.size(); c += 8) add_dense_rows<8>(c);
  for (; c + 4 <= classes.size(); c += 4) add_dense_rows<4>(c);
  for (; c < classes.size(); ++c) add_dense_rows<1>(c);
}

void Predictor::add_sparse_rows() {
  for (const Found& found : found_) {
    for (const SparseWeight& weight : model_.sparse_row(*found.slot)) {
      scores_[weight.class_index] += found.value * static_cast<double>(weight.weight);
    }
  }
}

// A few classes at a time, for all features: their sums stay in registers.
template <std::size_t kCount>
void Predictor::add_dense_rows(std::size_t first_class) {
  double sums[kCount] = {};
  for (const Found& found : found_) {
    const float* row = model_.dense_row(*found.slot) + first_class;
    for (std::size_t c = 0; c < kCount; ++c) sums[c] += found.value * static_cast<double>(row[c]);
  }
  for (std::size_t c = 0; c < kCount; ++c) scores_[first_class + c] += sums[c];
}

std::uint32_t best_class(std::span<const double> scores) {
  return static_cast<std::uint32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

double log_sum_exp(std::span<const double> scores) {
  const double highest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const double score : scores) sum += std::exp(score - highest);
  return highest + std::log(sum);
}

void softmax(std::span<double> scores) {
  const double total = log_sum_exp(scores);
  for (double& score : scores) score = std::exp(score - total);
}

}  // namespace reyearn
