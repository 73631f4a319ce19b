// From confirmed annotations to examples: which one class of a text counts.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/classify/training.hpp"

namespace reyearn {

// A confirmed annotation of a whole text.
struct Confirmation {
  std::int64_t observation_id;
  std::int64_t annotation_id;
  std::int64_t time;    // of its last change; any unit
  std::uint32_t label;  // index into the classes
  ContentHash content_hash;
};

// One example a text: of its classes the newest confirmed one counts, or of those below it the deepest. Sets classes
// (those that have an example, in the order of their labels) and examples (in the order of their content hashes).
// `confirmations` is put in order on the way; `classes` is in the order of their labels.
void set_examples(TrainingRequest& request, std::vector<Confirmation>& confirmations,
                  const std::vector<ModelClass>& classes);

// Types (first elements) of the classes, each once, in order.
std::vector<std::string> types_of(const std::vector<ModelClass>& classes);

}  // namespace reyearn
