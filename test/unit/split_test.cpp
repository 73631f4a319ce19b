// Held-out texts and folds.
#include "core/eval/split.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "support.hpp"

namespace reyearn {

namespace {

using test::Random;

std::vector<ContentHash> hashes_of(std::size_t count, std::size_t first = 0) {
  std::vector<ContentHash> hashes;
  for (std::size_t i = first; i < first + count; ++i) hashes.push_back(test::content_hash("text " + std::to_string(i)));
  return hashes;
}

TEST(HeldOut, IsAboutTheShareAskedFor) {
  const std::vector<ContentHash> hashes = hashes_of(20000);
  for (const double share : {0.01, 0.1, 0.2, 0.5, 0.9}) {
    const auto count =
        std::count_if(hashes.begin(), hashes.end(), [&](const ContentHash& h) { return is_held_out(h, share); });
    EXPECT_NEAR(static_cast<double>(count) / 20000, share, 0.015);
  }
}

TEST(HeldOut, IsNoneOfThemAtZeroAndAllAtOne) {
  for (const ContentHash& hash : hashes_of(1000)) {
    EXPECT_FALSE(is_held_out(hash, 0));
    EXPECT_TRUE(is_held_out(hash, 1));
  }
}

TEST(HeldOut, StaysSoAtEveryLargerShare) {
  for (const ContentHash& hash : hashes_of(500)) {
    bool was_held_out = false;
    for (int percent = 0; percent <= 90; ++percent) {
      const bool is = is_held_out(hash, percent / 100.0);
      EXPECT_TRUE(is || !was_held_out);
      was_held_out = is;
    }
  }
}

// Stored judges rely on it: the rows that they have not seen must stay the same.
TEST(HeldOut, NeverChangesForATextBetweenReleases) {
  std::string held_out;
  for (const ContentHash& hash : hashes_of(40)) held_out += is_held_out(hash, 0.2) ? '1' : '0';
  EXPECT_EQ(held_out, "1011000010001010011010000000000000001000");
}

std::vector<std::uint32_t> random_labels(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  std::vector<std::uint32_t> labels;
  for (std::size_t i = 0; i < count; ++i)
    labels.push_back(static_cast<std::uint32_t>(random.below(random.between(1, 6))));
  return labels;
}

TEST(Folds, SpreadEachClassEvenly) {
  for (const std::size_t count : {1, 2, 4, 5, 6, 7, 100, 1003}) {
    const std::vector<std::uint32_t> labels = random_labels(count, count);
    const std::vector<std::uint32_t> folds = assign_folds(hashes_of(count), labels, 5, 0);
    ASSERT_EQ(folds.size(), count);
    std::vector<std::vector<int>> sizes(6, std::vector<int>(5));
    std::vector<int> total(5);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_LT(folds[i], 5u);
      ++sizes[labels[i]][folds[i]];
      ++total[folds[i]];
    }
    for (const std::vector<int>& one : sizes) {
      EXPECT_LE(*std::max_element(one.begin(), one.end()) - *std::min_element(one.begin(), one.end()), 1);
    }
    EXPECT_LE(*std::max_element(total.begin(), total.end()) - *std::min_element(total.begin(), total.end()), 1);
  }
}

TEST(Folds, DoNotAllBeginWithTheSmallClasses) {
  // Ten classes of one text each: two in each fold, not ten in the first.
  std::vector<std::uint32_t> labels(10);
  for (std::uint32_t i = 0; i < 10; ++i) labels[i] = i;
  std::vector<std::uint32_t> folds = assign_folds(hashes_of(10), labels, 5, 0);
  std::sort(folds.begin(), folds.end());
  EXPECT_EQ(folds, (std::vector<std::uint32_t>{0, 0, 1, 1, 2, 2, 3, 3, 4, 4}));
}

TEST(Folds, DoNotDependOnTheOrderOfRows) {
  const std::vector<ContentHash> hashes = hashes_of(200);
  const std::vector<std::uint32_t> labels = random_labels(200, 1);
  const std::vector<std::uint32_t> folds = assign_folds(hashes, labels, 5, 42);
  std::vector<std::size_t> order(200);
  for (std::size_t i = 0; i < 200; ++i) order[i] = i;
  Random(1).shuffle(order);
  std::vector<ContentHash> shuffled_hashes;
  std::vector<std::uint32_t> shuffled_labels;
  for (const std::size_t i : order) {
    shuffled_hashes.push_back(hashes[i]);
    shuffled_labels.push_back(labels[i]);
  }
  const std::vector<std::uint32_t> shuffled = assign_folds(shuffled_hashes, shuffled_labels, 5, 42);
  for (std::size_t i = 0; i < 200; ++i) EXPECT_EQ(shuffled[i], folds[order[i]]);
}

TEST(Folds, DependOnTheSeed) {
  const std::vector<std::uint32_t> labels(200, 0);
  EXPECT_EQ(assign_folds(hashes_of(200), labels, 5, 1), assign_folds(hashes_of(200), labels, 5, 1));
  EXPECT_NE(assign_folds(hashes_of(200), labels, 5, 1), assign_folds(hashes_of(200), labels, 5, 2));
  EXPECT_NO_THROW(assign_folds(hashes_of(10), labels, 5, UINT64_MAX));
}

TEST(Folds, HaveNothingToDoWithWhatIsHeldOut) {
  const std::vector<ContentHash> hashes = hashes_of(5000);
  const std::vector<std::uint32_t> folds = assign_folds(hashes, std::vector<std::uint32_t>(5000, 0), 5, 0);
  int both = 0;
  for (std::size_t i = 0; i < hashes.size(); ++i) both += folds[i] == 0 && is_held_out(hashes[i], 0.2);
  EXPECT_NEAR(both, 200, 60);  // a fifth of a fifth
}

}  // namespace

}  // namespace reyearn
