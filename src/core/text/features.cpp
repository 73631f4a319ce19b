#include "core/text/features.hpp"

#include <algorithm>

namespace reyearn {

FeatureCounter::FeatureCounter() : slots_(kFirstSize), mask_(kFirstSize - 1) {}

void FeatureCounter::clear() {
  if (slots_.size() > kKeptSize || round_ == UINT32_MAX) {
    slots_.assign(kFirstSize, Slot{});
    slots_.shrink_to_fit();
    mask_ = kFirstSize - 1;
    round_ = 0;
    features_ = std::vector<FeatureCount>();  // "= {}" would keep the memory
  }
  features_.clear();
  ++round_;
}

void FeatureCounter::grow() {
  slots_.assign(slots_.size() * 2, Slot{});
  mask_ = slots_.size() - 1;
  round_ = 1;
  for (std::size_t index = 0; index < features_.size(); ++index) {
    const FeatureHash hash = features_[index].hash;
    std::size_t at = (hash >> kShiftBase) & mask_;
    while (slots_[at].round == round_) at = (at + 1) & mask_;
    slots_[at] = Slot{hash, static_cast<std::uint32_t>(index), round_};
  }
}

void FeatureExtractor::add_ngrams(FeatureHash word, std::uint64_t seen) {
  const auto longest = static_cast<std::uint32_t>(std::min<std::uint64_t>(options_.max_ngram, seen + 1));
  // Longest first: open_[n - 1] still ends with the previous word when open_[n] is made from it.
  for (std::uint32_t n = longest; n >= 2; --n) open_[n - 1] = extend_ngram(open_[n - 2], word);
  open_[0] = word;
  for (std::uint32_t n = options_.min_ngram; n <= longest; ++n) counter_.add(open_[n - 1]);
}

}  // namespace reyearn
