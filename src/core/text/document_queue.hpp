// DocumentQueue: hands texts from the thread that reads them to threads that work on them.
//
// Texts are copied into batches; a full batch goes into a queue that is short, in batches and in bytes, so that memory
// is bounded: beside the queue there is one batch with each thread and one being filled. The reading thread is never
// blocked for longer than it takes to ask `should_stop`.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/parallel.hpp"

namespace reyearn {

class DocumentQueue {
 public:
  // Called on the working threads.
  using Work = std::function<void(int worker, std::uint32_t row, std::string_view text)>;

  DocumentQueue(int threads, Work work, ShouldStop should_stop);
  ~DocumentQueue() = default;
  DocumentQueue(const DocumentQueue&) = delete;
  DocumentQueue& operator=(const DocumentQueue&) = delete;

  void add(std::uint32_t row, std::string_view text);
  // True once the threads are to give up: for work on a text that takes long.
  bool is_stopping() const { return workers_.stop().load(std::memory_order_relaxed); }
  // Waits until every text is worked on.
  void finish();

 private:
  struct Batch {
    std::string bytes;
    std::vector<std::uint32_t> rows;
    std::vector<std::size_t> ends;  // of each text in `bytes`

    void clear() {
      bytes.clear();
      rows.clear();
      ends.clear();
    }
  };

  void push();
  void drain(int worker, const StopFlag& stop);
  bool pop(Batch& batch, const StopFlag& stop);  // gives the batch before back

  static constexpr std::size_t kBatchRows = 256;
  static constexpr std::size_t kBatchBytes = std::size_t{1} << 20;
  static constexpr std::size_t kQueueBytes = std::size_t{16} << 20;  // a batch may be one text, of any size

  const std::size_t capacity_;
  const Work work_;
  const ShouldStop should_stop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> queue_;
  std::vector<Batch> used_;  // kept for their buffers
  std::size_t queue_bytes_ = 0;
  bool is_closed_ = false;
  Batch open_;
  Workers workers_;  // last: its threads use all of the above, and are joined first
};

}  // namespace reyearn
