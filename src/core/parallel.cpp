#include "core/parallel.hpp"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/error.hpp"

namespace reyearn {

namespace {

constexpr std::chrono::milliseconds kPollInterval{10};

// Blocks all signals while threads are created: they inherit the mask, so that a signal meant for the process is
// delivered to its main thread.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

Workers::Workers(int count, Body body) : body_(std::move(body)) {
  const SignalsBlocked blocked;
  try {
    for (int worker = 0; worker < count; ++worker) {
      {
        const std::lock_guard lock(mutex_);
        ++running_;
      }
      threads_.emplace_back([this, worker] { run(worker); });
    }
  } catch (const std::exception& e) {
    stop_and_join();
    throw Error(ErrorCode::kLimitExceeded, "could not start a thread", std::string(e.what()) + ".",
                "Lower reyearn.training_threads, or raise the limit of processes.");
  }
}

Workers::~Workers() { stop_and_join(); }

void Workers::run(int worker) {
  std::exception_ptr failure;
  try {
    body_(worker, stop_);
  } catch (...) {
    failure = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  if (failure) {
    if (!failure_) failure_ = failure;
    has_failed_.store(true, std::memory_order_release);
    stop_.store(true, std::memory_order_relaxed);
  }
  --running_;
  finished_.notify_all();
}

void Workers::stop_and_join() {
  stop_.store(true, std::memory_order_relaxed);
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void Workers::wait(const ShouldStop& should_stop) {
  bool is_cancelled = false;
  std::unique_lock lock(mutex_);
  while (running_ > 0) {
    finished_.wait_for(lock, kPollInterval);
    lock.unlock();
    if (!is_cancelled && should_stop && should_stop()) {
      is_cancelled = true;
      stop_.store(true, std::memory_order_relaxed);
    }
    lock.lock();
  }
  lock.unlock();
  stop_and_join();
  if (is_cancelled) throw Error(ErrorCode::kCancelled, "training was cancelled");
  if (failure_) std::rethrow_exception(failure_);
}

void parallel_for(int threads, std::size_t count, const ShouldStop& should_stop,
                  const std::function<void(int, std::size_t, const StopFlag&)>& task) {
  std::atomic<std::size_t> next{0};
  const auto worker_count = static_cast<int>(std::min<std::size_t>(std::max(threads, 1), count));
  Workers workers(worker_count, [&](int worker, const StopFlag& stop) {
    for (std::size_t i; !stop.load(std::memory_order_relaxed) && (i = next.fetch_add(1)) < count;)
      task(worker, i, stop);
  });
  workers.wait(should_stop);
}

}  // namespace reyearn
