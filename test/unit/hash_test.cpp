// Hashes of words and n-grams: part of the model format.
#include "core/text/hash.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <vector>

#include "support.hpp"

namespace reyearn {

namespace {

using test::Random;

// Number of different values.
std::size_t distinct(std::vector<FeatureHash> hashes) {
  std::sort(hashes.begin(), hashes.end());
  return static_cast<std::size_t>(std::unique(hashes.begin(), hashes.end()) - hashes.begin());
}

// A change of these numbers makes every stored model useless: it needs a new format version.
TEST(Hash, OfWordsNeverChanges) {
  constexpr std::pair<std::string_view, FeatureHash> kGolden[] = {
      {"", 0x50FF65C8B5FEC274},
      {"a", 0x670D0A5F615758F8},
      {"of", 0xA0E0B8535D9722A2},
      {"reyearn", 0x6D01E16C3EE4C3D0},
      {"16_bytes", 0x15841DE8985DD79D},
      {"9_letters", 0xB0C0745FBD2143AD},
      {"fifteen_letters", 0x9E537154FA500469},
      {"sixteen_letters_", 0xD1F9CBB3EA6BE5C9},
      {"seventeen_letters", 0x729AEF5286266D83},
      {"\u00E9t\u00E9", 0xBB8F19EF98AB0784},
      {"a_word_of_forty_letters_and_underscores_", 0xB18A04F4BF3142A7},
  };
  for (const auto& [word, hash] : kGolden) EXPECT_EQ(hash_word(word), hash) << word;
}

TEST(Hash, OfNgramsNeverChanges) {
  const FeatureHash pair = extend_ngram(hash_word("new"), hash_word("york"));
  EXPECT_EQ(pair, 0x34558D84506CE1BFu);
  EXPECT_EQ(extend_ngram(pair, hash_word("times")), 0xE055BC6DA2DE05F1u);
}

TEST(Hash, IsTheSameForPaddedWordsOfEveryLength) {
  Random random(1);
  for (std::size_t length = 0; length <= 40; ++length) {
    for (int round = 0; round < 50; ++round) {
      std::string bytes(length + kHashPadding, '\0');
      for (char& c : bytes) c = static_cast<char>(random.below(256));
      EXPECT_EQ(hash_padded_word(bytes.data(), length), hash_word(std::string_view(bytes).substr(0, length))) << length;
    }
  }
}

TEST(Hash, DoesNotSeeWhatLiesBehindTheWord) {
  Random random(2);
  for (std::size_t length = 0; length <= 40; ++length) {
    std::string zeros(length + kHashPadding, '\0');
    std::string garbage = zeros;
    for (std::size_t i = 0; i < garbage.size(); ++i) {
      garbage[i] = static_cast<char>(random.below(256));
      if (i < length) zeros[i] = garbage[i];
    }
    EXPECT_EQ(hash_padded_word(garbage.data(), length), hash_padded_word(zeros.data(), length)) << length;
  }
}

TEST(Hash, ReadsOnlyThePaddingBehindAShortWord) {
  for (std::size_t length = 0; length <= 40; ++length) {
    const std::size_t readable = std::max(length, kHashPadding);
    const std::unique_ptr<char[]> exact(new char[readable]());  // one byte more: the address sanitizer objects
    EXPECT_NE(hash_padded_word(exact.get(), length), 0u);
  }
}

TEST(Hash, TellsWordsOfZerosApartByTheirLength) {
  std::vector<FeatureHash> hashes;
  for (std::size_t length = 0; length <= 64; ++length) hashes.push_back(hash_word(std::string(length, '\0')));
  EXPECT_EQ(distinct(hashes), hashes.size());
}

TEST(Hash, DependsOnTheOrderOfWords) {
  const FeatureHash a = hash_word("dog");
  const FeatureHash b = hash_word("bites");
  const FeatureHash c = hash_word("man");
  EXPECT_NE(extend_ngram(a, b), extend_ngram(b, a));
  EXPECT_NE(extend_ngram(extend_ngram(a, b), c), extend_ngram(extend_ngram(c, b), a));
  EXPECT_NE(extend_ngram(extend_ngram(a, b), c), extend_ngram(a, extend_ngram(b, c)));
  EXPECT_NE(extend_ngram(a, a), a);
}

TEST(Hash, DoesNotCollideAmongMillionsOfFeatures) {
  std::vector<FeatureHash> hashes;
  const auto add_numbers = [&](const std::string& prefix, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) hashes.push_back(hash_word(prefix + std::to_string(i)));
  };
  add_numbers("", 700000);
  add_numbers("user_", 700000);
  add_numbers("a_rather_long_word_", 300000);
  for (std::size_t i = 0; i < 26 * 26 * 26 * 26; ++i) {
    std::string word;
    for (std::size_t rest = i, n = 0; n < 4; ++n, rest /= 26) word += static_cast<char>('a' + rest % 26);
    hashes.push_back(hash_word(word));
  }
  std::vector<FeatureHash> words;
  for (int i = 0; i < 700; ++i) words.push_back(hash_word("w" + std::to_string(i)));
  for (const FeatureHash first : words) {
    for (const FeatureHash second : words) hashes.push_back(extend_ngram(first, second));
  }
  for (int i = 0; i < 80; ++i) {
    for (int j = 0; j < 80; ++j) {
      const FeatureHash pair = extend_ngram(words[static_cast<std::size_t>(i)], words[static_cast<std::size_t>(j)]);
      for (int k = 0; k < 80; ++k) hashes.push_back(extend_ngram(pair, words[static_cast<std::size_t>(k)]));
    }
  }
  EXPECT_GT(hashes.size(), 3000000u);
  EXPECT_EQ(distinct(hashes), hashes.size());
}

// Tables take their places from the highest bits (vocabulary), from bit 20 on (counter) and from the lowest (dictionary).
TEST(Hash, SpreadsSimilarWordsOverTheBitsThatTablesUse) {
  constexpr std::size_t kPlaces = 1024;
  constexpr std::size_t kEach = 100;
  for (const std::string prefix : {"", "w", "document_", "long_words_go_another_way_"}) {
    std::array<std::size_t, kPlaces> high{}, middle{}, low{};
    for (std::size_t i = 0; i < kPlaces * kEach; ++i) {
      const FeatureHash hash = hash_word(prefix + std::to_string(i));
      ++high[hash >> 54];
      ++middle[(hash >> 20) % kPlaces];
      ++low[hash % kPlaces];
    }
    for (const auto& places : {high, middle, low}) {
      // Poisson with mean 100: beyond 6 standard deviations on either side is not chance.
      EXPECT_GT(*std::min_element(places.begin(), places.end()), kEach - 60) << prefix;
      EXPECT_LT(*std::max_element(places.begin(), places.end()), kEach + 60) << prefix;
    }
  }
}

TEST(Hash, ChangesHalfOfItsBitsWithEachBitOfTheWord) {
  Random random(3);
  for (const std::size_t length : {1, 2, 5, 8, 9, 16, 17}) {
    std::size_t changed = 0;
    std::size_t cases = 0;
    for (int round = 0; round < 200; ++round) {
      std::string word;
      while (word.size() < length) word += static_cast<char>(random.between('a', 'z'));
      for (std::size_t bit = 0; bit < 8 * length; ++bit, ++cases) {
        std::string other = word;
        other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
        changed += static_cast<std::size_t>(std::popcount(hash_word(word) ^ hash_word(other)));
      }
    }
    EXPECT_NEAR(static_cast<double>(changed) / static_cast<double>(cases), 32, 1.5) << length;
  }
}

}  // namespace

}  // namespace reyearn
