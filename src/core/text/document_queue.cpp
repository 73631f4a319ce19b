#include "core/text/document_queue.hpp"

#include <chrono>
#include <utility>

#include "core/error.hpp"

namespace reyearn {

namespace {
constexpr std::chrono::milliseconds kPollInterval{10};
}

DocumentQueue::DocumentQueue(int threads, Work work, ShouldStop should_stop)
    : capacity_(static_cast<std::size_t>(threads) * 2),
      work_(std::move(work)),
      should_stop_(std::move(should_stop)),
      workers_(threads, [this](int worker, const StopFlag& stop) { drain(worker, stop); }) {}

void DocumentQueue::add(std::uint32_t row, std::string_view text) {
  open_.bytes.append(text);
  open_.rows.push_back(row);
  open_.ends.push_back(open_.bytes.size());
  if (open_.rows.size() >= kBatchRows || open_.bytes.size() >= kBatchBytes) push();
}

void DocumentQueue::finish() {
  if (!open_.rows.empty()) push();
  {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
  }
  changed_.notify_all();
  workers_.wait(should_stop_);
}

void DocumentQueue::push() {
  std::unique_lock lock(mutex_);
  while ((queue_.size() >= capacity_ || queue_bytes_ >= kQueueBytes) && !workers_.has_failed()) {
    changed_.wait_for(lock, kPollInterval);
    lock.unlock();
    const bool is_cancelled = should_stop_ && should_stop_();
    lock.lock();
    if (is_cancelled) throw Error(ErrorCode::kCancelled, "training was cancelled");
  }
  if (workers_.has_failed()) {
    lock.unlock();
    workers_.wait(should_stop_);  // throws what the worker threw
  }
  queue_bytes_ += open_.bytes.size();
  queue_.push_back(std::move(open_));
  open_ = Batch{};
  if (!used_.empty()) {
    open_ = std::move(used_.back());
    used_.pop_back();
  }
  lock.unlock();
  changed_.notify_all();
}

bool DocumentQueue::pop(Batch& batch, const StopFlag& stop) {
  batch.clear();
  std::unique_lock lock(mutex_);
  // A buffer that one huge text has blown up is not kept.
  if (batch.bytes.capacity() > 0 && batch.bytes.capacity() <= 4 * kBatchBytes) used_.push_back(std::move(batch));
  while (queue_.empty() && !is_closed_ && !stop.load(std::memory_order_relaxed)) {
    changed_.wait_for(lock, kPollInterval);
  }
  if (queue_.empty() || stop.load(std::memory_order_relaxed)) return false;
  batch = std::move(queue_.front());
  queue_.pop_front();
  queue_bytes_ -= batch.bytes.size();
  lock.unlock();
  changed_.notify_all();
  return true;
}

void DocumentQueue::drain(int worker, const StopFlag& stop) {
  Batch batch;
  while (pop(batch, stop)) {
    std::size_t begin = 0;
    for (std::size_t i = 0; i < batch.rows.size() && !stop.load(std::memory_order_relaxed); ++i) {
      work_(worker, batch.rows[i], std::string_view(batch.bytes).substr(begin, batch.ends[i] - begin));
      begin = batch.ends[i];
    }
  }
}

}  // namespace reyearn
