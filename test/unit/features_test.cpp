// Features of texts against a slow reference: all n-grams of the list of words, counted in a map.
#include "core/text/features.hpp"

#include <gtest/gtest.h>
#include <malloc.h>

#include <map>
#include <string>
#include <vector>

#include "support.hpp"

namespace reyearn {

namespace {

using test::Random;

struct Feature {
  FeatureHash hash;
  std::uint32_t count;

  bool operator==(const Feature&) const = default;
};

std::vector<Feature> features_of(FeatureExtractor& extractor, std::string_view text) {
  std::vector<Feature> features;
  for (const FeatureCount& feature : extractor.extract(text)) features.push_back({feature.hash, feature.count});
  return features;
}

std::vector<Feature> features_of(const TextOptions& options, std::string_view text) {
  FeatureExtractor extractor(options);
  return features_of(extractor, text);
}

FeatureHash ngram(std::span<const std::string> words) {
  FeatureHash hash = hash_word(words[0]);
  for (const std::string& word : words.subspan(1)) hash = extend_ngram(hash, hash_word(word));
  return hash;
}

// In the order of first occurrence: by the word that ends the n-gram, then by length.
std::vector<Feature> slow_features_of(const TextOptions& options, std::string_view text) {
  std::vector<std::string> words;
  Tokenizer().tokenize(text, [&](const Word& word) { words.emplace_back(word.text); });
  std::vector<Feature> features;
  std::map<std::vector<std::string>, std::size_t> place_of;
  for (std::size_t end = 1; end <= words.size(); ++end) {
    for (std::size_t n = options.min_ngram; n <= options.max_ngram && n <= end; ++n) {
      const std::vector<std::string> gram(words.begin() + static_cast<std::ptrdiff_t>(end - n),
                                          words.begin() + static_cast<std::ptrdiff_t>(end));
      const auto [found, is_new] = place_of.try_emplace(gram, features.size());
      if (is_new) features.push_back({ngram(gram), 0});
      ++features[found->second].count;
    }
  }
  return features;
}

TEST(Features, AreWordsWithTheirCountsInOrderOfFirstOccurrence) {
  const std::vector<Feature> expected = {
      {hash_word("the"), 2}, {hash_word("cat"), 1}, {hash_word("and"), 1}, {hash_word("dog"), 2}};
  EXPECT_EQ(features_of({}, "The cat and the dog: DOG!"), expected);
}

TEST(Features, AreNgramsInOrderOfFirstOccurrence) {
  const FeatureHash one = hash_word("one");
  const FeatureHash two = hash_word("two");
  const std::vector<Feature> expected = {{one, 2}, {two, 1}, {extend_ngram(one, two), 1}, {extend_ngram(two, one), 1}};
  EXPECT_EQ(features_of({1, 2}, "one two, one"), expected);
}

TEST(Features, LeaveOutShorterNgramsWhenAsked) {
  const FeatureHash pair = extend_ngram(hash_word("one"), hash_word("two"));
  EXPECT_EQ(features_of({2, 2}, "one two"), (std::vector<Feature>{{pair, 1}}));
  EXPECT_EQ(features_of({2, 5}, "one two"), (std::vector<Feature>{{pair, 1}}));
  EXPECT_TRUE(features_of({2, 2}, "one").empty());
  EXPECT_TRUE(features_of({5, 5}, "one two three four").empty());
}

TEST(Features, DoNotReachIntoThePreviousText) {
  FeatureExtractor extractor({1, 5});
  features_of(extractor, "one two three four five six");
  EXPECT_EQ(features_of(extractor, "seven"), (std::vector<Feature>{{hash_word("seven"), 1}}));
  EXPECT_EQ(features_of(extractor, "eight nine").size(), 3u);
}

TEST(Features, AreNoneForATextWithoutWords) {
  for (const TextOptions& options : {TextOptions{1, 1}, TextOptions{1, 3}, TextOptions{2, 2}}) {
    EXPECT_TRUE(features_of(options, "").empty());
    EXPECT_TRUE(features_of(options, " . a b \n").empty());
  }
}

TEST(Features, AgreeWithTheSlowReference) {
  Random random(1);
  for (std::uint32_t min = 1; min <= kMaxNgram; ++min) {
    for (std::uint32_t max = min; max <= kMaxNgram; ++max) {
      FeatureExtractor extractor({min, max});
      for (int round = 0; round < 30; ++round) {
        const std::string text = test::random_text(random, random.below(random.one_in(5) ? 400 : 20), 30);
        ASSERT_EQ(features_of(extractor, text), slow_features_of({min, max}, text)) << min << " " << max << " " << text;
      }
    }
  }
}

TEST(Features, AgreeWithTheSlowReferenceWhileTheTableGrows) {
  FeatureExtractor extractor(TextOptions{});
  for (const std::size_t words : {255, 256, 257, 511, 512, 513, 5000, 70000, 3}) {
    std::string text;
    for (std::size_t i = 0; i < words; ++i) text += "w" + std::to_string(i) + " w" + std::to_string(i / 2) + " ";
    ASSERT_EQ(features_of(extractor, text), slow_features_of({}, text)) << words;
  }
}

TEST(Features, GiveBackTheMemoryOfAHugeText) {
  if (test::kUnderSanitizer) GTEST_SKIP() << "measures glibc's malloc";
  const auto used = [] {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  std::string text;
  for (int i = 0; i < 300000; ++i) text += "w" + std::to_string(i) + " ";
  FeatureExtractor extractor(TextOptions{});
  const std::size_t before = used();
  EXPECT_EQ(extractor.extract(text).size(), 300000u);
  EXPECT_GT(used(), before + (std::size_t{4} << 20));
  EXPECT_EQ(extractor.extract("two words").size(), 2u);
  EXPECT_LT(used(), before + (std::size_t{1} << 20));
}

TEST(Features, CountHashesThatMeetInOnePlace) {
  // All start at the same place of the table, also after it has grown.
  FeatureCounter counter;
  for (int round = 0; round < 3; ++round) {
    counter.clear();
    for (FeatureHash i = 0; i < 2000; ++i) {
      for (FeatureHash n = 0; n <= i % 3; ++n) counter.add(i << 50 | 7);
    }
    ASSERT_EQ(counter.features().size(), 2000u);
    for (FeatureHash i = 0; i < 2000; ++i) {
      EXPECT_EQ(counter.features()[i].hash, i << 50 | 7);
      EXPECT_EQ(counter.features()[i].count, i % 3 + 1);
    }
  }
}

TEST(Features, KnowTheHashZero) {
  FeatureCounter counter;
  counter.add(0);
  counter.add(0);
  ASSERT_EQ(counter.features().size(), 1u);
  EXPECT_EQ(counter.features()[0].count, 2u);
  counter.clear();
  EXPECT_TRUE(counter.features().empty());
}

}  // namespace

}  // namespace reyearn
