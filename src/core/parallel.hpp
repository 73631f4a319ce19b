// Threads for the core: they run with all signals blocked, never touch PostgreSQL, and are joined before the call
// returns or throws. The calling thread only waits, asking `should_stop` a hundred times a second: on that thread
// alone, and it must not throw.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "core/should_stop.hpp"

namespace reyearn {

// True once the threads are to give up; long loops look at it.
using StopFlag = std::atomic<bool>;

// A group of threads that all run `body(worker, stop)`, worker from 0. The first exception stops the others.
class Workers {
 public:
  using Body = std::function<void(int worker, const StopFlag& stop)>;

  Workers(int count, Body body);
  ~Workers();  // asks them to stop and joins them
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Waits until all are done. Throws what one of them threw, or Error(kCancelled).
  void wait(const ShouldStop& should_stop);

  // Whether the bodies are to give up.
  const StopFlag& stop() const { return stop_; }

  // Whether a body failed: the caller then has nothing to do but wait() for its exception.
  bool has_failed() const { return has_failed_.load(std::memory_order_acquire); }

 private:
  void run(int worker);
  void stop_and_join();

  Body body_;
  StopFlag stop_{false};
  std::atomic<bool> has_failed_{false};
  std::mutex mutex_;
  std::condition_variable finished_;
  int running_ = 0;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

// Calls task(worker, i, stop) for each i in [0, count) on at most `threads` threads; which thread takes which i is open.
void parallel_for(int threads, std::size_t count, const ShouldStop& should_stop,
                  const std::function<void(int worker, std::size_t i, const StopFlag& stop)>& task);

}  // namespace reyearn
