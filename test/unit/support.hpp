// What the unit tests share: seeded choices, errors as values, a temporary directory, made-up texts, counting them.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "core/eval/split.hpp"
#include "core/text/features.hpp"
#include "core/text/term_counts.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REYEARN_UNDER_SANITIZER 1
#else
#define REYEARN_UNDER_SANITIZER 0
#endif

namespace reyearn::test {

inline constexpr bool kUnderSanitizer = REYEARN_UNDER_SANITIZER;

// Random numbers that are the same on every machine, unlike those of std::uniform_int_distribution.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t next() { return engine_(); }
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(engine_() % limit); }
  std::size_t between(std::size_t first, std::size_t last) { return first + below(last - first + 1); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  template <typename List>
  auto& pick(List& list) {
    return list[below(std::size(list))];
  }
  template <typename T>
  void shuffle(std::vector<T>& list) {
    for (std::size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[below(i)]);
  }

 private:
  std::mt19937_64 engine_;
};

// The Error that `call` throws; a failure of the test when it throws none.
template <typename Call>
Error error_of(Call&& call, std::source_location where = std::source_location::current()) {
  try {
    call();
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line())) << "no Error was thrown";
  return Error(ErrorCode::kInternal, "");
}

// Whether `call` notices that it is to stop. Work that is done before anybody asks is not cancelled, hence the tries.
template <typename Call>
bool is_cancelled_soon(Call&& call) {
  for (int tries = 0; tries < 300; ++tries) {
    try {
      call();
    } catch (const Error& e) {
      return e.code() == ErrorCode::kCancelled;
    }
  }
  return false;
}

// A directory of its own, empty, removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "reyearn_unit.XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) ADD_FAILURE() << "could not create " << pattern;
    path_ = pattern;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }
  bool is_empty() const { return std::filesystem::is_empty(path_); }

 private:
  std::string path_;
};

// Number of threads that this process has.
inline std::size_t thread_count() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task")) ++count;
  return count;
}

// Stands for the SHA-256 of a text.
inline ContentHash content_hash(std::string_view text) {
  ContentHash hash;
  for (std::size_t i = 0; i < hash.size(); i += 8) {
    const std::uint64_t part = XXH3_64bits_withSeed(text.data(), text.size(), i);
    std::memcpy(hash.data() + i, &part, sizeof part);
  }
  return hash;
}

// A word of two to `longest` letters.
inline std::string random_word(Random& random, std::size_t longest) {
  std::string word;
  for (std::size_t length = random.between(2, longest); length > 0; --length) {
    word += static_cast<char>('a' + random.below(26));
  }
  return word;
}

// Words w0, w1, …: low numbers are frequent, as in real texts.
inline std::string random_text(Random& random, std::size_t words, std::size_t vocabulary) {
  std::string text;
  for (std::size_t i = 0; i < words; ++i) {
    text += (text.empty() ? "w" : " w") + std::to_string(random.below(random.between(1, vocabulary)));
  }
  return text;
}

// Counts texts as `shards` threads would, which take them in the order given.
struct CountingOptions {
  TextOptions text{};
  int shards = 1;
  std::size_t memory_limit = std::size_t{64} << 20;
  std::string directory = "/nonexistent";
  std::uint64_t arrival_seed = 0;  // 0: in their own order
};

inline std::unique_ptr<TermCounts> count_texts(std::span<const std::string> texts,
                                               const CountingOptions& options = {}) {
  auto counts = std::make_unique<TermCounts>(texts.size(), options.shards, options.memory_limit,
                                             SpillSpace{.directory = options.directory});
  std::vector<std::uint32_t> order(texts.size());
  for (std::uint32_t row = 0; row < order.size(); ++row) order[row] = row;
  Random random(options.arrival_seed);
  if (options.arrival_seed != 0) random.shuffle(order);
  FeatureExtractor extractor(options.text);
  for (const std::uint32_t row : order) {
    const auto shard = static_cast<int>(random.below(static_cast<std::size_t>(options.shards)));
    counts->add(shard, row, extractor.extract(texts[row]));
  }
  counts->finish(nullptr);
  return counts;
}

}  // namespace reyearn::test
