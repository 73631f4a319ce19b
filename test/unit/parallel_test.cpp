// Threads: exceptions and cancellation arrive, signals do not, nothing is left running.
#include "core/parallel.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <set>
#include <stdexcept>

#include "support.hpp"

namespace reyearn {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Generous: the machine may be busy with other tests.
constexpr auto kShortTime = 5s;

void work_until(const StopFlag& stop) {
  while (!stop.load(std::memory_order_relaxed)) std::this_thread::sleep_for(1ms);
}

TEST(ParallelFor, CallsTheTaskOnceForEachIndex) {
  for (const int threads : {1, 2, 3, 8}) {
    for (const std::size_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> calls(count);
      parallel_for(threads, count, nullptr, [&](int worker, std::size_t i, const StopFlag&) {
        EXPECT_GE(worker, 0);
        EXPECT_LT(worker, threads);
        ++calls[i];
      });
      for (const auto& one : calls) EXPECT_EQ(one, 1);
    }
  }
}

TEST(ParallelFor, StartsNoMoreThreadsThanThereIsWork) {
  std::mutex mutex;
  std::set<std::thread::id> ids;
  parallel_for(16, 2, nullptr, [&](int worker, std::size_t, const StopFlag&) {
    EXPECT_LT(worker, 2);
    const std::lock_guard lock(mutex);
    ids.insert(std::this_thread::get_id());
  });
  EXPECT_LE(ids.size(), 2u);
  EXPECT_FALSE(ids.contains(std::this_thread::get_id()));
}

TEST(ParallelFor, TakesNoThreadsForOne) {
  for (const int threads : {0, -3}) {
    std::atomic<int> calls = 0;
    parallel_for(threads, 5, nullptr, [&](int worker, std::size_t, const StopFlag&) {
      EXPECT_EQ(worker, 0);
      ++calls;
    });
    EXPECT_EQ(calls, 5);
  }
}

TEST(ParallelFor, ThrowsWhatATaskThrew) {
  const std::size_t before = test::thread_count();
  for (int round = 0; round < 50; ++round) {
    try {
      parallel_for(4, 1000, nullptr, [](int, std::size_t i, const StopFlag&) {
        if (i == 5) throw Error(ErrorCode::kIo, "the disk is full", "Detail.", "Hint.");
      });
      FAIL() << "no exception";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kIo);
      EXPECT_STREQ(e.what(), "the disk is full");
      EXPECT_EQ(e.detail(), "Detail.");
      EXPECT_EQ(e.hint(), "Hint.");
    }
  }
  EXPECT_EQ(test::thread_count(), before);
}

TEST(ParallelFor, StopsTheOthersWhenATaskThrows) {
  std::atomic<int> started = 0;
  EXPECT_THROW(parallel_for(3, 1000, nullptr,
                            [&](int, std::size_t i, const StopFlag& stop) {
                              ++started;
                              if (i == 0) throw std::runtime_error("failed");
                              work_until(stop);
                            }),
               std::runtime_error);
  EXPECT_LE(started, 3);
}

TEST(ParallelFor, ThrowsOneOfSeveralExceptions) {
  for (int round = 0; round < 50; ++round) {
    EXPECT_THROW(parallel_for(4, 4, nullptr, [](int, std::size_t, const StopFlag&) { throw std::bad_alloc(); }),
                 std::bad_alloc);
  }
}

TEST(ParallelFor, PassesOnWhatIsNotAnException) {
  EXPECT_THROW(parallel_for(2, 2, nullptr, [](int, std::size_t, const StopFlag&) { throw 42; }), int);
}

TEST(ParallelFor, IsCancelledWithinAShortTime) {
  const std::size_t before = test::thread_count();
  for (const int threads : {1, 3}) {
    const auto begin = Clock::now();
    const Error error = test::error_of([&] {
      parallel_for(
          threads, 10, [] { return true; }, [](int, std::size_t, const StopFlag& stop) { work_until(stop); });
    });
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
    EXPECT_LT(Clock::now() - begin, kShortTime);
    EXPECT_EQ(test::thread_count(), before);  // joined
  }
}

TEST(ParallelFor, StartsNoFurtherTasksOnceCancelled) {
  std::atomic<int> started = 0;
  const Error error = test::error_of([&] {
    parallel_for(
        1, 1000, [] { return true; },
        [&](int, std::size_t, const StopFlag& stop) {
          ++started;
          work_until(stop);
        });
  });
  EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  EXPECT_EQ(started, 1);
}

TEST(ParallelFor, AsksOnTheCallingThreadOnlyAndAgainAndAgain) {
  const std::thread::id caller = std::this_thread::get_id();
  int asked = 0;
  const auto begin = Clock::now();
  parallel_for(
      2, 2,
      [&] {
        EXPECT_EQ(std::this_thread::get_id(), caller);
        ++asked;
        return false;
      },
      [](int, std::size_t, const StopFlag&) { std::this_thread::sleep_for(200ms); });
  const auto tenths = (Clock::now() - begin) / 100ms;
  EXPECT_GE(asked, 2);                  // every 10 ms; the machine may be busy
  EXPECT_LE(asked, (tenths + 1) * 12);  // and not in a busy loop
}

TEST(ParallelFor, KeepsNothingOfWhatItThrew) {
  const auto marker = std::make_shared<int>(1);
  struct Failure {
    std::shared_ptr<int> marker;
  };
  try {
    parallel_for(3, 3, nullptr, [&](int, std::size_t, const StopFlag&) { throw Failure{marker}; });
    FAIL() << "no exception";
  } catch (const Failure&) {
  }
  EXPECT_EQ(marker.use_count(), 1);
}

TEST(Workers, RunWithAllSignalsBlocked) {
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  Workers workers(3, [](int, const StopFlag&) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD, SIGQUIT, SIGPIPE, SIGURG}) {
      EXPECT_EQ(sigismember(&mask, signal), 1) << signal;
    }
  });
  sigset_t after;
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int signal = 1; signal < 32; ++signal) {
    EXPECT_EQ(sigismember(&before, signal), sigismember(&after, signal)) << signal;
  }
  workers.wait(nullptr);
}

TEST(Workers, LeaveSignalsOfTheProcessToItsMainThread) {
  static std::atomic<std::size_t> handled_elsewhere = 0;
  static std::atomic<std::size_t> handled = 0;
  static const std::thread::id main_thread = std::this_thread::get_id();
  const auto old_handler = signal(SIGUSR1, [](int) {
    ++handled;
    if (std::this_thread::get_id() != main_thread) ++handled_elsewhere;
  });
  Workers workers(4, [](int, const StopFlag& stop) { work_until(stop); });
  for (int i = 0; i < 200; ++i) kill(getpid(), SIGUSR1);
  EXPECT_EQ(test::error_of([&] { workers.wait([] { return true; }); }).code(), ErrorCode::kCancelled);
  signal(SIGUSR1, old_handler);
  EXPECT_GT(handled, 0u);
  EXPECT_EQ(handled_elsewhere, 0u);
}

TEST(Workers, AreStoppedAndJoinedByTheDestructor) {
  const std::size_t before = test::thread_count();
  const auto begin = Clock::now();
  {
    Workers workers(3, [](int, const StopFlag& stop) { work_until(stop); });
  }
  EXPECT_LT(Clock::now() - begin, kShortTime);
  EXPECT_EQ(test::thread_count(), before);
}

TEST(Workers, TellThatOneOfThemFailed) {
  Workers workers(2, [](int worker, const StopFlag& stop) {
    if (worker == 1) throw std::runtime_error("failed");
    work_until(stop);  // until the failure of the other stops it
  });
  const auto begin = Clock::now();
  while (!workers.has_failed() && Clock::now() - begin < kShortTime) std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(workers.has_failed());
  EXPECT_THROW(workers.wait(nullptr), std::runtime_error);
}

TEST(Workers, PreferTheUsersCancellationToAFailure) {
  Workers workers(2, [](int worker, const StopFlag& stop) {
    work_until(stop);
    if (worker == 0) throw std::runtime_error("on its way out");
  });
  EXPECT_EQ(test::error_of([&] { workers.wait([] { return true; }); }).code(), ErrorCode::kCancelled);
}

TEST(Workers, AreJoinedWhenAskingThrows) {  // it must not, but if it does
  const std::size_t before = test::thread_count();
  {
    Workers workers(2, [](int, const StopFlag& stop) { work_until(stop); });
    EXPECT_THROW(workers.wait([]() -> bool { throw std::runtime_error("asking failed"); }), std::runtime_error);
  }
  EXPECT_EQ(test::thread_count(), before);
}

// Without memory for more stacks: some threads run already when the next one cannot be started.
TEST(Workers, ReportThreadsThatCannotBeStarted) {
  if (test::kUnderSanitizer) GTEST_SKIP() << "sanitizers need more address space";
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const rlimit limit{std::size_t{256} << 20, std::size_t{256} << 20};
    setrlimit(RLIMIT_AS, &limit);
    bool is_right = false;
    try {
      Workers workers(1000, [](int, const StopFlag& stop) { work_until(stop); });
    } catch (const Error& e) {
      sigset_t mask;
      pthread_sigmask(SIG_SETMASK, nullptr, &mask);
      is_right = e.code() == ErrorCode::kLimitExceeded && test::thread_count() == 1 && !sigismember(&mask, SIGINT);
    }
    _exit(is_right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace

}  // namespace reyearn
