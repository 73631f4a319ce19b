// FeatureExtractor: text → the distinct features of the text with their counts.
//
// A feature is a word or a sequence of n words, known by its hash. Features come in the order of their first
// occurrence, so that whatever is summed over them gives the same bits on every run.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/text/hash.hpp"
#include "core/text/tokenize.hpp"

namespace reyearn {

// How text becomes features; stored in the model. Word n-grams of lengths min_ngram to max_ngram.
struct TextOptions {
  std::uint32_t min_ngram = 1;
  std::uint32_t max_ngram = 1;

  bool operator==(const TextOptions&) const = default;
};

inline constexpr std::uint32_t kMaxNgram = 5;

struct FeatureCount {
  FeatureHash hash;
  std::uint32_t count;
};

// Counts equal hashes: an open-addressing table whose slots are marked with the number of the round, so that
// starting a new text costs nothing. Memory grows with the features of the largest text, and is given back.
class FeatureCounter {
 public:
  FeatureCounter();

  void clear();
  void add(FeatureHash hash) {
    std::size_t at = (hash >> kShiftBase) & mask_;
    for (;; at = (at + 1) & mask_) {
      Slot& slot = slots_[at];
      if (slot.round != round_) {
        slot = Slot{hash, count_, round_};
        features_[count_++] = FeatureCount{hash, 1};
        if (count_ == features_.size()) grow();
        return;
      }
      if (slot.hash == hash) {
        ++features_[slot.index].count;
        return;
      }
    }
  }
  std::span<const FeatureCount> features() const { return {features_.data(), count_}; }

 private:
  struct Slot {
    FeatureHash hash = 0;
    std::uint32_t index = 0;
    std::uint32_t round = 0;
  };
  static constexpr std::size_t kFirstSize = 512;
  static constexpr std::size_t kKeptSize = std::size_t{1} << 16;
  static constexpr std::size_t kMaxSize = std::size_t{1} << 31;
  static constexpr int kShiftBase = 20;  // other bits than those that place the feature in a vocabulary

  void reset();
  void grow();

  std::vector<Slot> slots_;
  std::vector<FeatureCount> features_;  // room for half as many as there are slots
  std::uint32_t count_ = 0;             // of them in use
  std::size_t mask_;
  std::uint32_t round_ = 0;
};

class FeatureExtractor {
 public:
  explicit FeatureExtractor(const TextOptions& options) : options_(options) {}

  const TextOptions& options() const { return options_; }

  // Valid until the next call. May be given up, like Tokenizer::tokenize.
  std::span<const FeatureCount> extract(std::string_view text, const ShouldStop& should_stop = {}) {
    counter_.clear();
    if (options_.max_ngram == 1) {
      tokenizer_.tokenize(
          text, [this](const Word& word) { counter_.add(hash_of(word)); }, should_stop);
    } else {
      std::uint64_t seen = 0;
      tokenizer_.tokenize(
          text, [&](const Word& word) { add_ngrams(hash_of(word), seen++); }, should_stop);
    }
    return counter_.features();
  }

 private:
  static FeatureHash hash_of(const Word& word) { return hash_padded_word(word.text.data(), word.text.size()); }

  // Adds the n-grams that end with the word that is number `seen` of the text.
  void add_ngrams(FeatureHash word, std::uint64_t seen);

  TextOptions options_;
  Tokenizer tokenizer_;
  FeatureCounter counter_;
  FeatureHash open_[kMaxNgram] = {};  // open_[n]: hash of the last n + 1 words
};

}  // namespace reyearn
