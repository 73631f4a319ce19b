// The document-term matrix: joined dictionaries, rows in memory and in files.
#include "core/text/term_counts.hpp"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <map>
#include <thread>

#include "core/text/spill_file.hpp"
#include "support.hpp"

namespace reyearn {

namespace {

using test::Random;

std::vector<std::string> random_texts(std::uint64_t seed, std::size_t count) {
  Random random(seed);
  std::vector<std::string> texts;
  while (texts.size() < count) {
    texts.push_back(random.one_in(10) ? "" : test::random_text(random, random.below(60), 500));
  }
  return texts;
}

std::vector<std::pair<FeatureHash, std::uint32_t>> expected_row(const TextOptions& options, std::string_view text) {
  FeatureExtractor extractor(options);
  std::vector<std::pair<FeatureHash, std::uint32_t>> row;
  for (const FeatureCount& feature : extractor.extract(text)) row.emplace_back(feature.hash, feature.count);
  return row;
}

std::vector<std::pair<FeatureHash, std::uint32_t>> row_of(TermCounts::Reader& reader, std::uint32_t row) {
  std::vector<std::pair<FeatureHash, std::uint32_t>> result;
  for (const FeatureCount& feature : reader.hashed_row(row)) result.emplace_back(feature.hash, feature.count);
  return result;
}

// Every row in a random order, through both ways of reading.
void expect_rows(const TermCounts& counts, const TextOptions& options, const std::vector<std::string>& texts,
                 std::uint64_t seed) {
  std::vector<std::uint32_t> order(texts.size());
  for (std::uint32_t row = 0; row < order.size(); ++row) order[row] = row;
  Random(seed).shuffle(order);
  TermCounts::Reader reader(counts);
  for (const std::uint32_t row : order) {
    ASSERT_EQ(row_of(reader, row), expected_row(options, texts[row])) << row;
    for (const TermCount& term : reader.row(row)) ASSERT_LT(term.feature, counts.features().size());
  }
}

TEST(TermCounts, KeepsEachRowInTheOrderOfItsText) {
  const std::vector<std::string> texts = random_texts(1, 500);
  for (const TextOptions& options : {TextOptions{1, 1}, TextOptions{1, 2}}) {
    for (const int shards : {1, 2, 7}) {
      const auto counts = test::count_texts(texts, {.text = options, .shards = shards, .arrival_seed = 5});
      EXPECT_EQ(counts->row_count(), texts.size());
      EXPECT_EQ(counts->spilled_bytes(), 0u);
      expect_rows(*counts, options, texts, 2);
    }
  }
}

TEST(TermCounts, NumbersFeaturesInTheOrderOfTheirHashes) {
  const std::vector<std::string> texts = random_texts(2, 300);
  const auto counts = test::count_texts(texts, {.shards = 3, .arrival_seed = 1});
  EXPECT_TRUE(std::is_sorted(counts->features().begin(), counts->features().end()));
  EXPECT_EQ(std::adjacent_find(counts->features().begin(), counts->features().end()), counts->features().end());
  std::map<FeatureHash, int> all;
  for (const std::string& text : texts) {
    for (const auto& [hash, count] : expected_row({}, text)) ++all[hash];
  }
  EXPECT_EQ(counts->features().size(), all.size());
}

TEST(TermCounts, IsTheSameForEveryDivisionAmongShards) {
  const std::vector<std::string> texts = random_texts(3, 300);
  const auto one = test::count_texts(texts);
  for (const int shards : {2, 3, 16, 256}) {
    const auto other = test::count_texts(texts, {.shards = shards, .arrival_seed = 9});
    ASSERT_TRUE(std::ranges::equal(one->features(), other->features()));
    TermCounts::Reader one_reader(*one);
    TermCounts::Reader other_reader(*other);
    for (std::uint32_t row = 0; row < texts.size(); ++row) {
      ASSERT_EQ(row_of(one_reader, row), row_of(other_reader, row));
    }
  }
}

TEST(TermCounts, SpillsWhatDoesNotFitIntoMemory) {
  const test::TemporaryDirectory directory;
  const std::vector<std::string> texts = random_texts(4, 600);
  for (const std::size_t limit : {0, 1, 100, 5000, 20000}) {
    for (const int shards : {1, 3}) {
      const auto counts = test::count_texts(
          texts, {.shards = shards, .memory_limit = limit, .directory = directory.path(), .arrival_seed = 7});
      EXPECT_GT(counts->spilled_bytes(), 0u) << limit;
      expect_rows(*counts, {}, texts, limit);
      EXPECT_TRUE(directory.is_empty());  // nothing to be left behind by a crash
    }
  }
}

TEST(TermCounts, KeepsCountsOfEverySize) {
  for (const std::size_t limit : {std::size_t{0}, std::size_t{1} << 20}) {
    const test::TemporaryDirectory directory;
    TermCounts counts(1, 1, limit, {directory.path()});
    std::vector<FeatureCount> features;
    for (std::uint32_t bit = 0; bit < 32; ++bit) {
      features.push_back({bit * 3, std::uint32_t{1} << bit});
      features.push_back({bit * 3 + 1, (std::uint32_t{1} << bit) - 1});
    }
    features.push_back({1000, UINT32_MAX});
    counts.add(0, 0, features);
    counts.finish(nullptr);
    TermCounts::Reader reader(counts);
    const auto row = reader.hashed_row(0);
    ASSERT_EQ(row.size(), features.size());
    for (std::size_t i = 0; i < row.size(); ++i) {
      EXPECT_EQ(row[i].hash, features[i].hash);
      EXPECT_EQ(row[i].count, features[i].count);
    }
  }
}

TEST(TermCounts, HasEmptyRowsWhereNothingWasAdded) {
  TermCounts counts(5, 2, 1000, {"/nonexistent"});
  counts.add(1, 3, std::vector<FeatureCount>{{42, 1}});
  counts.add(0, 1, {});
  counts.finish(nullptr);
  TermCounts::Reader reader(counts);
  for (const std::uint32_t row : {0, 1, 2, 4}) EXPECT_TRUE(reader.row(row).empty()) << row;
  ASSERT_EQ(reader.row(3).size(), 1u);
}

TEST(TermCounts, WorksWithoutRowsAndWithoutFeatures) {
  TermCounts none(0, 3, 1000, {"/nonexistent"});
  none.finish(nullptr);
  EXPECT_EQ(none.row_count(), 0u);
  EXPECT_TRUE(none.features().empty());
  const auto counts = test::count_texts(std::vector<std::string>(4, "a b c"));
  EXPECT_TRUE(counts->features().empty());
}

TEST(TermCounts, IsReadBySeveralThreadsAtOnce) {
  const test::TemporaryDirectory directory;
  const std::vector<std::string> texts = random_texts(5, 400);
  const auto counts =
      test::count_texts(texts, {.shards = 2, .memory_limit = 2000, .directory = directory.path(), .arrival_seed = 3});
  std::vector<std::thread> threads;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    threads.emplace_back([&, seed] { expect_rows(*counts, {}, texts, seed); });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(TermCounts, IsFilledBySeveralThreadsAtOnce) {
  const test::TemporaryDirectory directory;
  const std::vector<std::string> texts = random_texts(6, 3000);
  constexpr int kThreads = 4;
  TermCounts counts(texts.size(), kThreads, 20000, {directory.path()});
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      FeatureExtractor extractor(TextOptions{});
      for (auto row = static_cast<std::uint32_t>(thread); row < texts.size(); row += kThreads) {  // neighbouring rows
        counts.add(thread, row, extractor.extract(texts[row]));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  counts.finish(nullptr);
  expect_rows(counts, {}, texts, 1);
}

TEST(TermCounts, GivesBackWhatItNeededForJoining) {
  if (test::kUnderSanitizer) GTEST_SKIP() << "measures glibc's malloc";
  const auto used = [] {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  constexpr std::size_t kFeatures = 400000;
  const std::size_t before = used();
  TermCounts counts(1, 1, 0, {"/tmp"});  // the row itself goes to a file
  std::vector<FeatureCount> features;
  for (std::size_t i = 0; i < kFeatures; ++i) features.push_back({hash_word(std::to_string(i)), 1});
  counts.add(0, 0, features);
  features = std::vector<FeatureCount>();
  counts.finish(nullptr);
  // 4 bytes of number and 8 of hash for each, in vectors that may be half empty; and the buffer of the row.
  EXPECT_LT(used() - before, kFeatures * (4 + 2 * 8) + (std::size_t{5} << 20));
}

TEST(TermCounts, RefusesAnImpossibleNumberOfShards) {
  for (const int shards : {-1, 0, 257}) {
    EXPECT_EQ(test::error_of([&] { TermCounts(1, shards, 1000, {}); }).code(), ErrorCode::kInvalidArgument);
  }
}

TEST(TermCounts, StopsJoiningWhenCancelled) {
  const std::vector<std::string> texts = random_texts(7, 200);
  EXPECT_TRUE(test::is_cancelled_soon([&] {
    TermCounts counts(texts.size(), 2, 1 << 20, {"/nonexistent"});
    FeatureExtractor extractor(TextOptions{});
    for (std::uint32_t row = 0; row < texts.size(); ++row) counts.add(row % 2, row, extractor.extract(texts[row]));
    counts.finish([] { return true; });
  }));
}

TEST(TermCounts, ReportsADirectoryItCannotWriteTo) {
  const Error error = test::error_of([] {
    const std::vector<std::string> texts = {"some words", "more words"};
    test::count_texts(texts, {.memory_limit = 0, .directory = "/proc/no-such-directory"});
  });
  EXPECT_EQ(error.code(), ErrorCode::kIo);
  EXPECT_STREQ(error.what(), "could not create a temporary file in \"/proc/no-such-directory\"");
  EXPECT_EQ(error.detail(), "No such file or directory.");
}

// A file of its own, alone under its limit.
SpillFile spill_file(const std::string& directory) {
  return SpillFile({directory}, std::make_shared<std::atomic<std::uint64_t>>(0));
}

TEST(SpillFile, ReadsBackWhatWasAppended) {
  const test::TemporaryDirectory directory;
  SpillFile file = spill_file(directory.path());
  EXPECT_EQ(file.size(), 0u);
  EXPECT_TRUE(directory.is_empty());
  std::vector<std::uint8_t> all;
  Random random(1);
  for (int i = 0; i < 50; ++i) {
    std::vector<std::uint8_t> part(random.below(3000));
    for (std::uint8_t& byte : part) byte = static_cast<std::uint8_t>(random.next());
    file.append(part);
    all.insert(all.end(), part.begin(), part.end());
    ASSERT_EQ(file.size(), all.size());
  }
  EXPECT_TRUE(directory.is_empty());
  for (int i = 0; i < 50; ++i) {
    const std::size_t begin = random.below(all.size());
    std::vector<std::uint8_t> part(random.below(all.size() - begin));
    file.read(begin, part);
    ASSERT_TRUE(std::equal(part.begin(), part.end(), all.begin() + static_cast<std::ptrdiff_t>(begin)));
  }
}

TEST(SpillFile, ReportsReadingBehindItsEnd) {
  const test::TemporaryDirectory directory;
  SpillFile file = spill_file(directory.path());
  file.append(std::vector<std::uint8_t>(10));
  std::vector<std::uint8_t> bytes(5);
  EXPECT_EQ(test::error_of([&] { file.read(8, bytes); }).code(), ErrorCode::kIo);
}

TEST(SpillFile, KeepsToTheLimitThatAllFilesShare) {
  const test::TemporaryDirectory directory;
  const auto usage = std::make_shared<std::atomic<std::uint64_t>>(0);
  SpillFile first({directory.path(), 4096}, usage);
  SpillFile second({directory.path(), 4096}, usage);
  first.append(std::vector<std::uint8_t>(2000));
  second.append(std::vector<std::uint8_t>(2096));
  const Error error = test::error_of([&] { first.append(std::vector<std::uint8_t>(1)); });
  EXPECT_EQ(error.code(), ErrorCode::kLimitExceeded);
  EXPECT_EQ(error.detail(), "The limit is 4 kB.");
}

TEST(SpillFile, CanBeMoved) {
  const test::TemporaryDirectory directory;
  SpillFile first = spill_file(directory.path());
  first.append(std::vector<std::uint8_t>{1, 2, 3});
  SpillFile second(std::move(first));
  std::vector<std::uint8_t> bytes(2);
  second.read(1, bytes);
  EXPECT_EQ(bytes, (std::vector<std::uint8_t>{2, 3}));
}

// A full disk, as far as a process can make one: a limit on the size of its files.
TEST(SpillFile, ReportsAFileThatCannotGrow) {
  const test::TemporaryDirectory directory;
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  SpillFile file = spill_file(directory.path());
  const Error error = test::error_of([&] { file.append(std::vector<std::uint8_t>(10000)); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(error.code(), ErrorCode::kIo);
  EXPECT_EQ(std::string(error.what()), "could not write a temporary file in \"" + directory.path() + "\"");
}

}  // namespace

}  // namespace reyearn
