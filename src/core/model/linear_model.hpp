// LinearModel: a classifier with one weight for each pair of feature and class, in the form in which training makes
// it; to_image writes it as the bytes that ModelView reads. See model/format.hpp for what the numbers mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/model/format.hpp"
#include "core/text/features.hpp"

namespace reyearn {

struct ModelClass {
  std::int64_t id;
  std::string label;
};

struct LinearModel {
  struct Weight {
    std::uint32_t feature;
    float weight;
  };

  std::string algorithm;
  TextOptions text;
  std::vector<ModelClass> classes;           // K
  std::vector<ClassScore> class_scores;      // K
  std::vector<FeatureHash> features;         // V, distinct
  std::vector<float> idf;                    // V, above 0
  std::vector<std::vector<Weight>> weights;  // K lists, ascending by feature; what is not listed is 0

  // The same model gives the same bytes. Throws Error(kLimitExceeded) when the weights pass 16 GB.
  std::vector<std::byte> to_image() const;
};

// The image with other class ids and labels: a model that came from another database.
// Throws like ModelView::open; `classes` has one entry for each class of the image, in its order.
std::vector<std::byte> with_classes(const std::vector<std::byte>& image, const std::vector<ModelClass>& classes);

// Version of ICU that the library runs with.
std::string icu_version();

}  // namespace reyearn
