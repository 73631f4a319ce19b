#include "core/text/features.hpp"

#include <algorithm>
#include <string>

#include "core/error.hpp"

namespace reyearn {

FeatureCounter::FeatureCounter() {
  reset();
  clear();
}

void FeatureCounter::reset() {
  slots_ = std::vector<Slot>(kFirstSize);
  features_ = std::vector<FeatureCount>(kFirstSize / 2);
  mask_ = kFirstSize - 1;
  round_ = 0;
}

void FeatureCounter::clear() {
  if (slots_.size() > kKeptSize || round_ == UINT32_MAX) reset();
  count_ = 0;
  ++round_;
}

void FeatureCounter::grow() {
  if (slots_.size() > kMaxSize / 2) {
    throw Error(ErrorCode::kLimitExceeded, "text has too many distinct features",
                "There are more than " + std::to_string(count_) + ".",
                "Divide the text, or use shorter n-grams (parameter \"ngram_range\").");
  }
  slots_.assign(slots_.size() * 2, Slot{});
  features_.resize(slots_.size() / 2);
  mask_ = slots_.size() - 1;
  round_ = 1;
  for (std::uint32_t index = 0; index < count_; ++index) {
    const FeatureHash hash = features_[index].hash;
    std::size_t at = (hash >> kShiftBase) & mask_;
    while (slots_[at].round == round_) at = (at + 1) & mask_;
    slots_[at] = Slot{hash, index, round_};
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
