// Predictor: text → scores and probabilities of the classes of one model. It keeps the buffers that this takes; make
// one a thread. The bytes of the model must outlive it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/model/view.hpp"
#include "core/text/features.hpp"

namespace reyearn {

class Predictor {
 public:
  explicit Predictor(const ModelView& model);

  const ModelView& model() const { return model_; }

  // Joint log-likelihood of each class, in the order of the model. Valid until the next call. With a long text it may
  // be given up, like Tokenizer::tokenize.
  std::span<const double> scores(std::string_view text, const ShouldStop& should_stop = {}) {
    return scores(extractor_.extract(text, should_stop));
  }
  std::span<const double> scores(std::span<const FeatureCount> features);

 private:
  struct Found {
    const VocabularySlot* slot;
    double value;
  };

  void add_rows(double scale);
  void add_sparse_rows();
  template <std::size_t kCount>
  void add_dense_rows(std::size_t first_class);

  ModelView model_;
  FeatureExtractor extractor_;
  std::vector<Found> found_;
  std::vector<double> scores_;
};

// Number of the highest score; the first of equal ones.
std::uint32_t best_class(std::span<const double> scores);

// Scores → probabilities that sum to 1, in place.
void softmax(std::span<double> scores);

// log of the sum of e^score.
double log_sum_exp(std::span<const double> scores);

}  // namespace reyearn
