// The queue between the thread that reads texts and those that work on them.
#include "core/text/document_queue.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <stdexcept>

#include "support.hpp"

namespace reyearn {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kShortTime = 5s;  // generous: the machine may be busy with other tests

TEST(DocumentQueue, HandsEachTextToOneWorker) {
  for (const int threads : {1, 2, 5}) {
    std::vector<std::string> texts;
    test::Random random(1);
    for (int i = 0; i < 3000; ++i)
      texts.push_back(random.one_in(20) ? "" : test::random_text(random, random.below(20), 100));
    texts[1000].assign(std::size_t{3} << 20, 'x');  // larger than a batch
    std::vector<std::string> got(texts.size());
    std::vector<std::atomic<int>> calls(texts.size());
    DocumentQueue queue(
        threads,
        [&](int worker, std::uint32_t row, std::string_view text) {
          EXPECT_GE(worker, 0);
          EXPECT_LT(worker, threads);
          got[row] = text;
          ++calls[row];
        },
        nullptr);
    for (std::uint32_t row = 0; row < texts.size(); ++row) queue.add(row, texts[row]);
    queue.finish();
    EXPECT_EQ(got, texts);
    for (const auto& one : calls) EXPECT_EQ(one, 1);
  }
}

TEST(DocumentQueue, FinishesWithoutTexts) {
  DocumentQueue queue(
      3, [](int, std::uint32_t, std::string_view) { FAIL(); }, nullptr);
  queue.finish();
}

TEST(DocumentQueue, KeepsItsOwnCopyOfATextUntilItIsDone) {
  std::atomic<int> wrong = 0;
  DocumentQueue queue(
      2, [&](int, std::uint32_t row, std::string_view text) { wrong += text != std::to_string(row); }, nullptr);
  std::string buffer;
  for (std::uint32_t row = 0; row < 2000; ++row) {
    buffer = std::to_string(row);
    queue.add(row, buffer);
    buffer.assign(buffer.size(), '#');
  }
  queue.finish();
  EXPECT_EQ(wrong, 0);
}

TEST(DocumentQueue, ThrowsWhatAWorkerThrewWhileItIsFilled) {
  const std::size_t before = test::thread_count();
  const auto begin = Clock::now();
  {
    DocumentQueue queue(
        2, [](int, std::uint32_t, std::string_view) { throw Error(ErrorCode::kIo, "full"); }, nullptr);
    const Error error = test::error_of([&] {
      for (;;) queue.add(0, "text");  // without end: only the exception gets us out
    });
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_STREQ(error.what(), "full");
  }
  EXPECT_LT(Clock::now() - begin, kShortTime);
  EXPECT_EQ(test::thread_count(), before);
}

TEST(DocumentQueue, ThrowsWhatAWorkerThrewAtTheEnd) {
  DocumentQueue queue(
      2,
      [](int, std::uint32_t row, std::string_view) {
        if (row == 3) throw std::runtime_error("row 3");
      },
      nullptr);
  for (std::uint32_t row = 0; row < 5; ++row) queue.add(row, "text");
  EXPECT_THROW(queue.finish(), std::runtime_error);
}

TEST(DocumentQueue, IsCancelledWhileTheWorkersAreSlow) {
  const std::size_t before = test::thread_count();
  const std::thread::id caller = std::this_thread::get_id();
  const auto begin = Clock::now();
  {
    int asked = 0;
    DocumentQueue queue(
        2, [](int, std::uint32_t, std::string_view) { std::this_thread::sleep_for(1ms); },
        [&] {
          EXPECT_EQ(std::this_thread::get_id(), caller);
          return ++asked > 3;
        });
    const Error error = test::error_of([&] {
      for (;;) queue.add(0, "text");
    });
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
  EXPECT_LT(Clock::now() - begin, kShortTime);
  EXPECT_EQ(test::thread_count(), before);
}

TEST(DocumentQueue, IsCancelledWhileItWaitsForTheEnd) {
  const auto begin = Clock::now();
  {
    DocumentQueue queue(
        2, [](int, std::uint32_t, std::string_view) { std::this_thread::sleep_for(1ms); },
        [&] { return Clock::now() - begin > 50ms; });
    for (std::uint32_t row = 0; row < 1000; ++row) queue.add(row, "text");
    EXPECT_EQ(test::error_of([&] { queue.finish(); }).code(), ErrorCode::kCancelled);
  }
  EXPECT_LT(Clock::now() - begin, kShortTime);
}

TEST(DocumentQueue, IsGivenUpWithoutWaitingForItsTexts) {
  std::atomic<int> done = 0;
  const auto begin = Clock::now();
  {
    DocumentQueue queue(
        2,
        [&](int, std::uint32_t, std::string_view) {
          std::this_thread::sleep_for(5ms);
          ++done;
        },
        nullptr);
    for (std::uint32_t row = 0; row < 1000; ++row) queue.add(row, "text");
  }  // as when the reader of texts throws
  EXPECT_LT(Clock::now() - begin, kShortTime);
  EXPECT_LT(done, 1000);
}

TEST(DocumentQueue, HoldsFewLargeTextsAtATime) {
  constexpr std::size_t kTextBytes = std::size_t{8} << 20;
  constexpr std::size_t kTexts = 60;
  std::atomic<std::size_t> read = 0;
  std::atomic<std::size_t> worked_on = 0;
  std::size_t most = 0;
  DocumentQueue queue(
      4,
      [&](int, std::uint32_t, std::string_view) {
        std::this_thread::sleep_for(5ms);
        ++worked_on;
      },
      nullptr);
  const std::string text(kTextBytes, 'x');
  for (std::uint32_t row = 0; row < kTexts; ++row) {
    queue.add(row, text);
    most = std::max(most, ++read - worked_on);
  }
  queue.finish();
  EXPECT_EQ(worked_on, kTexts);
  // One with each worker, one being added, and the queue, which is bounded in bytes, not in texts alone.
  EXPECT_LE(most * kTextBytes, (4 + 1) * kTextBytes + (std::size_t{24} << 20));
}

}  // namespace

}  // namespace reyearn
