// Multinomial naive Bayes over tf-idf vectors.
#pragma once

#include "core/classify/algorithm.hpp"

namespace reyearn {

class NaiveBayes : public Algorithm {
 public:
  std::string_view name() const override { return "naive_bayes"; }
  std::vector<std::byte> train(const TrainingSet& set, const Parameters& parameters,
                               const Execution& execution) const override;
};

}  // namespace reyearn
